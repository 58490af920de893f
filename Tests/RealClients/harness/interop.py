"""gRPC's interop tests with grpcio: the cases as a client, and a server of the service for ours.

Names and contents are those of doc/interop-test-descriptions.md in grpc/grpc. What grpcio can't
see, whether one message came compressed, is asked of the bytes in test_interop.py.
"""

import os
import queue
import re
import subprocess
from concurrent import futures

import grpc
import pytest
from harness.process import clean_environment
from harness.transport import Encrypted, Plaintext
from interop import empty_pb2, messages_pb2, test_pb2_grpc

Transport = Plaintext | Encrypted

TIMEOUT_SECONDS = 60.0
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
GZIP, PLAIN = grpc.Compression.Gzip, grpc.Compression.NoCompression
StatusCode = grpc.StatusCode

CASES = (
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong",
    "empty_stream", "cancel_after_begin", "cancel_after_first_response", "custom_metadata",
    "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "timeout_on_sleeping_server", "client_compressed_unary",
    "server_compressed_unary", "client_compressed_streaming", "server_compressed_streaming",
)


def binary() -> str:
    """The interop program, named by RINGSTORE_INTEROP (deploy/test sets it)."""
    path = os.environ.get("RINGSTORE_INTEROP", "")
    if not os.access(path, os.X_OK):
        raise RuntimeError("RINGSTORE_INTEROP must name the interop program; run deploy/test")
    return path


class OurServer:
    """The interop program as a server."""

    def __init__(self, transport: Transport):
        self.process = subprocess.Popen(
            [binary(), "serve", *transport.server_flags], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, env=clean_environment())
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (\d+)\n", line)
        if not found:
            self.stop()
            raise AssertionError(f"the interop server said {line!r}")
        self.address = f"127.0.0.1:{found[1]}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def run_our_client(address: str, transport: Transport, *arguments: str):
    return subprocess.run(
        [binary(), "client", address, *transport.client_flags, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_environment(),
        timeout=TIMEOUT_SECONDS, check=False)


# --- what both sides make -----------------------------------------------------------------------


def payload(size: int) -> messages_pb2.Payload:
    return messages_pb2.Payload(body=bytes(size))


def simple(request: int = 271_828, response: int = 314_159, **more) -> messages_pb2.SimpleRequest:
    return messages_pb2.SimpleRequest(
        payload=payload(request), response_size=response, **more)


def output(*sizes: int, **more) -> messages_pb2.StreamingOutputCallRequest:
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=size) for size in sizes], **more)


def boolean(value: bool) -> messages_pb2.BoolValue:
    return messages_pb2.BoolValue(value=value)


