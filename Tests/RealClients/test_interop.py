"""gRPC's public interop cases between our transport and grpcio, both ways."""

import gzip

import pytest
from interop import messages_pb2
from harness.interop import (
    CASES, OurServer, TheirServer, boolean, output, run_case, run_our_client, simple,
)
from harness.raw_http2 import Connection, headers, message
from harness.transport import TRANSPORTS, Plaintext

SERVICE = "/grpc.testing.TestService/"
# Cases in which a server has to tell whether a message came compressed; grpcio's can't.
PROBED = ("client_compressed_unary", "client_compressed_streaming")


@pytest.fixture(scope="module", params=TRANSPORTS)
def transport(request):
    return TRANSPORTS[request.param]()


@pytest.fixture(scope="module")
def ours(transport):
    server = OurServer(transport)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def theirs(transport):
    server = TheirServer(transport)
    yield server
    server.stop()


@pytest.fixture
def channel(ours, transport):
    with transport.channel(ours.address) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES)
def test_grpcio_as_the_client(channel, case):
    run_case(case, channel)


@pytest.mark.parametrize("case", CASES)
def test_grpcio_as_the_server(theirs, transport, case):
    probes = ("--without-probes",) if case in PROBED else ()
    ended = run_our_client(theirs.address, transport, *probes, case)
    assert (ended.returncode, ended.stdout) == (0, f"ok {case}\n"), ended.stdout


def test_our_client_and_our_server(ours, transport):
    ended = run_our_client(ours.address, transport, *CASES)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout == "".join(f"ok {case}\n" for case in CASES)


def test_a_case_that_is_none_fails(ours, transport):
    ended = run_our_client(ours.address, transport, "no_such_case")
    assert (ended.returncode, ended.stdout) == (
        1, "FAILED no_such_case: there is no such case\n")


# --- compression in the bytes -------------------------------------------------------------------


@pytest.fixture(scope="module")
def readable():
    """Our server without encryption, whose bytes can be read."""
    server = OurServer(Plaintext())
    yield server
    server.stop()


@pytest.fixture
def raw(readable):
    connection = Connection(readable.address)
    connection.exchange_settings()
    yield connection
    connection.close()


ACCEPTS = [("grpc-accept-encoding", "identity, deflate, gzip")]


def messages(data: bytes):
    """The messages of a body, each with its flag."""
    found = []
    while data:
        length = int.from_bytes(data[1:5], "big")
        found.append((data[0], data[5 : 5 + length]))
        data = data[5 + length :]
    return found


@pytest.mark.parametrize("wanted", [True, False])
def test_a_response_is_compressed_where_that_is_requested(raw, wanted):
    request = simple(8, 314_159, response_compressed=boolean(wanted)).SerializeToString()
    reply = raw.call(SERVICE + "UnaryCall", request, ACCEPTS)
    [(flag, body)] = messages(reply.data)
    assert reply.grpc_status == 0 and flag == wanted
    assert dict(reply.blocks[0])["grpc-encoding"] == "gzip"
    plain = gzip.decompress(body) if wanted else body
    response = messages_pb2.SimpleResponse.FromString(plain)
    assert response.payload.body == bytes(314_159)


def test_each_message_of_a_stream_is_compressed_or_not_by_itself(raw):
    request = output(31_415, 92_653)
    request.response_parameters[0].compressed.value = True
    request.response_parameters[1].compressed.value = False
    reply = raw.call(SERVICE + "StreamingOutputCall", request.SerializeToString(), ACCEPTS)
    assert [flag for flag, _ in messages(reply.data)] == [1, 0]


@pytest.mark.parametrize("accepted", [[], [("grpc-accept-encoding", "identity,deflate")]])
def test_a_client_that_takes_no_gzip_gets_none(raw, accepted):
    request = simple(8, 314_159, response_compressed=boolean(True)).SerializeToString()
    reply = raw.call(SERVICE + "UnaryCall", request, accepted)
    assert [flag for flag, _ in messages(reply.data)] == [0]
    assert "grpc-encoding" not in dict(reply.blocks[0])


def test_a_request_in_gzip_gets_a_reply_in_gzip(raw):
    request = gzip.compress(simple(100, 2_000).SerializeToString())
    block = headers(SERVICE + "UnaryCall", [("grpc-encoding", "gzip"), *ACCEPTS])
    reply = raw.wait(raw.start(block, b"\1" + message(request)[1:]))
    [(flag, body)] = messages(reply.data)
    assert flag == 1
    response = messages_pb2.SimpleResponse.FromString(gzip.decompress(body))
    assert response.payload.body == bytes(2_000)
