"""LRangeStream: lists of any length in chunks of one state, whatever writers do meanwhile."""

import threading

import grpc
import pytest
from harness.client import Client, refused
from harness.cluster import Cluster, start_shard
from harness.polling import eventually
from ringstore.v1 import keystore_pb2 as pb

PUSH = 10_000
CHUNK_BYTES = 64 << 10


def fill(client: Client, key: bytes, count: int, value=lambda number: b"%d" % number) -> None:
    """A list of so many values, each made from its number."""
    for begin in range(0, count, PUSH):
        values = [value(number) for number in range(begin, min(count, begin + PUSH))]
        message = pb.ListInsert(key=key, values=values)
        assert client.stub.RPush(message, timeout=30).count == begin + len(values)


def joined(chunks, first: int = 0) -> list[bytes]:
    """The values of chunks that follow each other without a gap and tell one length."""
    values: list[bytes] = []
    lengths = set()
    for chunk in chunks:
        assert chunk.found
        assert chunk.first_index == first + len(values)
        assert len(chunk.values) == 1 or sum(map(len, chunk.values)) < 2 * CHUNK_BYTES
        values += chunk.values
        lengths.add(chunk.length)
    assert len(lengths) == 1
    return values


LENGTH = 50_000


@pytest.fixture
def filled(client, key):
    fill(client, key, LENGTH)
    return client


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, -1), (0, LENGTH * 2), (100, 30_000), (-20_000, -1), (-LENGTH * 2, 10), (7, 7), (-1, -1)],
)
def test_a_range_comes_whole_and_in_order(filled, key, start, stop):
    first = max(0, start + LENGTH if start < 0 else start)
    last = min(LENGTH - 1, stop + LENGTH if stop < 0 else stop)
    chunks = list(filled.lstream(key, start, stop))
    assert joined(chunks, first) == [b"%d" % number for number in range(first, last + 1)]
    assert chunks[0].length == LENGTH


@pytest.mark.parametrize(("start", "stop"), [(LENGTH, -1), (5, 4), (-1, 0)])
def test_an_empty_range_is_one_chunk_without_values(filled, key, start, stop):
    (chunk,) = filled.lstream(key, start, stop)
    assert (chunk.found, chunk.length, list(chunk.values)) == (True, LENGTH, [])


def test_a_missing_list_is_one_chunk_that_says_so(client, key):
    (chunk,) = client.lstream(key)
    assert (chunk.found, chunk.length, list(chunk.values)) == (False, 0, [])


def test_what_is_no_list_is_refused(client, key):
    client.set(key, b"v")
    with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
        list(client.lstream(key))
    with refused("INVALID_ARGUMENT", "INVALID_KEY"):
        list(client.lstream(b""))
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        list(client.lstream(key, database=16))


def test_short_lists_are_the_same_as_with_lrange(client, key):
    client.rpush(key, b"a", b"", b"\x00\xff")
    (chunk,) = client.lstream(key, 1, -1)
    assert chunk == client.lrange(key, 1, -1)


@pytest.mark.parametrize("large", [CHUNK_BYTES, 300_000, 3 << 20])
def test_large_values_come_whole(client, key, large):
    values = [b"%d" % number * large for number in range(3)] + [b"small"]
    for value in values:
        client.rpush(key, value)
    assert joined(client.lstream(key)) == values


def test_a_million_values(client, key):
    fill(client, key, 1_000_000)
    numbers = iter(range(1_000_000))
    total = 0
    for chunk in client.lstream(key, timeout=60):
        assert chunk.length == 1_000_000
        assert chunk.first_index == total
        total += len(chunk.values)
        assert all(value == b"%d" % next(numbers) for value in chunk.values)
    assert total == 1_000_000
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE") as refusal:
        client.lrange(key, 0, -1)
    assert "LRangeStream" in refusal.message
    assert client.lrange(key, 500_000, 500_001).values == [b"500000", b"500001"]
    client.delete(key)
    assert not client.lrange(key, 0, -1).found


@pytest.mark.parametrize("kind", ["queue", "stack", "overwritten"])
def test_all_chunks_show_one_state_under_writes(client, key, kind):
    """Values are numbered, so every state of the list can be told from its first value."""
    fill(client, key, LENGTH)
    stop = threading.Event()
    turns = 0

    def churn() -> None:
        nonlocal turns
        with Client(client.address) as writer:
            number = LENGTH
            while not stop.is_set():
                if kind == "queue":
                    writer.rpush(key, b"%d" % number, b"%d" % (number + 1))
                    writer.lpop(key)
                    number += 2
                elif kind == "stack":
                    writer.rpop(key)
                    writer.rpop(key)
                    count = writer.llen(key)
                    writer.rpush(key, *(b"%d" % n for n in range(count, count + 4)))
                else:
                    writer.delete(key)
                    fill(writer, key, LENGTH)
                turns += 1

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for _ in range(8):
            begun = turns
            chunks = []
            for chunk in client.lstream(key, timeout=30):
                chunks.append(chunk)
            if chunks[0].found:
                values = [int(value) for value in joined(chunks)]
                assert values == list(range(values[0], values[0] + chunks[0].length))
            plain = client.lrange(key, 0, -1)
            numbers = [int(value) for value in plain.values]
            assert len(numbers) == plain.length
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else 1
            eventually(lambda begun=begun: turns > begun, "writes meanwhile")
    finally:
        stop.set()
        writer.join()


