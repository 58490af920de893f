"""What hostile clients are known to send, as raw bytes: the attack table of the transport.

Each attack is a function of a `Connection` that has exchanged SETTINGS. It sends its worst, and
ends when the node has ended the connection or has borne everything. `ends` is the reason for which
the node ends connections on which this is sent; empty: it bears it, and refuses calls at most.
"""

import gzip
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.raw_http2 import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, OUR_WINDOW,
    PING, PREFACE, PUSH, RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection, frame, headers, literal,
    message,
)

GET = headers("/ringstore.v1.KeyStore/Get")
# A Get of a key named "k".
BODY = message(b"\x0a\x01k")
PRIORITY_FRAME, MAX_FRAME_SIZE = 2, 5
CANCEL = struct.pack(">I", 8)
# Past every bound on what carries nothing of a call, several times.
FLOOD = 60_000
BATCH = 500


@dataclass(frozen=True)
class Attack:
    """`sends` gives the bytes, piece by piece; `times` is how many pieces at most."""

    name: str
    sends: Callable[[], Iterator[bytes]]
    ends: str = ""
    # Whether calls are refused, which Stats count.
    refuses: bool = False

    def run(self, connection: Connection) -> None:
        for piece in self.sends():
            if connection.closed:
                return
            connection.push(piece)
        connection.finish()


def streams() -> Iterator[int]:
    return iter(range(1, 1 << 31, 2))


def flood(one: bytes, count: int = FLOOD, first: bytes = b"") -> Callable[[], Iterator[bytes]]:
    """The same frame again and again."""

    def pieces() -> Iterator[bytes]:
        yield first
        for _ in range(count // BATCH):
            yield one * BATCH

    return pieces


def calls(make: Callable[[int], bytes], count: int) -> Callable[[], Iterator[bytes]]:
    """Frames made for streams of their own."""

    def pieces() -> Iterator[bytes]:
        ids = streams()
        for _ in range(count // 50):
            yield b"".join(make(next(ids)) for _ in range(50))

    return pieces


def once(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(pieces)


def opened(stream: int, block: bytes = GET, flags: int = 0) -> bytes:
    return frame(HEADERS, END_HEADERS | flags, stream, block)


def taken_back(stream: int) -> bytes:
    """Rapid Reset, CVE-2023-44487."""
    return opened(stream) + frame(RST_STREAM, 0, stream, CANCEL)


def made_to_reset(stream: int) -> bytes:
    """MadeYouReset, CVE-2025-8671: a broken rule makes the node reset the stream."""
    return opened(stream, GET + literal("Upper", b"x"))


# A field that goes into the table once, and thousands of bytes that each name it.
FIELDS = b"\x40\x01b" + b"\x7f\x81\x1e" + b"x" * 4_000 + b"\xbe" * 10_000


def bomb(stream: int) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, GET + FIELDS)


def late_bomb(stream: int) -> bytes:
    """In trailers, which no gRPC client has."""
    return (opened(stream) + frame(DATA, 0, stream, BODY)
            + frame(HEADERS, END_HEADERS | END_STREAM, stream, FIELDS))


# Four times the longest message, in a frame of 16 KiB.
ZEROS = gzip.compress(bytes(15 << 20), 9)


def gzip_bomb(stream: int) -> bytes:
    prefix = b"\1" + struct.pack(">I", len(ZEROS))
    return (opened(stream, GET + literal("grpc-encoding", b"gzip"))
            + frame(DATA, END_STREAM, stream, prefix + ZEROS))


def named(count: int) -> bytes:
    return b"".join(literal(f"name-{at}", b"value") for at in range(count))


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *value) for value in values))


WORDLESS = {
    "PING": (frame(PING, 0, 0, b"attacker"), "too_many_pings"),
    "PING acknowledgements": (frame(PING, ACK, 0, b"attacker"), "too_many_control_frames"),
    "SETTINGS": (settings(), "too_many_control_frames"),
    "PRIORITY": (
        frame(PRIORITY_FRAME, 0, 9, struct.pack(">IB", 0, 16)), "too_many_control_frames"),
    "frames of no known type": (frame(0xFA, 0, 0, b"?"), "too_many_control_frames"),
}

