"""The memory that clients make a node use is bounded, and calls that they abandon end."""

import socket
import struct
import time

import grpc
import pytest
from harness.client import Client
from harness.cluster import HOST, Cluster, start_shard
from harness.memory import Watch
from harness.polling import eventually
from harness.raw_http2 import (
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, OUR_WINDOW, PREFACE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection, frame, headers, message,
)
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
BUDGET = 64 << 20
# What a node takes besides what it counts: room in buffers, links, the allocator's own.
SLACK = 96 << 20
# What a router may hold besides of large replies that are on their way to it.
LARGE_REPLIES = 64 << 20
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
    connection.exchange_settings()
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


def test_replies_that_are_not_read_stay_within_the_budget(nodes):
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


def unread_socket(port: int) -> socket.socket:
    """A client that never reads, with next to no buffer of its own; nor has the node's system
    much, where segments are small."""
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(20)
    client.connect((HOST, port))
    return client


def gets(count: int) -> bytes:
    """A client that gives all the window that there is, and asks for the large value."""
    settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, OUR_WINDOW)
    out = bytearray(PREFACE + frame(SETTINGS, 0, 0, settings))
    out += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", OUR_WINDOW - 65_535))
    block, body = headers(SERVICE + "Get"), message(pb.Key(key=b"large").SerializeToString())
    for stream in range(1, 2 * count, 2):
        out += frame(HEADERS, END_HEADERS, stream, block)
        out += frame(DATA, END_STREAM, stream, body)
    return bytes(out)


@pytest.mark.parametrize("port", ["gRPC", "lines"])
def test_replies_that_sockets_do_not_take_stay_within_the_budget(nodes, port):
    node, clients = nodes[0], []
    with Client(node.address) as client:
        client.set(b"large", b"x" * (600_000 if port == "gRPC" else 60_000))
        asked = gets(2) if port == "gRPC" else b"GET large\n" * 80
        with Watch(*nodes) as memory:
            for number in range(300 if port == "gRPC" else 80):
                clients.append(unread_socket(node.port if port == "gRPC" else node.line_port))
                try:
                    clients[-1].sendall(asked)
                except ConnectionError:
                    pass  # It was among those that hold the most.
                # Others never notice.
                if number % 10 == 0:
                    assert client.get(b"large").found
            name = "connections_cut_memory_budget_total"
            eventually(
                lambda: any(k.endswith(name) and v for k, v in client.stats().items()), "cuts"
            )
            # By then the node has come to all that was asked.
            for _ in range(20):
                assert client.get(b"large").found
        assert memory.peak < BUDGET + SLACK + (LARGE_REPLIES if len(nodes) > 1 else 0)
        for one in clients:
            one.close()


def test_requests_that_stay_unfinished_stay_within_the_budget(nodes):
    half = message(b"x" * 4_000_000)[:-1]
    with Client(nodes[0].address) as client:
        with Watch(*nodes) as memory:
            connections = [Connection(nodes[0].address) for _ in range(6)]
            # At once: a connection that says nothing for ten seconds is cut.
            for connection in connections:
                connection.exchange_settings()
            for connection in connections:
                for _ in range(12):
                    stream = connection.start(headers(SERVICE + "Set"), end=False)
                    for at in range(0, len(half), 16_384):
                        connection.out += frame(0, 0, stream, half[at : at + 16_384])
                pump([connection], 1)
                client.set(b"small", b"value")
        assert memory.peak < BUDGET + SLACK
        for connection in connections:
            connection.close()


def test_clients_that_leave_where_memory_is_short_hold_nothing_up():
    """Those that hold most of it leave, and another one passes the bound, in the same moment."""
    bound, piece = 8 * (4 << 20), 16_000
    node = start_shard("a", "--client-memory-bytes", str(bound))
    half = message(bytes(3_800_000))[:-1]
    crowd = [Connection(node.address) for _ in range(8)]
    last = Connection(node.address)
    for connection in (*crowd, last):
        connection.exchange_settings()
        connection.out += frame(HEADERS, END_HEADERS, 1, headers(SERVICE + "Set"))

    def send(connection: Connection, data: bytes) -> None:
        for at in range(0, len(data), piece):
            connection.out += frame(DATA, 0, 1, data[at : at + piece])
        while connection.out:
            connection.flush()

    with Client(node.address) as client:

        def held() -> int:
            reply = client.cluster.Clients(cluster_pb2.ClientsRequest(), timeout=20)
            return sum(one.held_bytes for one in reply.clients)

        for connection in crowd:
            send(connection, half)
        eventually(lambda: held() > 8 * len(half), "the halves held")
        # Up to a little less than the bound.
        first = (bound - held()) // piece * piece - 2 * piece
        send(last, half[:first])
        eventually(lambda: held() > bound - 4 * piece, "the bound near")
        node.pause()
        for connection in crowd:
            connection.abort()
        send(last, half[first : first + 4 * piece])
        node.resume()
        assert client.set(b"k", b"v").ok
        eventually(lambda: held() < bound // 4, "what they held is free")
    last.close()
    assert node.stop() == 0


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
        reply = connection.replies[stream]
        connection.socket.settimeout(0.2)
        while not reply.ended and time.monotonic() - begun < 20:
            if size:
                connection.out += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 100))
            connection.flush()
            try:
                connection.receive()
            except TimeoutError:
                pass
        assert reply.ended
        assert reply.reset not in (None, 0) or reply.grpc_status == DEADLINE_EXCEEDED
        connection.close()


