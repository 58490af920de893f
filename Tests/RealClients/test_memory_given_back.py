"""Memory goes back to the system: of keys that a Reset removed, of connections that have gone, of
what they made a node hold."""

import socket
from collections.abc import Iterator

import pytest
from harness.client import Client
from harness.cluster import HOST, start_shard
from harness.memory import resident_bytes
from harness.polling import eventually
from harness.process import Node
from harness.raw_http2 import Connection, headers
from ringstore.v1 import keystore_pb2 as pb

KEYS, BATCH = 400_000, 4_000
# More than what counts as a crowd, 1,000.
CONNECTIONS = 2_500
IDLE_CONNECTION_BYTES_MAX = 12 << 10
FEW_CONNECTIONS, HALVES, HALF_BYTES = 10, 500, 16_000
SET = "/ringstore.v1.KeyStore/Set"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def shard() -> Iterator[Node]:
    started = start_shard()
    yield started
    started.stop()


def test_keys_that_a_reset_removed(shard: Node):
    with Client(shard.address) as client:
        empty = resident_bytes(shard)
        for first in range(0, KEYS, BATCH):
            items = [
                pb.KeyValue(key=b"key:%08d" % number, value=b"v" * 40)
                for number in range(first, first + BATCH)
            ]
            client.stub.MSet(pb.MSetRequest(items=items), timeout=60)
        grown = resident_bytes(shard) - empty
        assert grown > 20 << 20
        assert client.reset() == KEYS
        # Of each page of the store's slabs an eighth stays with malloc.
        eventually(lambda: resident_bytes(shard) - empty < grown // 2, "the memory given back")


@pytest.mark.parametrize("hello", [PREFACE, b"PING\n"], ids=["gRPC", "lines"])
def test_connections_that_have_gone(shard: Node, hello: bytes):
    with Client(shard.address) as client:
        client.get(b"key")
        before = resident_bytes(shard)
        port = shard.port if hello == PREFACE else shard.line_port
        crowd = []
        for _ in range(CONNECTIONS):
            connection = socket.create_connection((HOST, port))
            connection.sendall(hello)
            crowd.append(connection)
        for connection in crowd:
            assert connection.recv(9)
        grown = resident_bytes(shard) - before
        assert CONNECTIONS * 1_000 < grown < CONNECTIONS * IDLE_CONNECTION_BYTES_MAX
        for connection in crowd:
            connection.close()
        eventually(lambda: resident_bytes(shard) - before < grown // 2, "the memory given back")
        client.get(b"key")


def test_half_messages_of_few_connections(shard: Node):
    with Client(shard.address) as client:
        client.get(b"key")
        before = resident_bytes(shard)
        half = b"\x00" + (2 * HALF_BYTES).to_bytes(4, "big") + b"x" * HALF_BYTES
        connections = [Connection(shard.address) for _ in range(FEW_CONNECTIONS)]
        for connection in connections:
            connection.exchange_settings()
            for _ in range(HALVES):
                while connection.start(headers(SET), half, end=False) is None:
                    connection.flush()
                    connection.receive()
            while connection.out:
                connection.flush()
        eventually(lambda: resident_bytes(shard) - before > 50 << 20, "the halves held")
        for connection in connections:
            connection.close()
        eventually(lambda: resident_bytes(shard) - before < 25 << 20, "the memory given back")
        client.get(b"key")