def status_of(call) -> tuple[grpc.StatusCode, str]:
    """The status that a call raises; `call` makes it and reads its end."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


# --- the cases with grpcio as the client --------------------------------------------------------


def empty_unary(stub) -> None:
    assert stub.EmptyCall(empty_pb2.Empty()) == empty_pb2.Empty()


def large_unary(stub) -> None:
    assert stub.UnaryCall(simple()).payload.body == bytes(314_159)


def inputs(*sizes: int, **more):
    return (
        messages_pb2.StreamingInputCallRequest(payload=payload(size), **more) for size in sizes)


def client_streaming(stub) -> None:
    reply = stub.StreamingInputCall(inputs(27_182, 8, 1_828, 45_904))
    assert reply.aggregated_payload_size == 74_922


def server_streaming(stub) -> None:
    sizes = [31_415, 9, 2_653, 58_979]
    replies = stub.StreamingOutputCall(output(*sizes))
    assert [len(reply.payload.body) for reply in replies] == sizes


class Requests:
    """Requests of a stream that are given one by one."""

    def __init__(self):
        self._given = queue.SimpleQueue()

    def give(self, request) -> None:
        self._given.put(request)

    def end(self) -> None:
        self._given.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        request = self._given.get()
        if request is None:
            raise StopIteration
        return request


def ping_pong(stub) -> None:
    requests = Requests()
    replies = stub.FullDuplexCall(requests)
    for response, request in ((31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)):
        requests.give(output(response, payload=payload(request)))
        assert len(next(replies).payload.body) == response
    requests.end()
    assert list(replies) == []


def empty_stream(stub) -> None:
    assert list(stub.FullDuplexCall(iter(()))) == []


def cancel_after_begin(stub) -> None:
    requests = Requests()
    call = stub.StreamingInputCall.future(requests)
    call.cancel()
    requests.end()
    assert call.cancelled() and call.code() is StatusCode.CANCELLED


def cancel_after_first_response(stub) -> None:
    requests = Requests()
    replies = stub.FullDuplexCall(requests)
    requests.give(output(31_415, payload=payload(27_182)))
    assert len(next(replies).payload.body) == 31_415
    replies.cancel()
    requests.end()
    assert status_of(lambda: next(replies))[0] is StatusCode.CANCELLED


def custom_metadata(stub) -> None:
    value, binary_value = "test_initial_metadata_value", b"\xab\xab\xab"
    metadata = ((ECHO_INITIAL, value), (ECHO_TRAILING, binary_value))
    _, call = stub.UnaryCall.with_call(simple(), metadata=metadata)
    stream = stub.FullDuplexCall(
        iter([output(314_159, payload=payload(271_828))]), metadata=metadata)
    for ended in (call, stream):
        assert dict(ended.initial_metadata())[ECHO_INITIAL] == value
        list(stream)
        assert dict(ended.trailing_metadata())[ECHO_TRAILING] == binary_value


def _status(stub, message: str) -> None:
    asked = messages_pb2.EchoStatus(code=StatusCode.UNKNOWN.value[0], message=message)
    wanted = (StatusCode.UNKNOWN, message)
    request = messages_pb2.SimpleRequest(response_status=asked)
    assert status_of(lambda: stub.UnaryCall(request)) == wanted
    duplex = messages_pb2.StreamingOutputCallRequest(response_status=asked)
    assert status_of(lambda: list(stub.FullDuplexCall(iter([duplex])))) == wanted


def status_code_and_message(stub) -> None:
    _status(stub, "test status message")


def special_status_message(stub) -> None:
    _status(stub, SPECIAL)


def unimplemented_method(stub) -> None:
    assert status_of(lambda: stub.UnimplementedCall(empty_pb2.Empty()))[0] is (
        StatusCode.UNIMPLEMENTED)


def unimplemented_service(stub) -> None:
    other = test_pb2_grpc.UnimplementedServiceStub(stub.channel)
    assert status_of(lambda: other.UnimplementedCall(empty_pb2.Empty()))[0] is (
        StatusCode.UNIMPLEMENTED)


def timeout_on_sleeping_server(stub) -> None:
    requests = Requests()
    requests.give(messages_pb2.StreamingOutputCallRequest(payload=payload(27_182)))
    replies = stub.FullDuplexCall(requests, timeout=0.001)
    code = status_of(lambda: list(replies))[0]
    requests.end()
    assert code is StatusCode.DEADLINE_EXCEEDED


def client_compressed_unary(stub) -> None:
    probe = simple(expect_compressed=boolean(True))
    assert status_of(lambda: stub.UnaryCall(probe, compression=PLAIN))[0] is (
        StatusCode.INVALID_ARGUMENT)
    assert len(stub.UnaryCall(probe, compression=GZIP).payload.body) == 314_159
    plain = simple(expect_compressed=boolean(False))
    assert len(stub.UnaryCall(plain, compression=PLAIN).payload.body) == 314_159


def server_compressed_unary(stub) -> None:
    for wanted in (True, False):
        request = simple(response_compressed=boolean(wanted))
        assert stub.UnaryCall(request).payload.body == bytes(314_159)


def client_compressed_streaming(stub) -> None:
    probe = inputs(27_182, expect_compressed=boolean(True))
    assert status_of(lambda: stub.StreamingInputCall(probe, compression=PLAIN))[0] is (
        StatusCode.INVALID_ARGUMENT)
    both = inputs(27_182, 45_904, expect_compressed=boolean(True))
    reply = stub.StreamingInputCall(both, compression=GZIP)
    assert reply.aggregated_payload_size == 73_086


def server_compressed_streaming(stub) -> None:
    request = output(31_415, 92_653)
    request.response_parameters[0].compressed.value = True
    request.response_parameters[1].compressed.value = False
    replies = stub.StreamingOutputCall(request)
    assert [len(reply.payload.body) for reply in replies] == [31_415, 92_653]


def run_case(name: str, channel: grpc.Channel) -> None:
    stub = test_pb2_grpc.TestServiceStub(channel)
    stub.channel = channel
    globals()[name](stub)


# --- a server with grpcio -----------------------------------------------------------------------


class Service(test_pb2_grpc.TestServiceServicer):
    """TestService; UnimplementedCall stays as the generated class has it."""

    @staticmethod
    def _echo(context) -> None:
        metadata = dict(context.invocation_metadata())
        if ECHO_INITIAL in metadata:
            context.send_initial_metadata(((ECHO_INITIAL, metadata[ECHO_INITIAL]),))
        if ECHO_TRAILING in metadata:
            context.set_trailing_metadata(((ECHO_TRAILING, metadata[ECHO_TRAILING]),))

    @staticmethod
    def _fail_if_asked(request, context) -> None:
        if request.response_status.code:
            codes = {code.value[0]: code for code in StatusCode}
            context.abort(codes[request.response_status.code], request.response_status.message)

    def EmptyCall(self, request, context):
        self._echo(context)
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        if request.HasField("response_compressed"):
            context.set_compression(GZIP)
            if not request.response_compressed.value:
                context.disable_next_message_compression()
        self._echo(context)
        self._fail_if_asked(request, context)
        return messages_pb2.SimpleResponse(payload=payload(request.response_size))

    def StreamingInputCall(self, requests, context):
        total = sum(len(request.payload.body) for request in requests)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=total)

    def StreamingOutputCall(self, request, context):
        if any(each.HasField("compressed") for each in request.response_parameters):
            context.set_compression(GZIP)
        for parameters in request.response_parameters:
            if not parameters.compressed.value:
                context.disable_next_message_compression()
            yield messages_pb2.StreamingOutputCallResponse(payload=payload(parameters.size))

    def FullDuplexCall(self, requests, context):
        self._echo(context)
        for request in requests:
            self._fail_if_asked(request, context)
            yield from self.StreamingOutputCall(request, context)


class TheirServer:
    """A grpcio server with the service."""

    def __init__(self, transport: Transport):
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        test_pb2_grpc.add_TestServiceServicer_to_server(Service(), self._server)
        self.address = transport.listen(self._server)
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()
