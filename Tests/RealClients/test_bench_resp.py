"""`ringstore bench --protocol resp`, as a user runs it: loads on a redis-server, and what it says
of servers that refuse it or speak something else."""

import json
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.certificates import Certificates
from harness.cluster import start_local
from harness.polling import eventually
from harness.process import RUN_SECONDS, begin, run
from harness.redis import Redis, needs_redis, redis_server
from harness.scripted import ScriptedServer

FEW = ("--connections", "4", "--keys", "100")
KINDS = {"get", "set", "incr", "lpush", "lpop"}


@pytest.fixture(scope="module")
def running() -> Iterator[Redis]:
    with redis_server() as started:
        yield started


@pytest.fixture
def redis(running: Redis) -> Redis:
    """A redis-server without keys."""
    running.ask(b"FLUSHALL")
    return running


def at(address: str) -> tuple[str, ...]:
    return ("--protocol", "resp", "--server", address)


def bench(server: Redis, *arguments: str, environment: dict[str, str] | None = None):
    return run("bench", *at(server.address), *arguments, environment=environment)


def only_run(ended) -> dict:
    (measured,) = json.loads(ended.stdout)["runs"]
    return measured


@needs_redis
@pytest.mark.parametrize("sizes", ["64", "0-2000"])
@pytest.mark.parametrize("batch", [(), ("--batch", "16")], ids=["single", "pipelined"])
def test_every_call_is_made_and_right(redis: Redis, sizes: str, batch, tmp_path: Path):
    redis.ask(b"SET", b"other", b"stays")
    file = tmp_path / "result.json"
    ended = bench(
        redis,
        *FEW,
        *batch,
        *("--calls", "3000", "--mix", "get=50,set=20,incr=10,lpush=10,lpop=10"),
        *("--value-bytes", sizes, "--threads", "2", "--distribution", "zipf"),
        *("--fill", "--clean", "--json", str(file)),
    )
    assert ended.returncode == 0, ended.stderr
    assert "failed calls: 0" in ended.stdout and "\nDeleted " in ended.stdout
    report = json.loads(file.read_text())
    (measured,) = report["runs"]
    assert (measured["calls"], measured["failed"], measured["failures"]) == (3000, 0, [])
    kinds = {kind["name"]: kind for kind in measured["kinds"]}
    assert set(kinds) == KINDS
    assert kinds["get"]["found"] == kinds["get"]["calls"]
    assert report["settings"]["protocol"] == "resp" and report["settings"]["filled"]
    assert redis.ask(b"KEYS", b"*") == [b"other"]


@needs_redis
def test_counters_lists_and_values_hold_what_was_done(redis: Redis):
    """Each call that the result counts was executed once, in its database."""
    ended = bench(
        redis,
        *("--connections", "3", "--keys", "1", "--calls", "500", "--batch", "8"),
        *("--mix", "incr=40,lpush=40,set=20", "--database", "3", "--json"),
    )
    assert ended.returncode == 0, ended.stderr
    counts = {kind["name"]: kind["calls"] for kind in only_run(ended)["kinds"]}
    assert sum(counts.values()) == 500
    assert redis.ask(b"DBSIZE") == 0
    number = b"000000000000"
    with redis.another() as third:
        assert third.ask(b"SELECT", b"3") == b"OK"
        assert third.ask(b"GET", b"bench:i:" + number) == b"%d" % counts["incr"]
        assert third.ask(b"LLEN", b"bench:l:" + number) == counts["lpush"]
        assert third.ask(b"STRLEN", b"bench:s:" + number) == 64
    assert "remain in database 3; --clean deletes them" in ended.stderr


@needs_redis
def test_a_database_that_is_not_there_is_said(redis: Redis):
    refused = bench(redis, *FEW, "--calls", "10", "--database", "99")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the server refused SELECT: ERR DB index is out of range" in refused.stderr


@needs_redis
def test_bytes_are_those_of_the_protocol(redis: Redis):
    """All SETs are alike, and so are their replies."""
    ended = bench(redis, *FEW, "--calls", "200", "--mix", "set=1", "--json")
    value = b"x" * 64
    request = b"*3\r\n$3\r\nSET\r\n$20\r\n%b\r\n$64\r\n%b\r\n" % (b"k" * 20, value)
    measured = only_run(ended)
    assert measured["bytesSent"] == 200 * len(request)
    assert measured["bytesReceived"] == 200 * len(b"+OK\r\n")


