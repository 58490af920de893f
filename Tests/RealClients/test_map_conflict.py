"""Two routers over the same shards: with one list they agree, with two they are not both obeyed."""

import grpc
import pytest
from harness.client import Client, explain
from harness.cluster import Cluster, start_router, start_shard
from harness.polling import eventually
from ringstore.v1 import cluster_pb2


@pytest.fixture
def cluster_of_two():
    with Cluster("ab") as started:
        yield started


def test_two_routers_with_the_same_list_serve_the_same_keys(cluster_of_two):
    second = start_router(cluster_of_two.shards)
    try:
        with Client(cluster_of_two.address) as one, Client(second.address) as two:
            for number in range(100):
                one.set(b"key-%d" % number, b"%d" % number)
            for number in range(100):
                assert two.get(b"key-%d" % number).value == b"%d" % number
            assert two.size() == one.size() == 100
            assert one.describe().map.ranges == two.describe().map.ranges
    finally:
        second.stop()


def outcome(client: Client, key: bytes) -> str:
    """"" for a key that is served, or the reason for which it isn't."""
    try:
        client.get(key)
        return ""
    except grpc.RpcError as error:
        told = explain(error)
        return f"{told.reason}: {told.message}"


def test_a_router_with_another_list_is_not_obeyed(cluster_of_two):
    third = start_shard("c")
    wrong = start_router(cluster_of_two.shards | {"c": third})
    try:
        with Client(cluster_of_two.address) as right, Client(wrong.address) as other:
            right.set(b"key", b"value")
            keys = [b"key-%d" % number for number in range(30)]

            def refused() -> list[str]:
                told = [outcome(other, key) for key in keys]
                return [one for one in told if "MAP_CONFLICT" in one]

            eventually(refused, "the conflict shown in an error", 10)
            unreachable = {
                node.id: node.detail
                for node in other.describe().nodes
                if node.state == cluster_pb2.Node.UNREACHABLE
            }
            assert set(unreachable) == {"a", "b"}
            assert all("MAP_CONFLICT" in detail for detail in unreachable.values())
            assert "MAP_CONFLICT" in wrong.log()
            # The router that was there first goes on.
            assert right.get(b"key").value == b"value"
    finally:
        wrong.stop()
        third.stop()


def test_a_shard_refuses_keys_that_its_map_gives_to_another(cluster_of_two):
    with Client(cluster_of_two.address) as router:
        router.set(b"anything", b"v")
        with Client(cluster_of_two.shards["a"].address) as shard:
            told = [outcome(shard, b"key-%d" % number) for number in range(40)]
    assert any(one == "" for one in told)
    refusals = [one for one in told if one]
    assert refusals
    assert all(one.startswith("WRONG_SHARD") and "b" in one for one in refusals)