def test_500_cancels_of_replies_read_in_part_leave_the_connection_open(nodes):
    with Client(nodes[0].address) as client:
        for _ in range(4):
            client.stub.RPush(pb.ListInsert(key=b"list", values=[b"x" * 100_000] * 5))
        request = message(pb.ListRange(key=b"list", start=0, stop=-1).SerializeToString())
        connection = Connection(nodes[0].address)
        window(connection, 20_000)
        for _ in range(700):
            stream = connection.start(headers(SERVICE + "LRangeStream"), request)
            while not connection.replies[stream].data and not connection.closed:
                connection.flush()
                connection.receive()
            connection.out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        key = pb.Key(key=b"k").SerializeToString()
        assert connection.call(SERVICE + "Get", key).grpc_status == 0
        assert connection.goaway is None
        connection.close()


def test_a_connection_that_is_ended_gets_the_reason_once(nodes):
    connection = Connection(nodes[0].address)
    connection.exchange_settings()
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


# --- Clients that are too slow -------------------------------------------------------------------

# Twice what a node waits, and more for a busy machine.
ENDED_SECONDS = 240
VALUE_BYTES, SLOW_CALLS = 1_000_000, 20
CANCEL, RESOURCE_EXHAUSTED = 8, 8


class Dribble:
    """A connection that keeps calls alive by a byte at each turn: of window for their replies, or
    of a request."""

    def __init__(self, address: str):
        key = message(pb.Key(key=b"large").SerializeToString())
        self.raw = Connection(address, window=1)
        self.raw.exchange_settings()
        self.read = [self.raw.start(headers(SERVICE + "Get"), key) for _ in range(SLOW_CALLS)]
        whole = message(pb.KeyValue(key=b"slow", value=bytes(5_000)).SerializeToString())
        self.rest = iter(whole)
        self.written = self.raw.start(headers(SERVICE + "Set"), b"", end=False)
        self.raw.socket.settimeout(0.2)

    def continues(self) -> bool:
        """One turn. Whether a call is still there."""
        open_calls = [one for one in (*self.read, self.written) if not self.is_over(one)]
        for stream in open_calls:
            if stream == self.written:
                self.raw.out += frame(DATA, 0, stream, bytes([next(self.rest)]))
            else:
                self.raw.allow(stream, 1)
        self.raw.flush()
        try:
            self.raw.receive()
        except TimeoutError:
            pass
        assert not self.raw.closed, "the connection itself continues"
        return bool(open_calls)

    def is_over(self, stream: int) -> bool:
        reply = self.raw.replies[stream]
        return reply.ended or reply.reset is not None


def test_a_byte_now_and_then_keeps_nothing_alive():
    """On router and shard at the same time, because it takes as long as they wait."""
    with Cluster("a") as cluster, Client(cluster.address) as client:
        nodes = [cluster.router, cluster.shards["a"]]
        client.set(b"large", bytes(VALUE_BYTES))
        slow = [Dribble(node.address) for node in nodes]
        assert all([one.continues() for one in slow]), "the calls are in progress"
        eventually(lambda: not any([one.continues() for one in slow]), "their ends", ENDED_SECONDS)
        for one in slow:
            assert {one.raw.replies[stream].reset for stream in one.read} == {CANCEL}
            assert one.raw.replies[one.written].grpc_status == RESOURCE_EXHAUSTED
            key = message(pb.Key(key=b"slow").SerializeToString())
            one.raw.socket.settimeout(60)
            another = one.raw.start(headers(SERVICE + "Exists"), key)
            one.raw.allow(another, 1_000)
            assert one.raw.wait(another).grpc_status == 0
            one.raw.close()
        assert not client.get(b"slow").found
