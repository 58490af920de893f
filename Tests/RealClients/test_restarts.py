"""A shard that came back empty is told from one that was only out of reach: in the log, in Stats
and in Describe."""

import grpc
import pytest
from harness.client import Client
from harness.cluster import Cluster
from harness.log_events import events
from harness.polling import eventually
from harness.slots import keys_of
from ringstore.v1 import cluster_pb2

pytestmark = pytest.mark.usefixtures("quick_links")

THREADS = 2
RESTARTED = "shard restarted, what it held in memory is gone"
RESTARTS = "ringstore_router_shard_restarts_total"
RECONNECTS = "ringstore_router_link_reconnects_total"


@pytest.fixture
def cluster():
    """A router with two event loops: each has its own links, and finds out by itself."""
    with Cluster("abc", "--threads", str(THREADS)) as started:
        yield started


@pytest.fixture
def client(cluster: Cluster):
    with Client(cluster.address) as opened:
        yield opened


def incarnations(client: Client) -> dict[str, int]:
    """Of the shards that serve."""
    return {
        node.id: node.incarnation for node in client.describe().nodes
        if node.role == cluster_pb2.Node.SHARD and node.state == cluster_pb2.Node.SERVING
    }


def counted(client: Client) -> tuple[int, int]:
    stats = client.stats()
    return stats[RESTARTS], stats[RECONNECTS]


def log_lines(cluster: Cluster, sentence: str) -> list[str]:
    return [line for line in cluster.router.log().splitlines() if sentence in line]


def test_a_restarted_shard_has_another_incarnation_and_is_counted_once(cluster, client):
    before = incarnations(client)
    assert len(before) == 3 and 0 not in before.values()
    assert len(set(before.values())) == 3
    assert counted(client) == (0, 0)
    for times in (1, 2):
        cluster.shards["b"].kill()
        eventually(lambda: "b" not in incarnations(client), "loss of shard b noticed")
        cluster.shards["b"].restart()
        # Every loop of the router has to find its shard again.
        eventually(
            lambda n=times: counted(client) == (n, n * THREADS), "the restart counted", 20
        )
        after = incarnations(client)
        assert after["b"] != before["b"]
        assert {after[name] for name in "ac"} == {before[name] for name in "ac"}
        before = after
        eventually(
            lambda n=times: events(cluster.router.log(), RESTARTED, "shard=b") == n,
            "each restart told once",
        )
        lines = log_lines(cluster, RESTARTED)
        assert all(" shard=b" in line and "warning" in line.lower() for line in lines)
        if times == 1:
            assert str(after["b"]) in lines[0]


def test_a_shard_that_was_only_out_of_reach_is_no_restart(cluster, client):
    before = incarnations(client)
    key = next(keys_of(client.describe().map, "b"))
    client.set(key, b"kept")
    cluster.shards["b"].pause()
    with pytest.raises(grpc.RpcError):
        client.get(key)
    cluster.shards["b"].resume()
    eventually(lambda: counted(client)[1] > 0, "shard b reached again")
    eventually(lambda: "b" in incarnations(client), "shard b described again")
    assert counted(client)[0] == 0
    assert incarnations(client) == before
    assert client.get(key).value == b"kept"
    assert not log_lines(cluster, RESTARTED)


def test_a_shard_tells_its_incarnation_itself(cluster, client):
    told = incarnations(client)
    for name, shard in cluster.shards.items():
        with Client(shard.address) as direct:
            assert incarnations(direct) == {name: told[name]}
            assert RESTARTS not in direct.stats()
