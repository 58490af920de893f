"""RFC 9113's and RFC 7541's rules on raw frames, after the cases of h2spec; with the sections.

Each case sends frames behind a good beginning and says what the node must make of it. An error of
one stream may be followed by one of the connection, as RFC 9113 section 5.4.2 allows.
"""

import socket
import struct
import threading

import pytest
from harness.http2_peer import (
    ACK, END_HEADERS, END_STREAM, PADDED, PRIORITY, PRIORITY_FLAG, Peer, number, page_request,
    settings,
)
from harness.interop import run_our_client
from harness.raw_http2 import (
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, PREFACE, PUSH, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, headers, literal, message,
)
from harness.transport import Plaintext

LIMIT = 16_384  # SETTINGS_MAX_FRAME_SIZE by default
BLOCK = page_request()
WHOLE = END_HEADERS | END_STREAM
CALL = headers("/ringstore.v1.KeyStore/Pipeline")
OPEN = frame(HEADERS, END_HEADERS, 1, CALL)  # a stream that the client has not ended
DONE = frame(HEADERS, WHOLE, 1, BLOCK)  # a page whose reply comes at once

PROTOCOL, SIZE, FLOW = "PROTOCOL_ERROR", "FRAME_SIZE_ERROR", "FLOW_CONTROL_ERROR"
CLOSED, COMPRESSION = "STREAM_CLOSED", "COMPRESSION_ERROR"


def request(extra: tuple = (), **replaced) -> bytes:
    return frame(HEADERS, WHOLE, 1, page_request(extra=extra, **replaced))


