"""Raw HTTP/2 for tests of the protocol's own rules: frames out, and what the node makes of them.

Unlike raw_http2 it takes no part in the conversation by itself: it acknowledges nothing and keeps
no windows, so that a test says every byte.
"""

import socket
import struct
from dataclasses import dataclass, field

import hpack

from harness.raw_http2 import (
    GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame, literal,
)

ACK, END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
PRIORITY = 2
CODES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
    "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
    "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)
TIMEOUT_SECONDS = 60.0


@dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


def page_request(path: str = "/healthz", extra: tuple = (), **replaced: str | None) -> bytes:
    """The header block of a GET; `replaced` gives pseudo-headers another value, or none."""
    fields = {"method": "GET", "scheme": "http", "path": path, "authority": "localhost"} | replaced
    block = [(f":{name}", value) for name, value in fields.items() if value is not None]
    return b"".join(literal(name, value.encode()) for name, value in (*block, *extra))


def settings(*values: tuple[int, int], flags: int = 0, stream: int = 0) -> bytes:
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *each) for each in values))


def number(value: int) -> bytes:
    return struct.pack(">I", value)


@dataclass
class Peer:
    """A client's side of a connection that was accepted by its preface and SETTINGS."""

    address: str
    hello: bytes = PREFACE + settings()
    frames: list[Frame] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self):
        host, _, port = self.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_SECONDS)
        self._in = b""
        self.send(self.hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except ConnectionError:
            self.closed = True

    def next(self) -> Frame | None:
        """The next frame of the node's; None at the end of the connection."""
        while len(self._in) < 9 or len(self._in) < 9 + int.from_bytes(self._in[:3], "big"):
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return None
            self._in += data
        size = int.from_bytes(self._in[:3], "big")
        kind, flags = self._in[3], self._in[4]
        stream = int.from_bytes(self._in[5:9], "big") & 0x7FFF_FFFF
        got = Frame(kind, flags, stream, self._in[9 : 9 + size])
        self._in = self._in[9 + size :]
        self.frames.append(got)
        return got

    def until(self, found) -> Frame | None:
        """Reads up to the first frame that `found` takes; None if the connection ends before."""
        while (got := self.next()) is not None:
            if found(got):
                return got
        return None

    def verdict(self) -> str:
        """What the node made of it all: an error's name for the connection ("GOAWAY code") or a
        stream ("RST_STREAM code"), "closed", or "alive": two PINGs behind it had replies. (The
        reply to the first may overtake other frames.)"""
        for payload in (b"alive, 1", b"alive, 2"):
            self.send(frame(PING, 0, 0, payload))
            got = self.until(
                lambda each: each.kind == GOAWAY and each.payload[4:8] != number(0)
                or each.kind == RST_STREAM and each.payload != number(0)
                or each.kind == PING and each.flags & ACK and each.payload.startswith(b"alive"))
            if got is None:
                return "closed"
            if got.kind != PING:
                break
        else:
            return "alive"
        code = int.from_bytes(got.payload[4:8] if got.kind == GOAWAY else got.payload, "big")
        return f"{'GOAWAY' if got.kind == GOAWAY else 'RST_STREAM'} {CODES[code]}"

    def status(self, stream: int) -> int:
        """The HTTP status of the reply to a request."""
        got = self.until(lambda each: each.kind == HEADERS and each.stream == stream)
        assert got is not None, "no response"
        # One of these tests at a time gets its first response; no table is needed.
        return int(hpack.Decoder().decode(got.payload)[0][1])
