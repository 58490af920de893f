"""The line protocol over raw sockets, on a router, a lone shard and a local cluster."""

import contextlib
import random
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_local, start_router, start_shard
from harness.lines import Lines, transcripts
from harness.memory import Watch
from harness.polling import eventually
from harness.process import Node
from harness.seeds import seed

SHAPES = {"router": Cluster, "shard": start_shard, "local": start_local}
MIB = 1 << 20


def front(server) -> Node:
    """The node that clients talk to."""
    return getattr(server, "router", server)


@pytest.fixture
def port(served, client) -> int:
    """The line port of an empty server."""
    return served.line_port


@pytest.fixture
def lines(port):
    with Lines(port) as opened:
        yield opened


@pytest.fixture(params=SHAPES)
def own(request):
    """A server of each shape that the test may end."""
    server = SHAPES[request.param]()
    server.shape = request.param
    yield server
    server.stop()


def shape_of(served) -> str:
    return "router" if isinstance(served, Cluster) else served.arguments[0]


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transcript", [one for one in transcripts() if not one.ends_the_node], ids=lambda one: one.name
)
def test_a_transcript_of_the_page_is_byte_exact(served, port, transcript):
    if not transcript.suits(shape_of(served)):
        pytest.skip("not of this shape")
    transcript.play(port)


@pytest.mark.parametrize(
    "transcript", [one for one in transcripts() if one.ends_the_node], ids=lambda one: one.name
)
def test_a_transcript_that_ends_the_node_is_byte_exact(own, transcript):
    if not transcript.suits(own.shape):
        pytest.skip("not of this shape")
    transcript.play(own.line_port)
    assert front(own).wait() == 0
    if own.shape == "router" and "SHUTDOWN CLUSTER" in transcript.name:
        assert [shard.wait() for shard in own.shards.values()] == [0, 0, 0]


def test_the_page_has_transcripts_of_every_command():
    played = "\n".join(line for one in transcripts() for line in one.lines).upper()
    with_transcript = set(re.findall(r"^> ([A-Z]+)", played, re.M))
    commands = """GET SET DEL KEYS RESET SHUTDOWN LPUSH RPUSH LRANGE LPOP RPOP LLEN EXISTS TYPE INCR
        INCRBY DECR DECRBY MGET MSET DBSIZE PING ECHO SELECT SCAN HELP QUIT""".split()
    assert set(commands) <= with_transcript


# --- framing --------------------------------------------------------------------------------------

CONVERSATION = (
    b"*3\r\nSET\r\nsplit\r\n*1\r\n" b"GET split\n" b"*2\nGET\nsplit\n" b"SET split 'a b'\r\n"
    b"*1\r\nPING\r\n" b"get split\n"
)
REPLIES = b"+OK\r\n+*1\r\n+*1\r\n+OK\r\n+PONG\r\n+a b\r\n"


def test_requests_may_be_split_anywhere(port):
    for place in range(1, len(CONVERSATION)):
        with Lines(port) as client:
            client.send(CONVERSATION[:place])
            client.send(CONVERSATION[place:])
            client.half_close()
            assert client.rest() == REPLIES, place


def test_requests_may_come_byte_by_byte(lines):
    for byte in CONVERSATION:
        lines.send(bytes([byte]))
    lines.half_close()
    assert lines.rest() == REPLIES


def test_a_half_closed_connection_gets_all_its_replies(lines):
    count = 5_000
    lines.send(b"INCR n\n" * count + b"KEYS n\n" + b"GET n")
    lines.half_close()
    expected = b"".join(b"+%d\r\n" % number for number in range(1, count + 1))
    cut = b"-the input ended within a request, which was not executed\r\n"
    assert lines.rest() == expected + b"*1\r\nn\r\n" + cut


@pytest.mark.parametrize("end", ["half-close", "QUIT", "bad request"])
def test_a_late_reader_gets_the_last_reply_whole(port, client, end):
    """More than the sockets hold: the rest is in the node when it has nothing more to say."""
    value = b"v" * 3_000_000
    client.set(b"large", value)
    behind = {
        "half-close": (b"", b""),
        "QUIT": (b"QUIT\n", b"+OK\r\n"),
        "bad request": (b"*x\n", b"-"),
    }
    request, expected = behind[end]
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.settimeout(60)
        reader.connect(("127.0.0.1", port))
        reader.sendall(b"GET large\n" + request)
        if end == "half-close":
            reader.shutdown(socket.SHUT_WR)
        time.sleep(1.5)  # The reader is late: the node may close after a second.
        received = b"".join(iter(lambda: reader.recv(1 << 16), b""))
    assert received.startswith(b"+" + value + b"\r\n" + expected)