@needs_redis
def test_rates_make_a_run_each_and_a_picture_and_protocols_are_compared(
    redis: Redis, tmp_path: Path
):
    picture, theirs, ours = (tmp_path / name for name in ("load.svg", "redis.json", "ours.json"))
    load = (*FEW, "--rate", "200,400", "--calls", "100", "--spacing", "even")
    ended = bench(redis, *load, "--plot", str(picture), "--json", str(theirs))
    assert ended.returncode == 0, ended.stderr
    runs = json.loads(theirs.read_text())["runs"]
    assert [one["rateWanted"] for one in runs] == [200, 400]
    assert [one["calls"] + one["failed"] for one in runs] == [100, 100]
    circles = ET.parse(picture).getroot().findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 2 * 4
    node = start_local(1)
    line = ("--protocol", "line", "--server", f"127.0.0.1:{node.line_port}")
    assert run("bench", *line, *load, "--json", str(ours)).returncode == 0
    node.stop()
    compared = run("bench", "--compare", str(theirs), str(ours))
    assert compared.returncode == 0, compared.stderr
    (settings,) = [one for one in compared.stdout.splitlines() if one.startswith("protocol ")]
    assert settings.split() == ["protocol", "resp", "line"]
    assert compared.stdout.count("\np99, ms") == 2


@needs_redis
def test_error_replies_are_counted_by_their_first_word(redis: Redis):
    """Lists where strings should be: every Get is refused, and no Set."""
    for key in range(1, 100):
        redis.ask(b"RPUSH", b"bench:s:%012d" % key, b"x")
    ended = bench(redis, *FEW, "--calls", "300", "--batch", "10", "--mix", "get=1", "--json")
    measured = only_run(ended)
    (failure,) = measured["failures"]
    assert (failure["code"], failure["reason"]) == ("FAILED_PRECONDITION", "WRONGTYPE")
    assert failure["message"].startswith("Operation against a key")
    assert failure["count"] == measured["failed"] > 200
    assert measured["calls"] + measured["failed"] == 300 and measured["connectionsLost"] == 0


@needs_redis
def test_wrong_values_are_found(redis: Redis):
    for key in range(100):
        redis.ask(b"SET", b"bench:s:%012d" % key, b"wrong")
    ended = bench(redis, *FEW, "--calls", "300", "--mix", "get=1", "--json")
    assert ended.returncode == 1
    assert "300 replies were wrong" in ended.stderr and "has 5 bytes" in ended.stderr
    assert [failure["code"] for failure in only_run(ended)["failures"]] == ["WRONG_REPLY"]


@needs_redis
def test_a_token_is_a_password_of_its_user_or_of_the_default_user(tmp_path: Path):
    secret = tmp_path / "token"
    secret.write_text("loaders-secret\n")
    token = ("--token-file", str(secret))
    with redis_server() as redis:
        rules = (b"on", b">loaders-secret", b"~bench:*", b"+@all")
        assert redis.ask(b"ACL", b"SETUSER", b"loader", *rules) == b"OK"
        redis.ask(b"CONFIG", b"SET", b"requirepass", b"defaults-secret")
        few = (*FEW, "--calls", "50")
        assert bench(redis, *few, "--user", "loader", *token).returncode == 0
        variable = {"RINGSTORE_TOKEN": "defaults-secret"}
        assert bench(redis, *few, environment=variable).returncode == 0
        for wrong, sentence in (
            ((), "the server refused PING: NOAUTH Authentication required."),
            (token, "the server refused AUTH: WRONGPASS invalid username-password pair"),
            (("--user", "unknown", *token), "the server refused AUTH: WRONGPASS"),
        ):
            refused = bench(redis, *few, *wrong)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert sentence in refused.stderr, refused.stderr
        # A user who may only write makes a load that only writes.
        redis.ask(b"ACL", b"SETUSER", b"loader", b"-@all", b"+set", b"+ping", b"+auth")
        user = ("--user", "loader", *token)
        assert bench(redis, *few, *user, "--mix", "set=1").returncode == 0
        refused = bench(redis, *few, *user)
        assert "PERMISSION_DENIED NOPERM" in refused.stderr


