"""The memory limit of a shard: what is refused, what is evicted and how well, and that the process
keeps to it."""

import itertools
import random
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.client import Client, refused
from harness.cluster import start_shard
from harness.lines import Lines
from harness.memory import resident_bytes
from harness.polling import eventually
from harness.process import Node
from harness.redis import needs_redis, redis_server
from harness.seeds import seed
from ringstore.v1 import keystore_pb2 as pb

LIMIT = 16 << 20


@pytest.fixture
def start() -> Iterator[object]:
    started: list[Node] = []

    def start(*settings: str) -> Node:
        started.append(start_shard("a", *settings))
        return started[-1]

    yield start
    for node in started:
        node.stop()


def fill(client: Client, count: int, size: int) -> list[int]:
    """Stores values one by one, many in a call. Returns the numbers of those that were refused."""
    refusals = []
    for first in range(0, count, 500):
        numbers = range(first, min(first + 500, count))
        items = [pb.KeyValue(key=b"key:%08d" % number, value=b"v" * size) for number in numbers]
        outcomes = client.stub.MSet(pb.MSetRequest(items=items), timeout=60).items
        for number, outcome in zip(numbers, outcomes):
            if outcome.HasField("error"):
                assert outcome.error.reason == "MEMORY_LIMIT", outcome
                refusals.append(number)
    return refusals


def test_writes_are_refused_and_the_rest_continues(start):
    with Client(start("--max-memory", "16MiB").address) as client:
        refusals = fill(client, 30_000, 1_000)
        kept = refusals[0]
        assert refusals == list(range(kept, 30_000)), "refused from the first on"
        assert 12_000 < kept < 17_000
        with refused("RESOURCE_EXHAUSTED", "MEMORY_LIMIT") as refusal:
            client.set(b"new", b"v")
        assert "16 MiB" in refusal.message and "max_memory" in refusal.message
        assert client.get(b"key:00000000").found
        for number in range(100):
            assert client.delete(b"key:%08d" % number).count == 1
        assert client.set(b"new", b"v").ok
        stats = client.stats()
        assert stats["ringstore_memory_refusals_total"] == len(refusals) + 1
        assert stats["ringstore_evicted_keys_total"] == 0
        assert LIMIT - (1 << 20) < stats["ringstore_used_bytes"] <= LIMIT


def test_a_cache_keeps_its_limit(start):
    """Sizes of all kinds, one after another, expiry and deletions: the process doesn't grow on."""
    shard = start("--max-memory", "16MiB", "--eviction-policy", "allkeys-lru")
    chance = random.Random(seed())
    with Client(shard.address) as client:
        empty = resident_bytes(shard)
        for round_number in range(300):
            most = (300, 3_000, 100_000)[round_number // 10 % 3]
            items = []
            for _ in range(min(400, 800_000 // most)):
                item = pb.KeyValue(key=b"key:%d" % chance.randrange(100_000))
                item.value = bytes(chance.randrange(most))
                if chance.random() < 0.3:
                    item.ttl_millis = chance.randrange(1, 300)
                items.append(item)
            for outcome in client.stub.MSet(pb.MSetRequest(items=items), timeout=60).items:
                assert outcome.HasField("status"), outcome
            numbers = [chance.randrange(100_000) for _ in range(100)]
            doomed = [pb.DeleteRequest(key=b"key:%d" % number) for number in numbers]
            client.stub.MDelete(pb.MDeleteRequest(keys=doomed), timeout=60)
            assert client.stats()["ringstore_used_bytes"] < LIMIT * 17 // 16
        assert client.stats()["ringstore_evicted_keys_total"] > 10_000
        assert client.stats()["ringstore_expired_keys_total"] > 1_000
        # Besides: the allocator's gaps, and the messages of this client.
        assert resident_bytes(shard) - empty < 3 * LIMIT


def restart(shard: Node, limit: str) -> None:
    """Kills it, starts it with another limit, and waits until it has its data."""
    shard.kill()
    shard.arguments = (*shard.arguments[:-1], limit)
    shard.restart()
    eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")


def test_a_shard_that_starts_with_a_lower_limit_serves_within_it(start, tmp_path: Path):
    data = ("--data-dir", str(tmp_path / "data"), "--line-port", "0")
    shard = start(*data, "--eviction-policy", "allkeys-lru", "--max-memory", "16MiB")
    eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")
    with Client(shard.address) as client:
        assert fill(client, 20_000, 1_000) == []
        assert client.stats()["ringstore_used_bytes"] > LIMIT * 15 // 16
        keys = client.size()
    restart(shard, "8MiB")
    with Client(shard.address) as client:
        stats, kept = client.stats(), client.size()
        assert LIMIT * 7 // 16 < stats["ringstore_used_bytes"] <= LIMIT // 2
        assert stats["ringstore_evicted_keys_total"] == keys - kept > keys // 3
    assert f"evicted={keys - kept}" in shard.log_lines("the data is loaded")[0]
    restart(shard, "16MiB")
    with Client(shard.address) as client:
        assert client.size() == kept, "evictions of a start are kept as others are"


ACCESSES, KEYS, VALUE = 200_000, 100_000, b"v" * 200


def zipf(exponent: float) -> list[bytes]:
    """Keys as users ask for them: few often, most seldom."""
    chance = random.Random(seed())
    sums = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(KEYS)))
    names = list(range(KEYS))
    chance.shuffle(names)
    return [b"key:%08d" % names[bisect(sums, chance.random() * sums[-1])] for _ in range(ACCESSES)]


def hits(trace: list[bytes], ask_many) -> int:
    """How many of the keys a cache has, that is given those that it hasn't."""
    found = 0
    for first in range(0, len(trace), 100):
        keys = trace[first : first + 100]
        values = ask_many([(b"GET", key) for key in keys])
        missing = [key for key, value in zip(keys, values) if value is None]
        found += len(keys) - len(missing)
        ask_many([(b"SET", key, VALUE) for key in missing])
    return found


def ask_lines(client: Lines, commands: list[tuple[bytes, ...]]) -> list[bytes | None]:
    for command in commands:
        client.request(*command)
    replies = [client.reply() for _ in commands]
    return [None if reply[:1] == b"-" else reply for reply in replies]


@needs_redis
def test_as_many_hits_as_redis(start):
    """The same trace, and room for as many keys: what is evicted is as good a choice."""
    trace = zipf(0.9)
    policy = ("--maxmemory-policy", "allkeys-lru")
    with redis_server("--maxmemory", "8mb", *policy) as redis:
        redis_hits = hits(trace, redis.ask_many)
        redis_keys = redis.ask(b"DBSIZE")
    assert isinstance(redis_keys, int)
    limit = limit_for(start, redis_keys)
    shard = start("--max-memory", str(limit), "--eviction-policy", "allkeys-lru")
    with Lines(shard.line_port) as lines, Client(shard.address) as client:
        our_hits = hits(trace, lambda commands: ask_lines(lines, commands))
        our_keys = client.size()
    assert abs(our_keys - redis_keys) < redis_keys // 20, "as much room"
    print(f"{our_hits / ACCESSES:.4f} hits, {our_keys} keys; Redis {redis_hits / ACCESSES:.4f}")
    assert our_hits > redis_hits - ACCESSES // 100


def limit_for(start, keys: int) -> int:
    """The limit that leaves room for so many keys of the trace."""
    with Client(start().address) as client:
        fill(client, keys, len(VALUE))
        return client.stats()["ringstore_used_bytes"]