ATTACKS = [
    *(Attack(f"flood of {name}", flood(one), ends) for name, (one, ends) in WORDLESS.items()),
    Attack("flood of empty DATA", flood(frame(DATA, 0, 1), first=opened(1)),
           "too_many_control_frames"),
    Attack("flood of WINDOW_UPDATE",
           flood(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)), first=opened(1)),
           "too_many_control_frames"),
    Attack("flood of padding", flood(frame(DATA, 8, 1, b"\x0a" + bytes(10)), first=opened(1)),
           "too_many_control_frames"),
    Attack("Rapid Reset", calls(taken_back, 40_000), "too_many_resets"),
    Attack("MadeYouReset", calls(made_to_reset, 40_000), "too_many_stream_errors"),
    Attack("flood of CONTINUATION",
           flood(frame(CONTINUATION, 0, 1, literal("a", b"b")), first=frame(HEADERS, 0, 1, GET)),
           "protocol_error"),
    Attack("header bomb", calls(bomb, 200), refuses=True),
    Attack("header bomb in trailers", calls(late_bomb, 200), refuses=True),
    Attack("gzip bomb", calls(gzip_bomb, 100), refuses=True),
    Attack("thousands of header fields",
           calls(lambda one: opened(one, GET + named(1_000)[:16_000], END_STREAM), 200),
           refuses=True),
    Attack("broken header block", once(opened(1, b"\xff" * 64)), "protocol_error"),
    Attack("more streams than allowed", calls(opened, 20_000), "protocol_error"),
    Attack("messages that never end",
           calls(lambda one: opened(one) + frame(DATA, 0, one, b"\0\0\x3f\xff\xff" + bytes(8)),
                 1_000)),
    Attack("a message of 4 GiB",
           calls(lambda one: opened(one) + frame(DATA, 0, one, b"\0\xff\xff\xff\xff"), 500),
           refuses=True),
    Attack("a window above 2^31",
           once(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1)) * 2),
           "protocol_error"),
    Attack("an initial window above 2^31", once(settings((INITIAL_WINDOW_SIZE, 1 << 31))),
           "protocol_error"),
    Attack("frames of at most 0 bytes", once(settings((MAX_FRAME_SIZE, 0))), "protocol_error"),
    Attack("a frame of 16 MiB", once(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(1 << 20)),
           "protocol_error"),
    Attack("a stream that clients can't open", once(opened(2)), "protocol_error"),
    Attack("DATA without a stream", once(frame(DATA, 0, 0, b"x")), "protocol_error"),
    Attack("a push by the client", once(frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + GET)),
           "protocol_error"),
    Attack("streams that count down", once(opened(5, GET, END_STREAM), opened(3, GET, END_STREAM))),
    Attack("bytes behind the end", flood(bytes(1 << 10), first=frame(DATA, 0, 0, b"x")),
           "protocol_error"),
    Attack("TLS where there is none", flood(b"\x16\x03\x01\x02\x00" + bytes(507), 500),
           "protocol_error"),
]

CANCELS_AT_ONCE = 200
POP = headers("/ringstore.v1.KeyStore/LPop")


def cancels(count: int, *, waits: bool) -> Iterator[bytes]:
    """Calls that are taken back at once, as many as are let be; those that wait need no such."""
    # A pop of a list that isn't there waits a minute.
    block, body = (POP, message(b"\x0a\x04none\x18\xe0\xd4\x03")) if waits else (GET, BODY)
    ids = streams()
    for _ in range(count // CANCELS_AT_ONCE):
        piece = bytearray()
        for _ in range(CANCELS_AT_ONCE):
            let_be, taken = next(ids), next(ids)
            piece += opened(let_be) + frame(DATA, END_STREAM, let_be, BODY)
            piece += opened(taken, block) + frame(DATA, END_STREAM, taken, body)
            piece += frame(RST_STREAM, 0, taken, CANCEL)
        yield bytes(piece)



# --- Slow ones -----------------------------------------------------------------------------------

# A value of which several replies fit into no buffer of a system.
LARGE_KEY, LARGE_BYTES, REPLIES = b"large", 300_000, 8


@dataclass(frozen=True)
class SlowAttack:
    """Bytes on a new connection, behind which nothing follows; and what comes is not read."""

    name: str
    sends: bytes
    # The reason for which the node ends the connection; empty: it ends calls only.
    ends: str = ""
    # How many calls the node ends, at least.
    refuses: int = 0
    # On the port of lines.
    lines: bool = False


def begun(*frames: bytes, window: int = OUR_WINDOW) -> bytes:
    more = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", OUR_WINDOW - 65_535))
    return PREFACE + settings((INITIAL_WINDOW_SIZE, window)) + more + b"".join(frames)


def large_gets() -> bytes:
    body = message(b"\x0a" + bytes((len(LARGE_KEY),)) + LARGE_KEY)
    ids = range(1, 2 * REPLIES, 2)
    return b"".join(opened(one) + frame(DATA, END_STREAM, one, body) for one in ids)


SLOW_ATTACKS = [
    SlowAttack("a silent connection", b"", "no_preface"),
    SlowAttack("half a preface", PREFACE[:10], "no_preface"),
    SlowAttack("half a header block", begun(frame(HEADERS, 0, 1, GET)), "slow_headers"),
    SlowAttack("half a request", begun(opened(1), frame(DATA, 0, 1, BODY[:-1])), refuses=1),
    SlowAttack("windows that stay shut", begun(large_gets(), window=0), refuses=REPLIES),
    SlowAttack("replies that stay unread", begun(large_gets()), "unread_replies"),
    SlowAttack("replies to lines that stay unread", b"GET %s\r\n" % LARGE_KEY * REPLIES,
               "unread_replies", lines=True),
]


# --- Lines ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineAttack:
    """The same bytes again and again, and the reason for which the node ends the connection; empty:
    it replies to each command. Then `counts` are the counters of Stats that show them, of a router
    or of a shard."""

    name: str
    piece: bytes
    times: int = 1
    ends: str = "protocol_error"
    counts: tuple[str, ...] = ()


LINE_ATTACKS = [
    LineAttack("a line without an end", b"x" * (1 << 16), 400),
    LineAttack("a word without an end", b"*1\r\n" + b"x" * (1 << 16), 400),
    LineAttack("a thousand million words", b"*1000000000\r\n"),
    LineAttack("a count below zero", b"*-5\r\n"),
    LineAttack("a count of no number", b"*99999999999999999999999\r\n"),
    LineAttack("zeros", bytes(1 << 16), 400),
    LineAttack("an opening of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)),
    LineAttack("commands that are not there", b"NOPE 1 2 3\r\n" * 1_000, 50, "",
               ("ringstore_errors_total",)),
    LineAttack("patterns that take long", b"KEYS (a*)*(a*)*(a*)*$\r\n" * 100, 20, "",
               ("ringstore_calls_keys_total", "ringstore_slices_total")),
]
