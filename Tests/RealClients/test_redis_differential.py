"""The same random commands to a cluster and to a Redis: every reply and what is left in the end."""

import os
from collections.abc import Iterator

import pytest
from harness.cluster import start_local
from harness.differential import COMMANDS, Maker, Words, items, redis_failed, values
from harness.lines import Lines
from harness.process import Node
from harness.redis import Redis, RedisError, needs_redis, redis_server
from harness.seeds import seed

pytestmark = needs_redis
OPERATIONS = int(os.environ.get("RINGSTORE_DIFFERENTIAL", "60000"))
BATCH = 100
# What lines have and Redis hasn't, or means something else by, and what isn't random.
NOT_COMPARED = {
    "AUTH", "BLMOVE", "BLPOP", "BRPOP", "BRPOPLPUSH", "DBSIZE", "ECHO", "HELP", "INSPECT", "KEYS",
    "LPOPMANY", "MEMORY", "OBJECT", "PING", "QUIT", "RANDOMKEY", "RESET", "RPOPMANY", "SCAN",
    "SELECT", "SHUTDOWN",
}  # fmt: skip


@pytest.fixture
def node() -> Iterator[Node]:
    started = start_local()
    yield started
    started.stop()


def compare(lines: Lines, redis: Redis, commands: list[Words], told: list[Words]) -> None:
    """Makes the commands on both sides; `told` are those before."""
    for command in commands:
        lines.request(*command)
    for command, theirs in zip(commands, redis.ask_many(commands)):
        kind = COMMANDS[command[0]]
        ours = kind.ours(lines.reply())
        meant = redis_failed(theirs) if isinstance(theirs, RedisError) else kind.redis(theirs)
        told.append(command)
        if ours != meant:
            key = command[1]
            history = b"\n".join(b" ".join(c)[:200] for c in told if key in c[1:])
            raise AssertionError(f"{command}: {ours!r}, Redis {meant!r}; before:\n{history!r}")


def test_random_commands(node: Node):
    maker = Maker(seed())
    names = list(COMMANDS)
    weights = [COMMANDS[name].weight for name in names]
    told: list[Words] = []
    with redis_server() as redis, Lines(node.line_port) as lines:
        for _ in range(0, OPERATIONS, BATCH):
            chosen = maker.chance.choices(names, weights, k=BATCH)
            batch = [(name, *COMMANDS[name].arguments(maker)) for name in chosen]
            compare(lines, redis, batch, told)
            del told[:-5_000]
            # Drawn by lot, so not compared; but what is drawn is there on both sides.
            for drawn in (lines.ask(b"RANDOMKEY")[1:], redis.ask(b"RANDOMKEY")):
                if drawn not in (None, b"not found"):
                    compare(lines, redis, [(b"EXISTS", drawn)], told)
        keys = maker.keys + [b"{same}:new:%d" % number for number in range(6)]
        state = [(b"TYPE", key) for key in keys]
        compare(lines, redis, state, told)
        for key in keys:
            whole = (b"LRANGE", key, b"0", b"-1")
            if redis.ask(b"TYPE", key) != b"list":
                whole = (b"GET", key)
            compare(lines, redis, [whole], told)
        assert lines.ask(b"DBSIZE") == b"+%d" % redis.ask(b"DBSIZE")


def test_every_command_of_lines_is_compared_or_named(node: Node):
    with Lines(node.line_port) as lines:
        helped = lines.ask(b"HELP")
    assert isinstance(helped, list)
    names = {line.split()[0].rstrip(b":").decode() for line in helped}
    assert {name.decode() for name in COMMANDS} | NOT_COMPARED >= names
