"""A small HTTP/2 client that keeps nothing between the test and the bytes.

grpcio never sends a malformed header, half a frame or a connection cut in mid-call; this does.
It asks the server for an HPACK table of size 0, so every header block means the same wherever it
stands, and a block that was decoded once is known by its bytes.
"""

import itertools
import select
import selectors
import socket
import ssl
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 5, 6, 7, 8, 9,
)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
DEFAULT_WINDOW = 65_535
OUR_WINDOW = (1 << 31) - 1
# A load on which nothing has moved for so long has lost what is missing.
STALL_SECONDS = 60
LAST_PING = b"lastping"
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS = 1, 4, 3


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    header = struct.pack(">I", len(payload))[1:] + bytes((kind, flags))
    return header + struct.pack(">I", stream) + payload


def literal(name: str, value: bytes) -> bytes:
    """One header, never indexed, not Huffman-coded."""
    def text(data: bytes) -> bytes:
        assert len(data) < 127 + 128
        short = bytes((len(data),)) if len(data) < 127 else b"\x7f" + bytes((len(data) - 127,))
        return short + data

    return b"\x10" + text(name.encode()) + text(value)


def headers(path: str, extra: Iterable[tuple[str, str]] = (), method: str = "POST") -> bytes:
    """The header block of a gRPC call; `extra` is added, or replaces what has the same name."""
    fields = {
        ":method": method,
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    } | dict(extra)
    return b"".join(literal(name, value.encode()) for name, value in fields.items())


def message(body: bytes) -> bytes:
    """The gRPC framing of one message."""
    return b"\x00" + struct.pack(">I", len(body)) + body


_decoded: dict[bytes, tuple[tuple[str, str], ...]] = {}