def test_pipelined_requests_get_their_replies_in_order(lines):
    """Calls on many keys among them: each must see exactly what was sent before it."""
    source = random.Random(seed())
    sent, expected, store = [], [], {}
    for _ in range(3_000):
        key = b"key%d" % source.randrange(20)
        if source.random() < 0.02:
            sent.append(b"*1\r\nDBSIZE\r\n")
            expected.append(b"+%d\r\n" % len(store))
        elif source.random() < 0.02:
            sent.append(b"*3\r\nMGET\r\nkey1\r\nkey2\r\n")
            found = [store.get(name) for name in (b"key1", b"key2")]
            items = [
                b"+%d\r\n" % value if value is not None else b"-invalid key key%d\r\n" % number
                for number, value in enumerate(found, 1)
            ]
            expected.append(b"*2\r\n" + b"".join(items))
        elif source.random() < 0.1:
            sent.append(b"*2\r\nDEL\r\n%s\r\n" % key)
            gone = store.pop(key, None) is not None
            expected.append(b"+OK\r\n" if gone else b"-invalid key %s\r\n" % key)
        else:
            store[key] = store.get(key, 0) + 1
            sent.append(b"INCR %s\n" % key)
            expected.append(b"+%d\r\n" % store[key])
    threading.Thread(target=lines.send, args=(b"".join(sent),), daemon=True).start()
    for number, wanted in enumerate(expected):
        got = b"".join(lines.line() + b"\r\n" for _ in range(wanted.count(b"\n")))
        assert got == wanted, (seed(), number, sent[number])


# --- many clients ---------------------------------------------------------------------------------


def test_many_connections_at_once(port):
    def run() -> None:
        with Lines(port) as client:
            client.send(b"INCR shared\n" * 300 + b"PING done\n")
            for _ in range(300):
                assert client.line().startswith(b"+")
            assert client.line() == b"+done"
        done.append(True)

    done: list[bool] = []
    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 20
    with Lines(port) as client:
        assert client.ask(b"GET", b"shared") == b"+6000"


def test_connections_are_served_by_every_thread_of_a_router():
    with Cluster("ab", "--threads", "3") as cluster:
        clients = [Lines(cluster.line_port) for _ in range(12)]
        for number, client in enumerate(clients):
            assert client.ask(b"SET", b"k%d" % number, b"%d" % number) == b"+OK"
        for client in clients:
            for number in range(12):
                assert client.ask(b"GET", b"k%d" % number) == b"+%d" % number
        for client in clients:
            client.close()


def test_grpc_and_lines_see_the_same_keys(client, lines):
    client.set(b"from grpc", b"1")
    assert lines.ask(b"GET", b"from grpc") == b"+1"
    assert lines.ask(b"INCRBY", b"from grpc", b"41") == b"+42"
    assert client.get(b"from grpc").value == b"42"
    assert lines.ask(b"RPUSH", b"list", b"a", b"\xff\x00b") == b"+2"
    assert list(client.lrange(b"list", 0, -1).values) == [b"a", b"\xff\x00b"]
    client.set(b"lines\r\n", b"two\nlines")
    assert lines.ask(b"GET", b"lines") == b"-invalid key lines"
    assert lines.ask(b"DBSIZE") == b"+3"
    assert lines.ask(b"SELECT", b"5") == b"+OK"
    assert lines.ask(b"SET", b"k", b"in 5") == b"+OK"
    assert client.get(b"k", database=5).value == b"in 5"
    assert not client.get(b"k").found
    assert lines.ask(b"RESET") == b"+OK"
    assert client.size() == 3


def test_values_of_any_bytes_but_line_breaks_pass(lines):
    value = bytes(byte for byte in range(256) if byte not in b"\r\n")
    assert lines.ask(b"SET", value, value) == b"+OK"
    assert lines.ask(b"GET", value) == b"+" + value
    assert lines.ask(b"KEYS", b".") == [value]


def test_keys_matches_as_pythons_re_match_does(client, lines):
    keys = [b"a", b"ab", b"abc", b"b", b"ba", b"xay", b"user:1", b"user:22", b"", b"A.b"]
    keys = [key for key in keys if key]
    for key in keys:
        client.set(key, b"")
    patterns = [
        b"a", b"ab?$", b"a|b", b"b|a", b".", b".*a", b"^a", b"(x|u)", b"user:\\d+", b"user:\\d$",
        b"[^a]", b"A\\.b", b"z*", b"(?i)a", b"$",
    ]
    for pattern in patterns:
        matching = sorted(key for key in keys if re.match(pattern, key))
        assert sorted(lines.ask(b"KEYS", pattern)) == matching, pattern


