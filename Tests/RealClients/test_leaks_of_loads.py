"""Loads of many streams leave the memory of nodes where it was, whatever shape they had."""

import struct

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_shard
from harness.memory import resident_bytes
from harness.polling import eventually
from harness.raw_http2 import RST_STREAM, Connection, frame, headers, load, message
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
STREAMS = 1_000
CALLS = 20_000
# A stream that stays behind holds about 2 kB, so a load of CALLS would be seen four times over.
TOLERANCE_BYTES = 10 << 20
KEY = pb.Key(key=b"missing").SerializeToString()
# Calls taken back at a time, each beside one that is let be: who takes back nearly all is cut.
CANCELS = 200
CANCEL = struct.pack(">I", 8)
# A method that isn't there: the node ends the stream by itself.
UNKNOWN = headers(SERVICE + "Nope")
HALF_BYTES = 16_000
# What the half messages of one round come to is about 16 MB.
HALF_STREAMS = 1_000


@pytest.fixture(params=["router", "shard"])
def nodes(request):
    server = Cluster("a") if request.param == "router" else start_shard()
    with Client(server.address) as client:
        client.get(b"key")
        yield [server] if request.param == "shard" else [server.router, server.shards["a"]]
    server.stop()


def grown(nodes, shape) -> list[int]:
    """What one more round adds once two have filled what is kept."""
    shape()
    shape()
    before = [resident_bytes(node) for node in nodes]
    shape()
    return [resident_bytes(node) - was for node, was in zip(nodes, before, strict=True)]


def test_a_thousand_streams_at_once_leave_nothing_behind(nodes):
    block, body = headers(SERVICE + "Get"), message(KEY)
    probe = Connection(nodes[0].address)
    probe.exchange_settings()
    expected = probe.call(SERVICE + "Get", KEY).data
    probe.close()

    def shape() -> None:
        done = load(nodes[0].address, 2, STREAMS, CALLS, block, body, expected)
        assert (done.right, done.wrong, done.lost) == (CALLS, 0, 0), done.first_wrong

    assert max(grown(nodes, shape)) < TOLERANCE_BYTES


def start_halves(connection: Connection) -> None:
    half = b"\0" + struct.pack(">I", 2 * HALF_BYTES) + b"x" * HALF_BYTES
    started = 0
    while started < HALF_STREAMS:
        if connection.start(headers(SERVICE + "Set"), half, end=False) is None:
            connection.flush()
            connection.receive()
        else:
            started += 1
        while len(connection.out) > 1 << 18:
            connection.flush()
    while connection.out:
        connection.flush()


def test_a_thousand_half_messages_leave_nothing_behind(nodes):
    def shape() -> None:
        connections = [Connection(nodes[0].address) for _ in range(4)]
        for connection in connections:
            connection.exchange_settings()
            start_halves(connection)
        for number, connection in enumerate(connections):
            (connection.close, connection.abort)[number % 2]()
        # Another connection is served after they were seen to be gone.
        with Client(nodes[0].address) as client:
            eventually(lambda: not client.get(b"missing").found, "served")

    assert max(grown(nodes, shape)) < TOLERANCE_BYTES


@pytest.mark.parametrize("method", ["Get", "LPop", "LRangeStream"])
def test_calls_that_are_taken_back_leave_nothing_behind(nodes, method):
    """Right away, while they wait for a value, and in the middle of their replies."""
    with Client(nodes[0].address) as client:
        for _ in range(4):
            client.rpush(b"list", *[b"x" * 50_000] * 5)
    request = {
        "Get": KEY,
        "LPop": pb.PopRequest(key=b"missing", wait_millis=60_000).SerializeToString(),
        "LRangeStream": pb.ListRange(key=b"list", start=0, stop=-1).SerializeToString(),
    }[method]

    # Each stream fills its buffer, and a connection takes no more calls when it holds 32 MiB.
    at_once = 50 if method == "LRangeStream" else CANCELS

    def shape() -> None:
        connection = Connection(nodes[0].address, window=20_000)
        connection.exchange_settings()
        for _ in range(CALLS // CANCELS // 4):
            for _ in range(at_once):
                assert connection.start(headers(SERVICE + "Get"), message(KEY)) is not None
                taken = connection.start(headers(SERVICE + method), message(request))
                assert taken is not None
                if method != "LRangeStream":
                    connection.out += frame(RST_STREAM, 0, taken, CANCEL)
            if method == "LRangeStream":
                taken = [one for one, reply in connection.replies.items() if not reply.ended]
                while any(not connection.replies[one].data for one in taken[1::2]):
                    connection.flush()
                    connection.receive()
                for one in taken[1::2]:
                    connection.out += frame(RST_STREAM, 0, one, CANCEL)
            while connection.out:
                connection.flush()
            connection.read_replies(at_once)
            assert not connection.closed, connection.goaway_text
            connection.replies.clear()
            connection.finished.clear()
        connection.close()

    assert max(grown(nodes, shape)) < TOLERANCE_BYTES


def test_calls_that_the_node_ends_leave_nothing_behind(nodes):
    def shape() -> None:
        connection = Connection(nodes[0].address)
        connection.exchange_settings()
        for _ in range(CALLS // STREAMS):
            for _ in range(STREAMS):
                connection.start(UNKNOWN, message(KEY), end=False)
            while connection.out:
                connection.flush()
            connection.read_replies(STREAMS)
            assert not connection.closed, connection.goaway_text
        connection.close()

    assert max(grown(nodes, shape)) < TOLERANCE_BYTES
