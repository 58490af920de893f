"""What Cluster.Describe tells about the map and the nodes."""

import re

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_local, start_shard
from harness.process import Node, run
from harness.slots import SLOTS, crc16, owner, slot
from ringstore.v1 import cluster_pb2

Role = State = cluster_pb2.Node


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as started:
        yield started


def test_the_slot_rule_of_these_tests_is_that_of_redis():
    assert crc16(b"123456789") == 0x31C3
    assert slot(b"123456789") == 12739
    assert slot(b"{user1000}.following") == slot(b"{user1000}.followers") == slot(b"user1000")
    assert slot(b"foo{}{bar}") == crc16(b"foo{}{bar}") % SLOTS
    assert slot(b"foo{{bar}}zap") == slot(b"{bar")


def test_the_map_covers_every_slot_once_and_fairly(cluster):
    with Client(cluster.address) as client:
        slot_map = client.describe().map
    assert slot_map.epoch > 0
    assert [shard.id for shard in slot_map.shards] == ["a", "b", "c"]
    expected, held = 0, dict.fromkeys(range(3), 0)
    for entry in slot_map.ranges:
        assert entry.first == expected
        expected = entry.last + 1
        held[entry.shard] += expected - entry.first
    assert expected == SLOTS
    assert max(held.values()) <= -(-101 * SLOTS // 300)


def test_every_key_is_where_the_map_says(cluster):
    with Client(cluster.address) as client:
        client.reset()
        keys = [b"key-%d" % number for number in range(200)] + [b"{tag}1", b"{tag}2", b"a{}b"]
        for key in keys:
            client.set(key, b"v")
        slot_map = client.describe().map
    for name, shard in cluster.shards.items():
        with Client(shard.address) as client:
            assert set(client.keys()) == {k for k in keys if owner(slot_map, k) == name}


def test_a_router_describes_itself_and_its_shards(cluster):
    with Client(cluster.address) as client:
        told = client.describe()
    shards = {node.id: node for node in told.nodes if node.role == Role.SHARD}
    assert set(shards) == {"a", "b", "c"}
    for name, node in shards.items():
        assert node.state == State.SERVING
        assert node.address == cluster.shards[name].address
    routers = [node for node in told.nodes if node.role == Role.ROUTER]
    assert len(routers) == 1
    assert routers[0].state == State.SERVING
    assert routers[0].version in run("--version").stdout


def test_a_shard_describes_itself(key):
    shard = start_shard("z")
    try:
        with Client(shard.address) as client:
            client.set(key, b"v")
            (node,) = client.describe().nodes
        assert (node.id, node.role, node.state) == ("z", Role.SHARD, State.SERVING)
        assert node.keys == 1
        assert node.memory_bytes > 0
        assert node.uptime_millis >= 0
    finally:
        shard.stop()


def test_weights_are_respected():
    shards = {"light": start_shard("light"), "heavy": start_shard("heavy")}
    listed = [
        f"--shard=light={shards['light'].address}",
        f"--shard=heavy={shards['heavy'].address},weight=3",
    ]
    router = Node("router", "--host", "127.0.0.1", "--port", "0", *listed)
    try:
        with Client(router.address) as client:
            slot_map = client.describe().map
        held = {"light": 0, "heavy": 0}
        for entry in slot_map.ranges:
            held[slot_map.shards[entry.shard].id] += entry.last + 1 - entry.first
        assert abs(held["heavy"] - SLOTS * 3 / 4) <= SLOTS * 3 / 4 * 0.01 + 1
    finally:
        for node in (router, *shards.values()):
            node.stop()


def test_all_in_one_process_is_described_like_a_cluster():
    local = start_local(5)
    try:
        with Client(local.address) as client:
            told = client.describe()
        assert len(told.map.shards) == 5
        assert sum(node.role == Role.SHARD for node in told.nodes) == 5
    finally:
        local.stop()


def test_the_version_is_printed():
    printed = run("--version")
    assert printed.returncode == 0
    assert re.search(r"\d+\.\d+", printed.stdout)


def test_shards_tell_how_long_their_calls_took():
    with Cluster("ab", shard_arguments=("--max-memory", "64MiB")) as cluster:
        with Client(cluster.address) as client:
            before = {n.id: n for n in client.describe().nodes}
            for number in range(100):
                client.set(b"key:%d" % number, b"v")
            assert len(client.keys(glob=b"*")) == 100
            after = {n.id: n for n in client.describe().nodes}
        for shard in "ab":
            assert after[shard].memory_limit_bytes == 64 << 20
            assert len(after[shard].durations) <= 97
        counted = sum(sum(after[s].durations) - sum(before[s].durations) for s in "ab")
        # Slices of calls that concern every shard are no calls of their own.
        assert counted == 100
        assert list(after["router"].durations) == []
