"""Clients that ask for much and don't read it: memory stays bounded, nothing is lost, and others
are served."""

import pytest
from harness.client import Client, call
from harness.cluster import Cluster, start_local, start_shard
from harness.memory import Watch
from harness.polling import eventually
from harness.raw_http2 import Connection, headers, message
from ringstore.v1 import keystore_pb2 as pb

# Far above what a node needs for these loads, far below what they would take without bounds.
MEMORY_BYTES = 256 << 20
# What one open call may cost while it waits: a stream with its headers and a small request.
CALL_BYTES = 3_500
SERVICE = "/ringstore.v1.KeyStore/"

PIPELINED = 200_000
VALUE_BYTES = 2_000
BATCH = 500


def test_a_pipeline_that_is_not_read_costs_no_memory_and_loses_nothing(cluster):
    """200,000 Gets of 2 kB each would be 400 MB of replies; they wait where they cost nothing."""
    with Client(cluster.address) as lazy, Client(cluster.address) as other:
        keys = [b"key-%d" % number for number in range(100)]
        for number, key in enumerate(keys):
            lazy.set(key, b"%03d" % number * (VALUE_BYTES // 3))
        sent = 0

        def batches():
            nonlocal sent
            for begin in range(0, PIPELINED, BATCH):
                calls = [
                    call("GET", pb.Key(key=keys[at % len(keys)]), id=at)
                    for at in range(begin, begin + BATCH)
                ]
                sent = begin + BATCH
                yield pb.CallBatch(calls=calls)

        with Watch(cluster.router, *cluster.shards.values()) as watch:
            stream = lazy.stub.Pipeline(batches(), timeout=110)
            # Until the node takes no more: grpcio asks for the next batch when one was written.
            seen = [-1]

            def stands_still() -> bool:
                seen.append(sent)
                return len(seen) > 15 and len(set(seen[-15:])) == 1 and sent > 0

            eventually(stands_still, "the node takes no more, or all")
            for key in keys:
                assert len(other.get(key).value) > 0
            received = 0
            for batch in stream:
                for reply in batch.replies:
                    value = pb.Value.FromString(reply.response).value
                    assert value[:3] == b"%03d" % (reply.id % len(keys)), reply.id
                received += len(batch.replies)
        assert received == sent == PIPELINED
        assert watch.peak < MEMORY_BYTES


LARGE_CALLS = 1_000
LARGE_BYTES = 400_000


class Counting(Connection):
    """Counts the bytes of replies instead of keeping them."""

    def __init__(self, address: str, **options):
        super().__init__(address, **options)
        self.received: dict[int, int] = {}

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == 0:
            self.received[stream] = self.received.get(stream, 0) + len(payload)
            self._credit += len(payload)
            payload = b""
        super()._take(kind, flags, stream, payload)


@pytest.mark.parametrize("values", ["one key", "many keys"])
@pytest.mark.parametrize("asked", ["router", "shard", "local"])
def test_large_replies_that_are_not_read_cost_no_memory_and_are_not_lost(asked, values):
    """1,000 Gets of 400 kB on one connection that reads nothing: 400 MB that no node may hold."""
    keys = [b"large"] if values == "one key" else [b"large-%d" % at for at in range(40)]
    cluster = {"router": Cluster, "shard": start_shard, "local": start_local}[asked]()
    try:
        check_unread_replies(cluster, keys)
    finally:
        cluster.stop()


def check_unread_replies(cluster, keys: list[bytes]) -> None:
    alone = not isinstance(cluster, Cluster)
    nodes = [cluster] if alone else [cluster.router, *cluster.shards.values()]
    with Client(cluster.address) as other:
        for key in keys:
            other.set(key, b"v" * LARGE_BYTES)
        with Watch(*nodes) as watch:
            lazy = Counting(cluster.address)
            lazy.exchange_settings()
            streams = [
                lazy.start(
                    headers(SERVICE + "Get"),
                    message(pb.Key(key=keys[at % len(keys)]).SerializeToString()),
                )
                for at in range(LARGE_CALLS)
            ]
            while lazy.out:
                lazy.flush()
            # Others are served, large replies too, while those of the lazy one lie about.
            for _ in range(20):
                assert len(other.get(keys[0]).value) == LARGE_BYTES
                other.set(b"small", b"v")
            lazy.socket.setblocking(True)
            for stream in streams:
                reply = lazy.wait(stream)
                assert reply.grpc_status == 0, reply
                assert LARGE_BYTES < lazy.received[stream] < LARGE_BYTES + 100
            lazy.close()
        assert watch.peak < MEMORY_BYTES
        assert len(other.get(keys[0]).value) == LARGE_BYTES


LISTED_KEYS = 20_000
LISTERS = 400


def errors(client: Client) -> int:
    """Calls that the node asked, or its shards, ended with an error."""
    counters = client.stats()
    return sum(value for name, value in counters.items() if name.endswith("errors_total"))


@pytest.mark.parametrize("asked", ["router", "shard"])
def test_large_listings_that_are_not_read_are_bounded_and_refused_past_that(asked):
    """400 clients ask for 1.2 MB of keys each and read nothing: 480 MB that no node may hold.

    Without a window, so that the buffers of the sockets don't take it all.
    """
    cluster = {"router": Cluster, "shard": start_shard}[asked]()
    node = cluster.router if asked == "router" else cluster
    try:
        with Client(cluster.address) as other:
            keys = [b"%06d" % number + b"k" * 50 for number in range(LISTED_KEYS)]
            for begin in range(0, LISTED_KEYS, 1_000):
                items = [pb.KeyValue(key=key) for key in keys[begin : begin + 1_000]]
                other.stub.MSet(pb.MSetRequest(items=items))
            with Watch(node) as watch:
                lazy = []
                for _ in range(LISTERS):
                    connection = Counting(cluster.address, window=0)
                    connection.exchange_settings()
                    stream = connection.start(headers(SERVICE + "Keys"), message(b""))
                    connection.flush()
                    lazy.append((connection, stream))
                for number in range(20):
                    other.set(b"other-%d" % number, b"v")
                # Those who read make room for others, so none reads before there was no room.
                eventually(lambda: errors(other) > 0, "a refusal")
                statuses = []
                for connection, stream in lazy:
                    connection.allow(stream, 1 << 24)
                    reply = connection.wait(stream)
                    statuses.append(reply.grpc_status)
                    if reply.grpc_status == 0:
                        assert connection.received[stream] > LISTED_KEYS * 56
                    connection.close()
            assert watch.peak < MEMORY_BYTES
            assert set(statuses) <= {0, 8}
            assert 8 in statuses and statuses.count(0) >= 20
            assert len(other.stub.Keys(pb.KeysRequest()).keys) == LISTED_KEYS + 20
    finally:
        cluster.stop()


def test_large_requests_that_end_nowhere_cost_no_memory(cluster):
    """100 connections each begin many large Sets and never end them."""
    block = headers(SERVICE + "Set")
    with Client(cluster.address) as other, Watch(cluster.router) as watch:
        lazy = []
        for _ in range(50):
            connection = Connection(cluster.address)
            connection.exchange_settings()
            connection.socket.setblocking(False)
            for _ in range(100):
                # A message that says that it has 4 MB, of which 600 bytes come.
                connection.start(block, b"\x00\x00\x40\x00\x00" + b"v" * 600, end=False)
            connection.flush()
            lazy.append(connection)
        for number in range(50):
            other.set(b"key-%d" % number, b"v")
        for connection in lazy:
            connection.abort()
        assert other.size() == 50
    assert watch.peak < MEMORY_BYTES


CONNECTIONS, OUTSTANDING = 100, 1_000


@pytest.mark.parametrize("shape", ["router", "local"])
def test_100000_calls_at_once_all_get_the_right_reply(shape):
    """The node stands still while all are sent, so that it finds them all at once."""
    server = Cluster() if shape == "router" else start_local()
    node = server.router if shape == "router" else server
    try:
        with Client(server.address) as client:
            for number in range(CONNECTIONS):
                client.set(b"key-%d" % number, b"value-%d" % number)
            crowd = [Connection(server.address) for _ in range(CONNECTIONS)]
            for connection in crowd:
                connection.exchange_settings()
            node.pause()
            block = headers(SERVICE + "Get")
            for number, connection in enumerate(crowd):
                body = message(pb.Key(key=b"key-%d" % number).SerializeToString())
                for _ in range(OUTSTANDING):
                    assert connection.start(block, body) is not None
            with Watch(node) as watch:
                for connection in crowd:
                    connection.socket.setblocking(False)
                    connection.flush()
                node.resume()
                right = sum(
                    count_right(connection, b"value-%d" % number)
                    for number, connection in enumerate(crowd)
                )
            assert right == CONNECTIONS * OUTSTANDING
            assert watch.peak < CONNECTIONS * OUTSTANDING * CALL_BYTES
            assert client.set(b"after", b"v").ok
    finally:
        server.stop()


def count_right(connection: Connection, value: bytes) -> int:
    """Reads one connection to its end."""
    connection.socket.setblocking(True)
    right = 0
    while connection.open_streams:
        connection.flush()
        connection.receive()
        assert not connection.closed
        while connection.finished:
            reply = connection.replies.pop(connection.finished.popleft())
            right += reply.grpc_status == 0 and pb.Value.FromString(reply.data[5:]).value == value
    connection.close()
    return right
