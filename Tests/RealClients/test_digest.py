"""Digests: two clusters of other shapes that hold the same agree, and any change is seen."""

import json

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_local
from harness.process import Node, run
from ringstore.v1 import keystore_pb2 as pb

HASH_SEED = "0123456789abcdef0123456789abcdef"


def digest(node: Node | Cluster) -> dict:
    done = run("admin", "digest", "--json", "--server", node.address)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fill(client: Client, order: range) -> None:
    for number in order:
        client.set(b"key-%d" % number, b"value-%d" % number, database=number % 3)
    client.rpush(b"list", *[b"value-%d" % number for number in range(5_000)])
    client.set(b"large", b"x" * 300_000)
    client.incr(b"number", 41)
    client.incr(b"number")
    kept = pb.KeyValue(key=b"expires", value=b"v", expire_at_unix_millis=4_000_000_000_000)
    client.stub.Set(kept, timeout=60)


@pytest.fixture
def other():
    node = start_local(5, "--hash-seed", HASH_SEED)
    yield node
    node.stop()


def test_two_clusters_are_compared(cluster, other):
    with Client(cluster.address) as one, Client(other.address) as two:
        fill(one, range(500))
        fill(two, range(499, -1, -1))
        first, second = digest(cluster), digest(other)
        assert first["digest"] == second["digest"] and first["keys"] == 504
        assert first["slots"] == second["slots"] and first["expiring_keys"] == 1
        assert len(first["shards"]) == 3 and len(second["shards"]) == 5
        two.rpush(b"list", b"one more")
        changed = digest(other)
        assert changed["digest"] != first["digest"]
        assert changed["lasting_digest"] != first["lasting_digest"]
        differing = [a for a, b in zip(first["slots"], changed["slots"], strict=True) if a != b]
        assert len(differing) == 1
        two.rpop(b"list")
        assert digest(other)["digest"] == first["digest"]
        two.delete(b"expires")
        assert digest(other)["digest"] != first["digest"]
        assert digest(other)["lasting_digest"] == first["lasting_digest"]


def test_a_shard_that_is_away_is_named(cluster):
    cluster.shards["b"].kill()
    done = run("admin", "digest", "--server", cluster.address)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()[1:4]] == ["a", "c", "all"]
    assert "b" in done.stdout.splitlines()[-1]