def walk(client: Lines, *options: bytes) -> list[bytes]:
    """All keys of a SCAN from its start to its end."""
    cursor, keys = b"0", []
    while True:
        cursor, *page = client.ask(b"SCAN", cursor, *options)
        keys += page
        if cursor == b"0":
            return keys


def test_scan_walks_over_every_key_once(lines):
    wanted = [b"key:%d" % number for number in range(2_500)]
    for start in range(0, len(wanted), 500):
        pairs = [word for key in wanted[start : start + 500] for word in (key, b"v")]
        assert lines.ask(b"MSET", *pairs) == b"+OK"
    lists = [b"list:%d" % number for number in range(30)]
    for name in lists:
        assert lines.ask(b"RPUSH", name, b"x") == b"+1"
    assert sorted(walk(lines)) == sorted(wanted + lists)
    assert sorted(walk(lines, b"COUNT", b"7", b"MATCH", b"key:1*")) == sorted(
        key for key in wanted if key.startswith(b"key:1")
    )
    assert sorted(walk(lines, b"TYPE", b"list", b"COUNT", b"1000")) == sorted(lists)
    assert sorted(walk(lines, b"type", b"string", b"match", b"*9")) == sorted(
        key for key in wanted if key.endswith(b"9")
    )


def test_nc_is_enough(port):
    assert shutil.which("nc"), "netcat is needed: apt-get install netcat-openbsd"
    typed = b"SET greeting 'hello world'\nGET greeting\nRPUSH l a b\nLRANGE l 0 -1\nQUIT\n"
    ended = subprocess.run(
        ["nc", "127.0.0.1", str(port)], input=typed, capture_output=True, timeout=60, check=True
    )
    assert ended.stdout == b"+OK\r\n+hello world\r\n+2\r\n*2\r\na\r\nb\r\n+OK\r\n"


# --- bad clients ----------------------------------------------------------------------------------


def test_garbage_gets_an_error_or_an_end_and_hurts_no_client(served, port):
    source = random.Random(seed())
    with Lines(port) as witness:
        assert witness.ask(b"SET", b"witness", b"here") == b"+OK"
        for _ in range(150):
            garbage = source.choice([
                source.randbytes(source.randrange(1, 4_000)),
                b"*%d\r\n" % source.randrange(-5, 1 << 40) + source.randbytes(50),
                b"*3\r\n" * source.randrange(1, 500),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + source.randbytes(200),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + source.randbytes(20),
                b"'\n" * 1_000, b"\n" * 70_000, b"\x00" * 70_000, b"$5\r\nhello\r\n" * 100,
            ])
            with Lines(port) as client:
                try:
                    client.send(garbage)
                    client.half_close()
                    for line in client.rest().splitlines():
                        assert re.match(rb"[-+*]", line), (seed(), line)
                except (ConnectionError, BrokenPipeError):
                    pass
            assert witness.ask(b"GET", b"witness") == b"+here"


@pytest.mark.parametrize(
    ("opening", "error"),
    [
        (b"*2\r\nSET\r\n", b"-a line has at most 4194304 bytes\r\n"),
        (b"SET k ", b"-a command on one line has at most 65536 bytes"),
    ],
)
def test_a_line_that_never_ends_is_refused_while_it_comes(served, port, opening, error):
    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                client.send(b"x" * MIB)

    with Lines(port) as client, Watch(front(served)) as watch:
        client.send(opening)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        assert client.rest().startswith(error)
        # What is sent on and on is thrown away for a while; then the connection is reset.
        sender.join(20)
        assert not sender.is_alive()
    assert watch.peak < 64 * MIB


def test_a_request_just_over_the_bound_gets_an_error(lines):
    lines.send(b"*3\r\nSET\r\nk\r\n" + b"x" * (4 * MIB + 2))
    assert lines.rest() == b"-a line has at most 4194304 bytes\r\n"


def test_the_longest_value_passes_and_one_byte_more_is_refused(lines):
    # Key, value and their fields must fit into a message.
    room = 4 * MIB - (1 + 1 + 1) - (1 + 4)
    assert lines.ask(b"SET", b"k", b"x" * room) == b"+OK"
    assert lines.ask(b"GET", b"k") != b""
    reply = lines.ask(b"SET", b"k", b"x" * (room + 1))
    assert reply.startswith(b"-RESOURCE_EXHAUSTED The request has 4194305 bytes")
    assert lines.ask(b"PING") == b"+PONG"