def decode(block: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a header block that uses no dynamic table."""
    if block not in _decoded:
        decoder = hpack.Decoder()
        decoder.max_allowed_table_size = 4096
        fields = decoder.decode(block, raw=True)
        _decoded[block] = tuple((n.decode(), v.decode("latin-1")) for n, v in fields)
    return _decoded[block]


@dataclass
class Reply:
    """What came back on one stream so far."""

    blocks: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    data: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(dict(self.blocks[0])[":status"])

    @property
    def trailers(self) -> dict[str, str]:
        """The last header block: trailers, or all there is in a Trailers-Only reply."""
        return dict(self.blocks[-1])

    @property
    def grpc_status(self) -> int:
        return int(self.trailers.get("grpc-status", "-1"))


class Connection:
    """One connection. Blocking use: `call(...)`; for many at once: `fileno`, `receive`, `flush`."""

    def __init__(
        self,
        address: str,
        timeout: float = 60.0,
        window: int = OUR_WINDOW,
        tls: ssl.SSLContext | None = None,
    ):
        """`window`: what the server may send on each stream before it is given more. `tls`: how the
        connection is encrypted, to a server that is called localhost."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.replies: dict[int, Reply] = {}
        self.goaway: tuple[int, int] | None = None
        self.goaway_text = b""
        self.closed = False
        self.pong = False
        self.max_streams = 100
        self.open_streams = 0
        self.finished: deque[int] = deque()
        self._window = DEFAULT_WINDOW
        self._ids = itertools.count(1, 2)
        self._in = b""
        self._credit = 0
        self._block = b""
        settings = struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, window)
        self.out = bytearray(PREFACE + frame(SETTINGS, 0, 0, settings))
        self.out += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", OUR_WINDOW - DEFAULT_WINDOW))
        self.has_settings = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def start(self, block: bytes, body: bytes = b"", end: bool = True) -> int | None:
        """Queues a call and gives its stream's id; None while the window has no room for it."""
        if len(body) > self._window:
            return None
        self._window -= len(body)
        stream = next(self._ids)
        self.replies[stream] = Reply()
        self.open_streams += 1
        last = END_STREAM if end and not body else 0
        self.out += frame(HEADERS, END_HEADERS | last, stream, block)
        if body:
            self.out += frame(DATA, END_STREAM if end else 0, stream, body)
        return stream

    def flush(self) -> None:
        """Writes what the socket takes."""
        if self.out:
            try:
                sent = self.socket.send(self.out)
                del self.out[:sent]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass

    def receive(self) -> None:
        """Reads what is there and takes in the whole frames among it."""
        try:
            data = self.socket.recv(1 << 18)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            return
        self._in = data = self._in + data
        at, length = 0, len(data)
        while length - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if length - at - 9 < size:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            self._take(data[at + 3], data[at + 4], stream, data[at + 9 : at + 9 + size])
            at += 9 + size
        self._in = data[at:]
        if self._credit > 1 << 24:
            self.out += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._credit))
            self._credit = 0

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._credit += len(payload)
            if flags & PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            self.replies.setdefault(stream, Reply()).data += payload
            self._end(stream, flags)
        elif kind in (HEADERS, CONTINUATION):
            assert not flags & (PADDED | PRIORITY), "a padded header block"
            self._block += payload
            if flags & END_HEADERS:
                self.replies.setdefault(stream, Reply()).blocks.append(decode(self._block))
                self._block = b""
            if kind == HEADERS:
                self._end(stream, flags)
        elif kind == RST_STREAM:
            reply = self.replies.get(stream)
            if reply:
                reply.reset = int.from_bytes(payload, "big")
                if not reply.ended:
                    self._end(stream, END_STREAM)
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, payload)
        elif kind == PING:
            self.pong |= payload == LAST_PING
        elif kind == GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            self.goaway, self.goaway_text = (last, code), payload[8:]
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")

    def _settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            name, value = struct.unpack(">HI", payload[at : at + 6])
            if name == MAX_CONCURRENT_STREAMS:
                self.max_streams = value
        self.out += frame(SETTINGS, ACK, 0)
        self.has_settings = True

    def _end(self, stream: int, flags: int) -> None:
        if flags & END_STREAM:
            self.replies[stream].ended = True
            self.open_streams -= 1
            self.finished.append(stream)

    def wait(self, stream: int) -> Reply:
        """Blocks until that stream has its reply or the connection is gone."""
        reply = self.replies[stream]
        while not (reply.ended or reply.reset is not None or self.closed):
            self.flush()
            self.receive()
        return reply

    def push(self, data: bytes) -> None:
        """Sends bytes as they are, and takes in what comes meanwhile."""
        self.out += data
        self.socket.setblocking(False)
        try:
            while self.out and not self.closed:
                if self.socket in select.select([self.socket], [self.socket], [], STALL_SECONDS)[0]:
                    self.receive()
                self.flush()
        except (ConnectionError, ssl.SSLError):
            self.closed = True
        finally:
            self.socket.settimeout(STALL_SECONDS)

    def finish(self) -> None:
        """Sends a PING: returns when it was acknowledged, or the connection is gone."""
        self.pong = False
        self.push(frame(PING, 0, 0, LAST_PING))
        while not (self.closed or self.pong):
            self.receive()

    def read_replies(self, count: int) -> None:
        """Takes in so many whole replies, and forgets them."""
        while count and not self.closed:
            if not self.finished:
                self.receive()
                continue
            stream = self.finished.popleft()
            count -= self.replies.pop(stream).ended

    def half_close(self) -> None:
        """Sends what is queued and closes the sending side: replies may still come."""
        while self.out:
            self.flush()
        self.socket.shutdown(socket.SHUT_WR)

    def rest(self) -> None:
        """Blocks until the connection is over."""
        while not self.closed:
            self.receive()

    def allow(self, stream: int, size: int) -> None:
        """Queues a WINDOW_UPDATE: the server may send this much more on the stream."""
        self.out += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def exchange_settings(self) -> None:
        """Blocks until the server's first SETTINGS are here and ours are sent."""
        while not self.has_settings and not self.closed:
            self.flush()
            self.receive()
        while self.out:
            self.flush()

    def call(self, path: str, body: bytes = b"", extra: Iterable[tuple[str, str]] = ()) -> Reply:
        """One unary call from begin to end."""
        stream = self.start(headers(path, extra), message(body))
        assert stream is not None
        return self.wait(stream)

    def close(self) -> None:
        self.closed = True
        self.socket.close()

    def abort(self) -> None:
        """Drops the connection without a goodbye: TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@dataclass
class Load:
    """The outcomes of a load: every call is in exactly one of the counts."""

    right: int = 0
    wrong: int = 0
    lost: int = 0
    first_wrong: str = ""

    def add(self, reply: Reply, expected: bytes) -> None:
        good = (
            reply.ended
            and reply.reset in (None, 0)
            and len(reply.blocks) == 2
            and reply.status == 200
            and reply.grpc_status == 0
            and reply.data == expected
        )
        if good:
            self.right += 1
            return
        self.wrong += 1
        self.first_wrong = self.first_wrong or repr(reply)[:500]


def load(
    address: str, connections: int, streams: int, calls: int, block: bytes, body: bytes,
    expected: bytes,
) -> Load:
    """Makes `calls` equal calls, `streams` at once on each connection, and checks every reply.

    `block`, `body` and `expected` are a header block, the request's and the reply's data bytes.
    """
    result = Load()
    left = calls
    selector = selectors.DefaultSelector()
    opened = [Connection(address) for _ in range(connections)]
    for connection in opened:
        connection.exchange_settings()
        connection.socket.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)

    def refill(connection: Connection) -> None:
        nonlocal left
        room = min(streams, connection.max_streams) - connection.open_streams
        while left and room > 0 and connection.start(block, body) is not None:
            left -= 1
            room -= 1

    pending = set(opened)
    for connection in opened:
        refill(connection)
        connection.flush()
    while pending and (left or any(one.open_streams for one in pending)):
        events = selector.select(timeout=STALL_SECONDS)
        if not events:
            break
        for entry, _ in events:
            connection = entry.fileobj
            connection.receive()
            while connection.finished:
                result.add(connection.replies.pop(connection.finished.popleft()), expected)
            if connection.closed:
                selector.unregister(connection)
                pending.discard(connection)
                continue
            refill(connection)
        for connection in pending:
            connection.flush()
    result.lost = calls - result.right - result.wrong
    for connection in opened:
        connection.close()
    selector.close()
    return result