def wide(number: int) -> bytes:
    return b"%06d" % number * 160


WIDE = 24_000  # some 23 MB


def test_a_slow_reader_sees_the_old_state_and_delays_no_other(client, key):
    fill_wide(client, key)
    stream = client.lstream(key, timeout=60)
    chunks = [next(stream)]
    with Client(client.address) as other:
        assert other.delete(key).count == 1
        fill(other, key, 10)
        assert joined(other.lstream(key)) == [b"%d" % number for number in range(10)]
        for number in range(100):
            other.set(b"small-%d" % number, b"v")
            assert other.get(b"small-%d" % number).found
    chunks += stream
    assert joined(chunks) == [wide(number) for number in range(WIDE)]


def fill_wide(client: Client, key: bytes) -> None:
    for begin in range(0, WIDE, 2_000):
        client.rpush(key, *(wide(number) for number in range(begin, begin + 2_000)))


@pytest.mark.parametrize("end", ["cancel", "deadline", "gone"])
def test_an_abandoned_stream_releases_its_view(client, key, end):
    fill_wide(client, key)
    with Client(client.address) as leaver:
        stream = leaver.lstream(key, timeout=0.5 if end == "deadline" else 60)
        next(stream)
        client.delete(key)
        if end != "deadline":
            eventually(lambda: client.stats()["ringstore_pinned_bytes"] > 0, "the view seen")
        if end == "cancel":
            stream.cancel()
        if end == "deadline":
            # Not read until the deadline has passed.
            eventually(stream.done, "the deadline")
            with refused("DEADLINE_EXCEEDED"):
                list(stream)
    eventually(lambda: client.stats()["ringstore_pinned_bytes"] == 0, "the view is released")


# --- bounds ----------------------------------------------------------------------------------


def start(shape: str, *arguments: str):
    """A cluster or a lone shard whose shards have these settings."""
    if shape == "shard":
        return start_shard("a", *arguments)
    return Cluster("ab", shard_arguments=arguments)


@pytest.mark.parametrize("shape", ["router", "shard"])
@pytest.mark.parametrize(
    "bound",
    [("--max-pinned-bytes", "1048576"), ("--max-pinned-seconds", "1")],
    ids=["bytes", "time"],
)
def test_a_view_past_its_bounds_ends_with_view_expired(shape, bound):
    server = start(shape, *bound)
    try:
        with Client(server.address) as client, Client(server.address) as other:
            fill_wide(client, b"list")
            stream = client.lstream(b"list", timeout=60)
            chunks = [next(stream)]
            # From here on only the stream holds what was removed from the list.
            other.delete(b"list")
            expire(other, *bound)
            with refused("ABORTED", "VIEW_EXPIRED"):
                for chunk in stream:
                    chunks.append(chunk)
            values = joined(chunks)
            assert len(values) < WIDE
            # What came is right as far as it goes.
            assert values == [wide(number) for number in range(len(values))]
            eventually(lambda: other.stats()["ringstore_pinned_bytes"] == 0, "nothing pinned")
            fill(other, b"list", 100)
            assert len(joined(other.lstream(b"list"))) == 100
    finally:
        server.stop()


def expire(client: Client, setting: str, _: str) -> None:
    """Returns once the view has expired."""
    if setting == "--max-pinned-bytes":
        client.set(b"another", b"v")
    eventually(lambda: client.stats()["ringstore_views_expired_total"] == 1, "the view's end")


def outcome(stream) -> str:
    """Reads it to its end."""
    try:
        for _ in stream:
            pass
        return "whole"
    except grpc.RpcError as error:
        return error.code().name


def test_unread_streams_hold_no_more_than_their_bound():
    """Six readers that don't read, of lists that are gone: the shard keeps what it may keep."""
    bound = 64 << 20
    shard = start_shard("a", "--max-pinned-bytes", str(bound))
    try:
        with Client(shard.address) as writer:
            readers, streams = [], []
            for number in range(6):
                fill_wide(writer, b"list-%d" % number)
                reader = Client(shard.address)
                stream = reader.lstream(b"list-%d" % number, timeout=60)
                next(stream)
                readers.append(reader)
                streams.append(stream)
                writer.delete(b"list-%d" % number)
                assert writer.stats()["ringstore_pinned_bytes"] <= bound
            outcomes = [outcome(stream) for stream in streams]
            # The oldest pay first.
            assert outcomes[0] == "ABORTED"
            assert outcomes[-1] == "whole"
            for reader in readers:
                reader.close()
    finally:
        shard.stop()