# name: what is sent, the error's code
CONNECTION_ERRORS = {
    "4.2 a DATA frame that is too long": (OPEN + frame(DATA, 0, 1, bytes(LIMIT + 1)), SIZE),
    "4.2 a HEADERS frame that is too long": (
        frame(HEADERS, WHOLE, 1, BLOCK + literal("x", b"y") * 4_200), SIZE),
    "4.3 a header block that can't be decoded": (
        frame(HEADERS, WHOLE, 1, b"\x40\x85\xff\xff\xff\xff\xff"), COMPRESSION),
    "4.3 another frame within a header block": (
        frame(HEADERS, END_STREAM, 1, BLOCK) + frame(PRIORITY, 0, 1, bytes(5)), PROTOCOL),
    "4.3 another stream's HEADERS within a header block": (
        frame(HEADERS, END_STREAM, 1, BLOCK) + frame(HEADERS, WHOLE, 3, BLOCK), PROTOCOL),
    "5.1 DATA on an idle stream": (frame(DATA, END_STREAM, 1, b"x"), PROTOCOL),
    "5.1 RST_STREAM on an idle stream": (frame(RST_STREAM, 0, 1, number(8)), PROTOCOL),
    "5.1 WINDOW_UPDATE on an idle stream": (frame(WINDOW_UPDATE, 0, 1, number(100)), PROTOCOL),
    "5.1 CONTINUATION on an idle stream": (frame(CONTINUATION, END_HEADERS, 1, BLOCK), PROTOCOL),
    "5.1.1 a stream with an even number": (frame(HEADERS, WHOLE, 2, BLOCK), PROTOCOL),
    "5.5 an unknown frame within a header block": (
        frame(HEADERS, END_STREAM, 1, BLOCK) + frame(0x16, 0, 0, bytes(8)), PROTOCOL),
    "6.1 DATA without a stream": (frame(DATA, END_STREAM, 0, b"x"), PROTOCOL),
    "6.1 DATA that is all padding and more": (
        OPEN + frame(DATA, END_STREAM | PADDED, 1, b"\x06Test"), PROTOCOL),
    "6.2 HEADERS without a stream": (frame(HEADERS, WHOLE, 0, BLOCK), PROTOCOL),
    "6.2 HEADERS that are all padding and more": (
        frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + BLOCK), PROTOCOL),
    "6.3 PRIORITY of another length": (OPEN + frame(PRIORITY, 0, 1, bytes(4)), SIZE),
    "6.4 RST_STREAM without a stream": (frame(RST_STREAM, 0, 0, number(8)), PROTOCOL),
    "6.4 RST_STREAM of another length": (OPEN + frame(RST_STREAM, 0, 1, bytes(3)), SIZE),
    "6.5 an acknowledgement of SETTINGS with a payload": (frame(SETTINGS, ACK, 0, b"x"), SIZE),
    "6.5 SETTINGS of a stream": (settings((3, 100), stream=1), PROTOCOL),
    "6.5 SETTINGS of another length": (frame(SETTINGS, 0, 0, bytes(3)), SIZE),
    "6.5.2 ENABLE_PUSH is neither 0 nor 1": (settings((2, 2)), PROTOCOL),
    "6.5.2 INITIAL_WINDOW_SIZE above its most": (settings((4, 1 << 31)), FLOW),
    "6.5.2 MAX_FRAME_SIZE below its least": (settings((5, LIMIT - 1)), PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE above its most": (settings((5, 1 << 24)), PROTOCOL),
    "6.7 PING of a stream": (frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7 PING of another length": (frame(PING, 0, 0, bytes(6)), SIZE),
    "6.8 GOAWAY of a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.9 WINDOW_UPDATE by nothing, of the connection": (
        frame(WINDOW_UPDATE, 0, 0, number(0)), PROTOCOL),
    "6.9 WINDOW_UPDATE of another length": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    "6.9.1 the connection's window above its most": (
        2 * frame(WINDOW_UPDATE, 0, 0, number((1 << 31) - 1)), FLOW),
    "6.10 CONTINUATION without a stream": (
        frame(HEADERS, END_STREAM, 1, BLOCK) + frame(CONTINUATION, END_HEADERS, 0, b""), PROTOCOL),
    "6.10 CONTINUATION behind a block's end": (
        OPEN + frame(CONTINUATION, END_HEADERS, 1, b""), PROTOCOL),
    "8.4 PUSH_PROMISE of a client": (
        OPEN + frame(PUSH, END_HEADERS, 1, number(2) + BLOCK), PROTOCOL),
    "RFC 7541 6.1 index 0": (frame(HEADERS, WHOLE, 1, BLOCK + b"\x80"), COMPRESSION),
    "RFC 7541 2.3.3 an index that nothing has": (
        frame(HEADERS, WHOLE, 1, BLOCK + b"\xff\x7f"), COMPRESSION),
    "RFC 7541 4.2 a table larger than it may be": (
        frame(HEADERS, WHOLE, 1, b"\x3f\xe1\x7f\x3f\xe1\xff\x03" + BLOCK), COMPRESSION),
    "RFC 7541 5.2 padding of Huffman's that is too long": (
        frame(HEADERS, WHOLE, 1, BLOCK + b"\x00\x01x\x82\xff\xff"), COMPRESSION),
}

STREAM_ERRORS = {
    "6.9 WINDOW_UPDATE by nothing, of a stream": (
        OPEN + frame(WINDOW_UPDATE, 0, 1, number(0)), PROTOCOL),
    "6.9.1 a stream's window above its most": (
        OPEN + 2 * frame(WINDOW_UPDATE, 0, 1, number((1 << 31) - 1)), FLOW),
    "8.1 trailers that do not end the stream": (
        OPEN + frame(HEADERS, END_HEADERS, 1, literal("x", b"y")), PROTOCOL),
    "8.2.1 a name in capitals": (request((("X-Name", "y"),)), PROTOCOL),
    "8.2.2 a field of the connection": (request((("connection", "keep-alive"),)), PROTOCOL),
    "8.2.2 te with another value": (request((("te", "trailers, deflate"),)), PROTOCOL),
    "8.3 an unknown pseudo-header": (request(test="x"), PROTOCOL),
    "8.3 a response's pseudo-header": (request(status="200"), PROTOCOL),
    "8.3 a pseudo-header behind a field": (
        frame(HEADERS, WHOLE, 1, literal("x", b"y") + BLOCK), PROTOCOL),
    "8.3 a pseudo-header in trailers": (
        OPEN + frame(HEADERS, WHOLE, 1, literal(":method", b"POST")), PROTOCOL),
    "8.3.1 no :method": (request(method=None), PROTOCOL),
    "8.3.1 no :scheme": (request(scheme=None), PROTOCOL),
    "8.3.1 no :path": (request(path=None), PROTOCOL),
    "8.3.1 an empty :path": (request(path=""), PROTOCOL),
    "8.3.1 :method twice": (
        frame(HEADERS, WHOLE, 1, literal(":method", b"GET") + BLOCK), PROTOCOL),
    "8.3.1 :path twice": (
        frame(HEADERS, WHOLE, 1, literal(":path", b"/healthz") + BLOCK), PROTOCOL),
    "8.1.1 content-length of more than comes": (
        frame(HEADERS, END_HEADERS, 1, CALL + literal("content-length", b"9"))
        + frame(DATA, END_STREAM, 1, message(b"")), PROTOCOL),
    "8.1.1 content-length of less than comes": (
        frame(HEADERS, END_HEADERS, 1, CALL + literal("content-length", b"1"))
        + frame(DATA, END_STREAM, 1, message(b"")), PROTOCOL),
    "5.1 DATA behind the client's end": (
        frame(HEADERS, WHOLE, 1, CALL) + frame(DATA, END_STREAM, 1, b"x"), CLOSED),
}


# Where libnghttp2 is milder than the RFC, which asks for an error of the connection. Nothing comes
# of the frame.
MILDER = {
    "5.1.1 a stream whose number is lower than one before is passed over": (
        frame(HEADERS, END_HEADERS, 5, CALL) + frame(HEADERS, WHOLE, 3, BLOCK), "alive"),
    "6.3 PRIORITY without a stream is passed over, as all of PRIORITY is": (
        frame(PRIORITY, 0, 0, bytes(5)), "alive"),
    "6.9.2 INITIAL_WINDOW_SIZE that makes a stream's window overflow ends that stream": (
        OPEN + frame(WINDOW_UPDATE, 0, 1, number((1 << 31) - 65_536)) + settings((4, 65_537)),
        f"RST_STREAM {FLOW}"),
}


@pytest.fixture
def peer(served):
    with Peer(served.address) as opened:
        yield opened


def still_served(address: str) -> bool:
    """Whether another connection is as good as ever."""
    with Peer(address) as other:
        other.send(DONE)
        return other.status(1) == 200


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_an_error_of_the_connection(served, peer, case):
    sent, code = CONNECTION_ERRORS[case]
    peer.send(sent)
    assert peer.verdict() == f"GOAWAY {code}"
    assert peer.until(lambda _: False) is None, "the connection is closed afterwards"
    assert still_served(served.address)


@pytest.mark.parametrize("case", STREAM_ERRORS)
def test_an_error_of_a_stream(served, peer, case):
    sent, code = STREAM_ERRORS[case]
    peer.send(sent)
    assert peer.verdict() in (f"RST_STREAM {code}", f"GOAWAY {code}")
    assert still_served(served.address)


@pytest.mark.parametrize("case", MILDER)
def test_where_the_library_is_milder(served, peer, case):
    sent, verdict = MILDER[case]
    peer.send(sent)
    assert peer.verdict() == verdict
    assert not any(each.kind == HEADERS for each in peer.frames)
    assert still_served(served.address)


@pytest.mark.parametrize(
    "hello",
    [b"INVALID CONNECTION PREFACE\r\n\r\n", PREFACE[:-1] + b"x", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_3_4_a_preface_that_is_none_ends_the_connection(served, hello):
    with Peer(served.address, hello=hello + bytes(64)) as peer:
        assert peer.until(lambda _: False) is None
    assert still_served(served.address)


def test_3_4_settings_are_the_first_frame_of_both(served):
    with Peer(served.address) as peer:
        assert peer.next().kind == SETTINGS
    with Peer(served.address, hello=PREFACE + frame(PING, 0, 0, bytes(8))) as peer:
        assert peer.verdict() == "GOAWAY PROTOCOL_ERROR"


# What has to be passed over, or taken, and leaves the connection as it was.
HARMLESS = {
    "4.1 a frame of an unknown kind": frame(0x16, 0, 0, bytes(8)),
    "4.1 unknown flags": frame(PING, 0x16, 0, bytes(8)),
    "4.1 the reserved bit of a stream's number": frame(PING, 0, 1 << 31, bytes(8)),
    "5.1 PRIORITY on an idle stream": frame(PRIORITY, 0, 9, bytes(4) + b"\x0f"),
    "5.5 a frame of an unknown kind on a stream": frame(0x16, 0, 1, bytes(8)),
    "6.5.2 an unknown setting": settings((0xFF, 1)),
    "6.5.3 SETTINGS again and again": settings((4, 1_000)) + settings((4, 100_000)),
    "6.7 an acknowledgement of a PING that was not sent": frame(PING, ACK, 0, bytes(8)),
    "6.9 WINDOW_UPDATE of the connection": frame(WINDOW_UPDATE, 0, 0, number(1)),
    "7 an unknown code": frame(HEADERS, END_HEADERS, 3, CALL)
    + frame(RST_STREAM, 0, 3, number(0xFF)),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_passed_over(peer, case):
    peer.send(HARMLESS[case])
    peer.send(frame(HEADERS, WHOLE, 5, BLOCK))
    assert peer.status(5) == 200
    assert peer.verdict() == "alive"


REQUESTS = {
    "6.2 padding and a priority": frame(
        HEADERS, WHOLE | PADDED | PRIORITY_FLAG, 1,
        b"\x05" + bytes(4) + b"\x0f" + BLOCK + bytes(5)),
    "6.10 a block in many pieces": frame(HEADERS, END_STREAM, 1, BLOCK[:3]) + b"".join(
        frame(CONTINUATION, 0, 1, BLOCK[at : at + 9]) for at in (3, 12, 21)) + frame(
            CONTINUATION, END_HEADERS, 1, BLOCK[30:]),
    "8.2.2 te: trailers": request((("te", "trailers"),)),
    "8.1 a body and trailers": frame(HEADERS, END_HEADERS, 1, BLOCK) + frame(
        DATA, PADDED, 1, b"\x02hello\0\0") + frame(HEADERS, WHOLE, 1, literal("x", b"y")),
    "RFC 7541 6.3 a table of size 0": frame(HEADERS, WHOLE, 1, b"\x20" + BLOCK),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_in_any_proper_form(peer, case):
    peer.send(REQUESTS[case])
    assert peer.status(1) == 200
    assert peer.verdict() == "alive"


def test_a_ping_is_returned_with_its_payload(peer):
    peer.send(frame(PING, 0, 0, b"payload!"))
    got = peer.until(lambda each: each.kind == PING)
    assert (got.flags, got.stream, got.payload) == (ACK, 0, b"payload!")


def test_6_5_3_settings_are_acknowledged(peer):
    peer.send(settings((4, 100)))
    for _ in range(2):
        assert peer.until(lambda each: each.kind == SETTINGS and each.flags & ACK) is not None


def test_5_1_2_more_streams_than_allowed_are_refused(served):
    with Peer(served.address) as peer:
        first = peer.next()
        allowed = dict(struct.iter_unpack(">HI", first.payload))[3]
        peer.send(frame(SETTINGS, ACK, 0))
        for stream in range(1, 2 * allowed + 3, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, CALL))
        assert peer.verdict() in ("RST_STREAM REFUSED_STREAM", "GOAWAY PROTOCOL_ERROR")
    assert still_served(served.address)


def test_6_9_a_body_comes_only_as_far_as_the_window(served):
    with Peer(served.address, hello=PREFACE + settings((4, 1))) as peer:
        peer.send(DONE)
        got = peer.until(lambda each: each.kind == DATA)
        assert len(got.payload) == 1 and not got.flags & END_STREAM
        body = got.payload
        # A window below nothing, and then enough.
        peer.send(settings((4, 0)) + frame(WINDOW_UPDATE, 0, 1, number(3)))
        got = peer.until(lambda each: each.kind == DATA)
        assert len(got.payload) == 2
        body += got.payload
        peer.send(settings((4, 1_000)))
        got = peer.until(lambda each: each.kind == DATA and each.flags & END_STREAM)
        assert (body + got.payload).decode() == "alive, serving\n"


def test_5_1_frames_of_a_stream_that_was_reset_are_no_error(peer):
    peer.send(OPEN + frame(RST_STREAM, 0, 1, number(8)) + frame(WINDOW_UPDATE, 0, 1, number(9)))
    peer.send(frame(HEADERS, WHOLE, 3, BLOCK))
    assert peer.status(3) == 200


# --- our client against a server that breaks a rule ----------------------------------------------

SERVER_HELLO = frame(SETTINGS, 0, 0)
BAD_SERVERS = {
    "no HTTP/2 at all": b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64),
    "a frame that is too long": SERVER_HELLO + struct.pack(">I", LIMIT + 1)[1:] + bytes(6)
    + bytes(LIMIT + 1),
    "DATA on an idle stream": SERVER_HELLO + frame(DATA, 0, 9, b"x"),
    "HEADERS on an idle stream": SERVER_HELLO + frame(HEADERS, WHOLE, 9, b"\x88"),
    "PUSH_PROMISE that was not allowed": SERVER_HELLO + frame(
        PUSH, END_HEADERS, 1, number(2) + BLOCK),
    "a header block that can't be decoded": SERVER_HELLO + frame(
        HEADERS, WHOLE, 1, b"\x40\x85\xff\xff\xff\xff\xff"),
    "SETTINGS that can't be": SERVER_HELLO + settings((5, 1)),
    "WINDOW_UPDATE past its most": SERVER_HELLO + 2 * frame(
        WINDOW_UPDATE, 0, 0, number((1 << 31) - 1)),
    "GOAWAY at once": SERVER_HELLO + frame(GOAWAY, 0, 0, number(0) + number(2) + b"no"),
    "the end at once": b"",
}


class BadServer:
    """Says the same to every client that has said hello, and closes."""

    def __init__(self, words: bytes):
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(1 << 16)
                    connection.sendall(self._words)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 16):
                        pass
                except OSError:
                    pass

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_a_server_that_breaks_a_rule_fails_the_call(case):
    server = BadServer(BAD_SERVERS[case])
    ended = run_our_client(server.address, Plaintext(), "empty_unary")
    server.stop()
    assert ended.returncode == 1 and ended.stdout.startswith("FAILED empty_unary: "), ended
    assert ended.stderr == ""
