"""Snapshots by an operator's command: on all shards at once, while calls are made."""

import json
import shutil
from pathlib import Path

import grpc
import pytest
from harness.client import Client, explain
from harness.cluster import start_local, start_router, start_shard
from harness.polling import eventually
from harness.process import Node, run
from ringstore.v1 import cluster_pb2, cluster_pb2_grpc

KEYS = 3_000


def keeping(directory: Path, names: str = "abc") -> tuple[dict[str, Node], Node]:
    """A router, and shards that keep their data."""
    shards = {name: start_shard(name, "--data-dir", str(directory / name)) for name in names}
    for shard in shards.values():
        eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")
    return shards, start_router(shards)


@pytest.fixture
def cluster(tmp_path: Path):
    shards, router = keeping(tmp_path)
    yield shards, router
    for node in [router, *shards.values()]:
        node.stop()


def snapshot(node: Node, *words: str):
    return run("admin", "snapshot", *words, "--server", node.address)


def test_every_shard_has_a_pass_and_what_was_written_before(cluster, tmp_path):
    shards, router = cluster
    with Client(router.address) as client:
        for number in range(KEYS):
            client.set(b"key-%d" % number, b"value-%d" % number)
    done = snapshot(router, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["shards"]
    assert [each["shard"] for each in told] == ["a", "b", "c"]
    assert sum(each["keys"] for each in told) == KEYS
    for name in shards:
        assert list((tmp_path / name).glob("pass-" + "[0-9]" * 20))
    shards["a"].kill()
    again = start_shard("a", "--data-dir", str(tmp_path / "a"))
    eventually(lambda: again.log_lines("the data is loaded"), "the data loaded")
    with Client(again.address) as client:
        assert client.size() == next(each["keys"] for each in told if each["shard"] == "a")
    again.stop()
    assert "SHARD" in snapshot(shards["b"]).stdout


def test_any_client_sees_how_far_it_is(cluster):
    _, router = cluster
    with grpc.insecure_channel(router.address) as channel:
        stub = cluster_pb2_grpc.ClusterStub(channel)
        messages = list(stub.Snapshot(cluster_pb2.SnapshotRequest(), timeout=60))
    assert {each.shard for each in messages[-1].shards} == {"a", "b", "c"}
    assert all(each.complete for each in messages[-1].shards)


def test_a_shard_in_memory_says_so():
    node = start_local()
    try:
        done = snapshot(node)
        assert done.returncode == 1 and "in memory only" in done.stderr
        with grpc.insecure_channel(node.address) as channel:
            stub = cluster_pb2_grpc.ClusterStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                list(stub.Snapshot(cluster_pb2.SnapshotRequest(), timeout=60))
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert explain(refused.value).message
    finally:
        node.stop()


def test_one_that_is_killed_meanwhile_fails_it_and_not_the_others(cluster, tmp_path):
    shards, router = cluster
    shards["c"].kill()
    done = snapshot(router)
    assert done.returncode == 1 and "Shard c" in done.stderr
    for name in "ab":
        assert list((tmp_path / name).glob("pass-" + "[0-9]" * 20))
    shutil.rmtree(tmp_path / "c")
