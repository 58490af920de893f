"""Bytes that grpcio would never send, on every shape of server.

The gRPC rules in full are the business of the Swift suite; this sees that the served process keeps
the main ones on a real socket.
"""

import grpc
import pytest
from harness.raw_http2 import DATA, END_STREAM, PREFACE, Connection, frame, headers, message
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
GET = SERVICE + "Get"
KEY = pb.Key(key=b"raw").SerializeToString()
INTERNAL = grpc.StatusCode.INTERNAL.value[0]
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED.value[0]
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


@pytest.fixture
def raw(served, client):
    connection = Connection(served.address)
    connection.exchange_settings()
    yield connection
    connection.close()


def alive(raw: Connection) -> bool:
    return raw.call(GET, KEY).grpc_status == 0


def test_a_call_is_headers_then_data_then_trailers(raw, client):
    client.set(b"raw", b"value")
    reply = raw.call(GET, KEY)
    assert reply.status == 200
    assert dict(reply.blocks[0])["content-type"].startswith("application/grpc")
    assert pb.Value.FromString(reply.data[5:]).value == b"value"
    assert reply.data[:1] == b"\0"
    assert len(reply.data) == 5 + int.from_bytes(reply.data[1:5], "big")
    assert reply.grpc_status == 0 and len(reply.blocks) == 2


def test_an_error_before_any_message_is_trailers_only(raw):
    reply = raw.call("/ringstore.v1.KeyStore/Nope")
    assert (reply.status, reply.grpc_status) == (200, UNIMPLEMENTED)
    assert len(reply.blocks) == 1 and not reply.data


@pytest.mark.parametrize("timeout", ["", "1", "S", "123456789S", "1x", "-1S", "1.5S", "S1"])
def test_a_malformed_timeout_is_refused(raw, timeout):
    assert raw.call(GET, KEY, [("grpc-timeout", timeout)]).grpc_status == INTERNAL
    assert alive(raw)


@pytest.mark.parametrize("timeout", ["99999999H", "99999999S", "1M", "5000m", "5000000u"])
def test_a_timeout_in_any_unit_is_served(raw, timeout):
    assert raw.call(GET, KEY, [("grpc-timeout", timeout)]).grpc_status == 0


@pytest.mark.parametrize("timeout", ["0n", "1n", "0u", "0S", "00000000H"])
def test_a_call_that_is_late_on_arrival_does_nothing(raw, client, timeout):
    late = [("grpc-timeout", timeout)]
    add = pb.IncrByRequest(key=b"raw", delta=1).SerializeToString()
    assert raw.call(SERVICE + "IncrBy", add, late).grpc_status == DEADLINE_EXCEEDED
    one = pb.Call(id=1, method=pb.METHOD_INCR_BY, request=add)
    batch = pb.CallBatch(calls=[one]).SerializeToString()
    assert raw.call(SERVICE + "Pipeline", batch, late).grpc_status == DEADLINE_EXCEEDED
    many = pb.MSetRequest(items=[pb.KeyValue(key=b"raw", value=b"1")]).SerializeToString()
    assert raw.call(SERVICE + "MSet", many, late).grpc_status == DEADLINE_EXCEEDED
    assert raw.call(SERVICE + "Keys", b"", late).grpc_status == DEADLINE_EXCEEDED
    assert raw.call(SERVICE + "Scan", b"", late).grpc_status == DEADLINE_EXCEEDED
    assert alive(raw)
    assert not client.get(b"raw").found


@pytest.mark.parametrize("fields", [105, 900])
def test_too_many_headers_get_a_status_that_names_the_limits(raw, fields):
    reply = raw.call(GET, KEY, [(f"f{number}", "v") for number in range(fields)])
    assert reply.grpc_status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "100 fields or 16384 bytes" in reply.trailers["grpc-message"]
    assert alive(raw)


def test_a_call_that_never_ends_is_ended_by_its_deadline(raw):
    block = headers(GET, [("grpc-timeout", "200m")])
    stream = raw.start(block, message(KEY)[:-1], end=False)
    assert raw.wait(stream).grpc_status == DEADLINE_EXCEEDED
    assert alive(raw)


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ([(":method", "GET")], 405),
        ([(":method", "PUT")], 405),
        ([("content-type", "application/json")], 415),
        ([("content-type", "text/plain")], 415),
    ],
)
def test_what_is_not_grpc_gets_an_http_status(raw, extra, status):
    assert raw.call(GET, KEY, extra).status == status
    assert alive(raw)


def test_a_content_type_with_a_suffix_is_served(raw):
    assert raw.call(GET, KEY, [("content-type", "application/grpc+proto")]).grpc_status == 0


def send(raw: Connection, body: bytes, extra=()):
    """A Get with these bytes as its whole request body."""
    return raw.wait(raw.start(headers(GET, extra), body))


def test_a_truncated_message_is_refused(raw):
    assert send(raw, message(KEY)[:-1]).grpc_status == INTERNAL
    assert send(raw, b"\0\0").grpc_status == INTERNAL
    assert alive(raw)


def test_a_unary_call_takes_one_message_no_more_and_no_less(raw):
    assert send(raw, b"").grpc_status == UNIMPLEMENTED
    assert send(raw, message(KEY) * 2).grpc_status == UNIMPLEMENTED
    assert alive(raw)


def test_compression_that_was_not_announced_is_refused(raw):
    assert send(raw, b"\1" + message(KEY)[1:]).grpc_status == INTERNAL
    reply = send(raw, b"\1" + message(KEY)[1:], [("grpc-encoding", "snappy")])
    assert reply.grpc_status == UNIMPLEMENTED
    assert "identity" in reply.trailers["grpc-accept-encoding"]
    assert alive(raw)


def test_a_length_over_the_limit_is_refused_before_the_bytes_come(raw):
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    stream = raw.start(headers(GET), b"\0\xff\xff\xff\xff", end=False)
    assert raw.wait(stream).grpc_status == exhausted
    assert alive(raw)


def test_a_message_may_come_a_byte_at_a_time(raw, client):
    client.set(b"raw", b"value")
    stream = raw.start(headers(GET), end=False)
    body = message(KEY)
    for at in range(len(body)):
        flags = END_STREAM if at == len(body) - 1 else 0
        raw.out += frame(DATA, flags, stream, body[at : at + 1])
        raw.flush()
    assert pb.Value.FromString(raw.wait(stream).data[5:]).value == b"value"


def test_garbage_ends_its_own_connection_only(served, client, key):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 20, PREFACE + b"\xff" * 64):
        connection = Connection(served.address)
        connection.out = bytearray(garbage)
        while not connection.closed and not connection.goaway:
            connection.flush()
            connection.receive()
        connection.close()
    assert not client.get(key).found


def test_a_broken_header_block_ends_its_own_connection_only(served, client, key):
    connection = Connection(served.address)
    connection.exchange_settings()
    connection.start(b"\xff" * 32)
    while not connection.closed and not connection.goaway:
        connection.flush()
        connection.receive()
    connection.close()
    assert not client.get(key).found
