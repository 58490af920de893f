"""What clients make a node hold is bounded, and what they don't go on with ends."""

import struct
import time

import grpc
import pytest
from harness.client import Client
from harness.cluster import Cluster, start_shard
from harness.memory import Watch
from harness.polling import eventually
from harness.raw_http2 import (
    GOAWAY, INITIAL_WINDOW_SIZE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection, frame, headers,
    message,
)
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
BUDGET = 64 << 20
# What a node takes besides what it counts: room in buffers, links, the allocator's own.
SLACK = 96 << 20
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
OPTIONS = ("--client-memory-bytes", str(BUDGET))


@pytest.fixture(params=["router", "shard"])
def nodes(request):
    if request.param == "router":
        server = Cluster("a", *OPTIONS, shard_arguments=OPTIONS)
    else:
        server = start_shard("a", *OPTIONS)
    yield [server] if request.param == "shard" else [server.router, server.shards["a"]]
    server.stop()


def window(connection: Connection, size: int) -> None:
    """Gives every stream so much window."""
    connection.settle()
    connection.out += frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, size))
    connection.flush()


def pump(connections, seconds: float) -> None:
    """Reads and writes what there is for so long."""
    for connection in connections:
        connection.socket.setblocking(False)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for connection in connections:
            if connection.closed:
                continue
            try:
                connection.flush()
                connection.receive()
            except ConnectionError:
                connection.closed = True
        time.sleep(0.002)


def test_answers_that_are_not_taken_stay_within_the_budget(nodes):
    with Client(nodes[0].address) as client:
        client.set(b"large", b"x" * 3_000_000)
        block, body = headers(SERVICE + "Get"), message(pb.Key(key=b"large").SerializeToString())
        with Watch(*nodes) as memory:
            connections = [Connection(nodes[0].address) for _ in range(10)]
            for connection in connections:
                window(connection, 0)
                for _ in range(200):
                    connection.start(block, body)
                pump([connection], 0.2)
                # Others never notice.
                assert client.get(b"large").found
            pump(connections, 1)
        assert memory.peak < BUDGET + SLACK
        for connection in connections:
            connection.close()


def test_requests_that_stay_unfinished_stay_within_the_budget(nodes):
    half = message(b"x" * 4_000_000)[:-1]
    with Client(nodes[0].address) as client:
        with Watch(*nodes) as memory:
            connections = [Connection(nodes[0].address) for _ in range(6)]
            for connection in connections:
                connection.settle()
                for _ in range(12):
                    stream = connection.start(headers(SERVICE + "Set"), end=False)
                    for at in range(0, len(half), 16_384):
                        connection.out += frame(0, 0, stream, half[at : at + 16_384])
                pump([connection], 1)
                client.set(b"small", b"value")
        assert memory.peak < BUDGET + SLACK
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("size", [0, 1_000])
def test_a_stream_ends_at_its_deadline_whatever_its_client_takes(nodes, size):
    with Client(nodes[0].address) as client:
        for _ in range(40):
            client.stub.RPush(pb.ListInsert(key=b"list", values=[b"x" * 100_000] * 5))
        request = pb.ListRange(key=b"list", start=0, stop=-1).SerializeToString()
        connection = Connection(nodes[0].address)
        window(connection, size)
        begun = time.monotonic()
        stream = connection.start(
            headers(SERVICE + "LRangeStream", [("grpc-timeout", "2S")]), message(request))
        answer = connection.answers[stream]
        connection.socket.settimeout(0.2)
        while not answer.ended and time.monotonic() - begun < 20:
            if size:
                connection.out += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 100))
            connection.flush()
            try:
                connection.receive()
            except TimeoutError:
                pass
        assert answer.ended
        assert answer.reset not in (None, 0) or answer.grpc_status == DEADLINE_EXCEEDED
        connection.close()


def test_500_cancels_of_answers_read_in_part_leave_the_connection_be(nodes):
    with Client(nodes[0].address) as client:
        for _ in range(4):
            client.stub.RPush(pb.ListInsert(key=b"list", values=[b"x" * 100_000] * 5))
        request = message(pb.ListRange(key=b"list", start=0, stop=-1).SerializeToString())
        connection = Connection(nodes[0].address)
        window(connection, 20_000)
        for _ in range(700):
            stream = connection.start(headers(SERVICE + "LRangeStream"), request)
            while not connection.answers[stream].data and not connection.closed:
                connection.flush()
                connection.receive()
            connection.out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        key = pb.Key(key=b"k").SerializeToString()
        assert connection.call(SERVICE + "Get", key).grpc_status == 0
        assert connection.goaway is None
        connection.close()


def test_a_connection_that_is_ended_is_told_why_once(nodes):
    connection = Connection(nodes[0].address)
    connection.settle()
    seen: list[bytes] = []
    take = connection._take

    def look(kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == GOAWAY:
            seen.append(payload[8:])
        take(kind, flags, stream, payload)

    connection._take = look
    connection.out += frame(2, 0, 1, b"\0\0\0\0\1") * 12_000

    def over() -> bool:
        connection.flush()
        connection.receive()
        return connection.closed

    eventually(over, "the end")
    assert seen == [b"too_many_control_frames"]