@needs_redis
def test_tls_is_that_of_the_other_commands(tmp_path: Path):
    with Certificates() as certificates:
        authority = certificates.authority
        port = ("--port", "0", "--tls-port")
        files = {"cert": ("router", "certificate"), "key": ("router", "key")}
        own = [
            word
            for name, file in files.items()
            for word in (f"--tls-{name}-file", certificates.file(*file))
        ]
        settings = (*own, "--tls-ca-cert-file", authority, "--tls-auth-clients", "no")
        with redis_server(*settings, port=port, authority=authority) as redis:
            address = f"localhost:{redis.port}"
            load = (*at(address), *FEW, "--calls", "300", "--fill", "--clean")
            ended = run("bench", *load, "--tls-ca", authority, "--json")
            assert ended.returncode == 0, ended.stderr
            assert json.loads(ended.stdout)["settings"]["encrypted"]
            for wrong, sentence in (
                (("--tls",), "the peer's certificate is not of the certificate authority"),
                ((), "the peer closed the connection. If the node uses TLS, add --tls-ca"),
            ):
                refused = run("bench", *load, *wrong)
                assert (refused.returncode, refused.stdout) == (1, "")
                assert sentence in refused.stderr, refused.stderr


@needs_redis
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGKILL, "UNAVAILABLE"), (signal.SIGSTOP, "DEADLINE_EXCEEDED")]
)
def test_servers_that_go_away_or_stand_still_are_reported(sent: signal.Signals, code: str):
    with redis_server() as redis:
        load = (*at(redis.address), *FEW, "--duration", "600", "--warm-up", "0")
        started = begin("bench", *load, "--mix", "set=1", "--timeout", "0.5", "--json")
        eventually(lambda: redis.ask(b"DBSIZE") > 0, "calls are made")
        redis.process.send_signal(sent)
        out, err = started.communicate(timeout=RUN_SECONDS)
        redis.process.kill()
    (measured,) = json.loads(out)["runs"]
    assert started.returncode == 0, err
    assert measured["calls"] > 0
    assert code in {failure["code"] for failure in measured["failures"]}


def test_what_is_no_reply_ends_the_connection_and_its_calls():
    load = ("--connections", "2", "--calls", "20", "--batch", "4", "--json")
    for words, sentence in (
        (b"$5\r\nabc", None),
        (b"$5x\r\n", "a reply has no number behind '$'"),
        (b"$999999\r\n", "a reply has 999999 bytes, and none may have more than 4160"),
        (b"%1\r\n+a\r\n+b\r\n", "a reply begins with '%', which is no type of RESP2"),
        (b"*1\r\n*1\r\n" * 8, "a reply has more than 8 arrays within each other"),
        (b"+OK\n", "a reply has a line feed without a carriage return"),
    ):
        # So long a load continues without connections, and they are made again after a pause.
        patience = ("--timeout", "0.2" if sentence is None else "30")
        with ScriptedServer(b"+PONG\r\n", words) as server:
            ended = run("bench", *at(server.address), *load, *patience)
        assert ended.returncode == 1
        if sentence is None:
            # Only the probe was made, and it got no reply in time.
            assert "DEADLINE_EXCEEDED NO_REPLY" in ended.stderr, ended.stderr
            continue
        measured = only_run(ended)
        (failure,) = measured["failures"]
        assert (failure["code"], failure["message"]) == ("WRONG_REPLY", sentence)
        assert (measured["failed"], measured["calls"]) == (20, 0)
        assert measured["connectionsLost"] >= 2
        assert f"20 replies were wrong, the first because {sentence}" in ended.stderr


def test_a_server_of_another_protocol_is_said():
    node = start_local(1)
    for address, sentence in (
        (f"127.0.0.1:{node.port}", "a reply begins with byte 0x00, which is no type of RESP2"),
        (f"127.0.0.1:{node.line_port}", "the server refused PING"),
    ):
        refused = run("bench", *at(address), "--calls", "10")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "can't be reached" in refused.stderr and sentence in refused.stderr, refused.stderr
    node.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", "loader"),
        ("--protocol", "line", "--user", "loader"),
        ("--protocol", "resp", "--user", "loader"),
        ("--protocol", "resp", "--user", "", "--token-file", "/dev/null"),
        ("--protocol", "resp", "--batch", "0"),
        ("--protocol", "resp", "--in-flight", "10001"),
    ],
)
def test_wrong_usage_says_so(arguments):
    ended = run("bench", *arguments)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith("ringstore bench: ")