def test_a_client_that_does_not_read_is_not_read_and_delays_no_other(served, port):
    node = front(served)
    value = b"v" * 100_000
    with Lines(port) as setter:
        assert setter.ask(b"SET", b"large", value) == b"+OK"
    count = 600
    with Lines(port) as slow, Watch(node) as watch:
        sender = threading.Thread(target=slow.send, args=(b"GET large\n" * count,), daemon=True)
        sender.start()
        with Lines(port) as other:
            for number in range(500):
                assert other.ask(b"INCR", b"meanwhile") == b"+%d" % (number + 1)
        assert watch.peak < 40 * MIB
        for _ in range(count):
            assert slow.line() == b"+" + value
        sender.join()


def test_a_client_that_leaves_cancels_what_it_began(served, port):
    with Lines(port) as setter:
        for start in range(0, 20_000, 5_000):
            pairs = [w for n in range(start, start + 5_000) for w in (b"many:%d" % n, b"v")]
            assert setter.ask(b"MSET", *pairs) == b"+OK"
        for _ in range(30):
            with Lines(port) as client:
                client.send(b"KEYS .\nSCAN 0 COUNT 10000 TYPE list\n" * 20)
                # A reset, not a goodbye.
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                )
        assert setter.ask(b"DBSIZE") == b"+20000"


# --- nodes that come and go -----------------------------------------------------------------------


def test_a_lost_shard_is_named_and_the_connection_continues(cluster):
    with Lines(cluster.line_port) as client, Client(cluster.address) as grpc_client:
        for number in range(30):
            assert client.ask(b"SET", b"k%d" % number, b"v") == b"+OK"
        cluster.shards["b"].kill()
        eventually(
            lambda: any(one.state == 4 for one in grpc_client.describe().nodes), "b unreachable"
        )
        replies = client.ask(b"MGET", *(b"k%d" % number for number in range(30)))
        assert {reply.split(b" ")[0] for reply in replies} == {b"+v", b"-SHARD_UNAVAILABLE"}
        assert client.ask(b"KEYS", b".").startswith(b"-SHARD_UNAVAILABLE Shard b ")
        assert client.ask(b"PING") == b"+PONG"


def test_shutdown_of_a_cluster_without_a_shard_fails_and_the_router_stays(cluster):
    cluster.shards["b"].kill()
    with Lines(cluster.line_port) as client:
        reply = eventually(
            lambda: _refused(client.ask(b"PING"), client, b"SHUTDOWN", b"CLUSTER"), "the refusal"
        )
        assert b" b " in reply
        assert client.ask(b"PING") == b"+PONG"


def _refused(_: bytes, client: Lines, *words: bytes) -> bytes | None:
    reply = client.ask(*words)
    return reply if reply.startswith(b"-") else None


def test_a_router_that_shuts_down_leaves_its_shards(cluster):
    with Lines(cluster.line_port) as client:
        assert client.ask(b"SHUTDOWN") == b"+OK"
        assert client.rest() == b""
    assert cluster.router.wait() == 0
    for shard in cluster.shards.values():
        with Lines(shard.line_port) as client:
            assert client.ask(b"PING") == b"+PONG"
    router = start_router(cluster.shards)
    try:
        with Lines(router.line_port) as client:
            assert client.ask(b"SET", b"k", b"v") == b"+OK"
    finally:
        assert router.stop() == 0


def test_a_node_that_drains_completes_every_command_or_says_that_it_did_not_run(own):
    node = front(own)
    count = 20_000
    with Lines(node.line_port) as client, Lines(node.line_port) as idle:
        assert idle.ask(b"PING") == b"+PONG"

        def send() -> None:
            try:
                client.send(b"INCR n\n" * count)
            except OSError:
                pass

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        assert client.line() == b"+1"
        node.terminate()
        try:
            rest = client.rest().splitlines()
        except ConnectionError:
            # The node has closed while the client was sending: what it had read is gone with it.
            rest = [line for line in client._read.split(b"\r\n")[:-1]]
        sender.join()
        told = b"-the node is shutting down; the command was not executed"
        if rest and rest[-1] == told:
            rest.pop()
        assert rest == [b"+%d" % number for number in range(2, len(rest) + 2)]
        assert idle.rest() == b""
    assert node.wait() == 0
