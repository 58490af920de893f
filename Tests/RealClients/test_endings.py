"""How connections end: what clients are told last, those that close their own side, and those that
take too little until their deadline."""

import struct
from contextlib import closing

import pytest
from harness.client import Client
from harness.cluster import start_shard
from harness.memory import resident_bytes
from harness.polling import eventually
from harness.raw_http2 import PING, WINDOW_UPDATE, Connection, frame, headers, message
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
VALUE = b"v" * 3_900_000
KEY = pb.Key(key=b"large").SerializeToString()
OK, CANCEL = 0, 8
ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, PROTOCOL_ERROR = 11, 3, 1
# A flood continues while the server sends its last frames.
BURST = 4_000
WINDOW_MAX = struct.pack(">I", (1 << 31) - 1)


def last_words(address: str, burst: bytes) -> tuple[int, bytes]:
    """The code and the text of GOAWAY, as a client gets them that sends all this at once."""
    with closing(Connection(address)) as raw:
        raw.exchange_settings()
        raw.socket.sendall(burst)
        # So that bytes are on their way to a socket that the server has done with.
        raw.rest()
        assert raw.goaway is not None, "no GOAWAY"
        return raw.goaway[1], raw.goaway_text


@pytest.mark.parametrize(
    ("burst", "code", "text"),
    [
        (frame(PING, 0, 0, bytes(8)) * BURST, ENHANCE_YOUR_CALM, b"too_many_pings"),
        (frame(99, 0, 0) * 40_000, ENHANCE_YOUR_CALM, b"too_many_control_frames"),
        (frame(WINDOW_UPDATE, 0, 0, WINDOW_MAX) * BURST, FLOW_CONTROL_ERROR, b"protocol_error"),
        (frame(PING, 0, 3, bytes(8)) * BURST, PROTOCOL_ERROR, b"protocol_error"),
        (frame(PING, 0, 0, bytes(9)) * BURST, 6, b"protocol_error"),
    ],
    ids=["pings", "unknown frames", "window overflow", "a ping on a stream", "a long ping"],
)
def test_a_client_that_is_cut_in_mid_flood_reads_why(served, burst, code, text):
    for _ in range(10):
        assert last_words(served.address, burst) == (code, text)


def test_a_client_without_http2_gets_an_error(served):
    with closing(Connection(served.address)) as raw:
        raw.out[:] = b"GET / HTTP/1.1\r\n\r\n" * 1_000
        while raw.out:
            raw.flush()
        raw.rest()
        assert (raw.goaway, raw.goaway_text) == ((0, PROTOCOL_ERROR), b"protocol_error")


# --- Clients that close their side ---------------------------------------------------------------


def test_a_client_that_closes_its_side_gets_its_replies(served, client):
    client.set(b"large", VALUE)
    with closing(Connection(served.address)) as raw:
        raw.exchange_settings()
        add = pb.IncrByRequest(key=b"count", delta=1).SerializeToString()
        small = raw.start(headers(SERVICE + "IncrBy"), message(add))
        large = [raw.start(headers(SERVICE + "Get"), message(KEY)) for _ in range(3)]
        half = raw.start(headers(SERVICE + "IncrBy"), message(add)[:-1], end=False)
        raw.half_close()
        raw.rest()
        assert raw.replies[small].grpc_status == OK
        for stream in large:
            assert raw.replies[stream].grpc_status == OK
            assert pb.Value.FromString(raw.replies[stream].data[5:]).value == VALUE
        # A request that isn't whole never will be.
        assert raw.replies[half].reset == CANCEL
    assert client.get(b"count").value == b"1"


def test_a_client_that_closes_its_side_and_has_no_call_is_closed(served, client):
    with closing(Connection(served.address)) as raw:
        raw.exchange_settings()
        raw.half_close()
        raw.rest()
        assert raw.goaway is None


def test_calls_without_end_end_with_their_client(served, client):
    """Such a client can't take back a call, or give more window for its replies."""
    def opened() -> int:
        stats = client.stats()
        # Of a router its own, not those of its shards.
        own = "ringstore_router_connections_open"
        return stats[own if own in stats else "ringstore_connections_open"]

    eventually(lambda: opened() == 1, "none but ours")
    with closing(Connection(served.address)) as raw:
        raw.exchange_settings()
        raw.start(headers("/grpc.health.v1.Health/Watch"), message(b""))
        raw.start(headers(SERVICE + "Pipeline"), b"", end=False)
        while raw.out:
            raw.flush()
        raw.receive()
        assert opened() == 2
    eventually(lambda: opened() == 1, "the connection gone")


# --- Deadlines -----------------------------------------------------------------------------------


def test_a_client_that_dribbles_is_left_at_its_deadline():
    """Some bytes of window a second extend no deadline: the call is reset, its memory free."""
    node = start_shard("a")
    calls, value, extra = 150, b"v" * 200_000, [("grpc-timeout", "4S")]
    with Client(node.address) as client, closing(Connection(node.address, window=10)) as raw:
        client.set(b"large", value)
        raw.exchange_settings()
        before = resident_bytes(node)
        streams = [raw.start(headers(SERVICE + "Get", extra), message(KEY)) for _ in range(calls)]
        while raw.out:
            raw.flush()
        eventually(lambda: resident_bytes(node) - before > calls * len(value) // 2, "replies held")
        raw.socket.settimeout(0.5)
        while waiting := [one for one in streams if raw.replies[one].reset is None]:
            for stream in waiting:
                raw.out += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 7))
            try:
                raw.flush()
                raw.receive()
            except TimeoutError:
                continue
            assert not raw.closed
        assert {raw.replies[stream].reset for stream in streams} == {CANCEL}
        sizes = [len(raw.replies[stream].data) for stream in streams]
        assert 0 < min(sizes) and max(sizes) < len(value) // 2, sizes
        most = before + calls * len(value) // 5
        eventually(lambda: resident_bytes(node) < most, "the memory given back")
        assert client.get(b"large").value == value
    assert node.stop() == 0
