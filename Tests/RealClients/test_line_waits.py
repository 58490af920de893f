"""Commands that wait, from clients that close their sending side, as `nc -N` does: they get the
real reply, and no value is lost."""

import random
import time

import pytest
from harness.lines import Lines
from harness.seeds import seed


@pytest.fixture
def port(served, client) -> int:
    """The line port of an empty server."""
    return served.line_port


def let_pass(seconds: float) -> None:
    """Less time than a sleep takes."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@pytest.mark.parametrize("command", [b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH"])
def test_a_client_that_closes_its_side_gets_what_its_command_takes(port, client, command):
    """As `nc -N` does behind one command, at any moment of the call."""
    moves = command in (b"BLMOVE", b"BRPOPLPUSH")
    sides = b" LEFT RIGHT" if command == b"BLMOVE" else b""
    chance = random.Random(seed())
    for number in range(300):
        source, target = b"{half:%d}" % number, b"{half:%d}:target" % number
        client.rpush(source, b"job")
        with Lines(port) as one:
            destination = b" " + target + sides if moves else b""
            one.send(command + b" " + source + destination + b" 5\n")
            let_pass(chance.choice([0, 0, 50e-6, 100e-6, 200e-6, 400e-6]))
            one.half_close()
            assert one.rest() == (b"+job\r\n" if moves else b"*2\r\n%s\r\njob\r\n" % source)
        assert client.llen(source) == 0 and client.llen(target) == int(moves)


def test_no_value_is_lost_to_a_wait_that_ends_with_its_clients_side(port, client):
    """A push at the same moment: the client gets the value, or it stays in the list."""
    chance = random.Random(seed())
    taken = 0
    with Lines(port) as pusher:
        for number in range(300):
            key = b"half:%d" % number
            value = b"v" * (200_000 if number % 3 == 0 else 10)
            with Lines(port) as one:
                one.send(b"BLPOP " + key + b" 60\n")
                pusher.request(b"RPUSH", key, value)
                let_pass(chance.choice([0, 50e-6, 100e-6, 200e-6, 400e-6]))
                one.half_close()
                reply = one.rest()
            assert pusher.reply() == b"+1"
            found = reply != b"-not found\r\n"
            if found:
                assert reply == b"*2\r\n%s\r\n%s\r\n" % (key, value)
            assert client.llen(key) == int(not found)
            taken += found
    assert taken > 0


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"BLPOP {no}:a {no}:b 0", b"-not found"),
        (b"BRPOP {no}:a 60", b"-not found"),
        (b"BLMOVE {no}:a {no}:b LEFT LEFT 0", b"-invalid key {no}:a"),
        (b"BRPOPLPUSH {no}:a {no}:b 60", b"-invalid key {no}:a"),
    ],
)
def test_a_client_that_closes_its_side_waits_for_nothing(port, command, reply):
    with Lines(port) as lines:
        lines.send(command + b"\nPING\n")
        lines.half_close()
        assert lines.rest() == reply + b"\r\n+PONG\r\n"
