"""Links whose bytes are held on their way: how much later a write can take effect."""

from collections.abc import Iterator

import grpc
import pytest
from harness.client import Client, refused
from harness.cluster import start_router, start_shard
from harness.polling import eventually
from harness.process import Node
from harness.proxy import HoldingProxy
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

pytestmark = pytest.mark.usefixtures("quick_links")

KEY = b"counter"
CALL_SECONDS = 60.0
# Far more than the shard takes to give up a silent link.
GIVEN_UP_SECONDS = 40.0


class HeldCluster:
    """A shard with two routers: one behind a proxy, the other one reaches it directly."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.shard = self._add(start_shard("a"))
        self.proxy = HoldingProxy(self.shard.address)
        self.held = Client(self._add(start_router({"a": self.proxy})).address)
        self.direct = Client(self._add(start_router({"a": self.shard})).address)

    def _add(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def stop(self) -> None:
        self.held.close()
        self.direct.close()
        self.proxy.__exit__()
        for node in reversed(self.nodes):
            node.stop()


@pytest.fixture
def cluster() -> Iterator[HeldCluster]:
    started = HeldCluster()
    try:
        yield started
    finally:
        started.stop()


def value(client: Client) -> int:
    return int(client.get(KEY).value)


def increment(client: Client, delta: int, seconds: float = CALL_SECONDS) -> None:
    client.stub.IncrBy(pb.IncrByRequest(key=KEY, delta=delta), timeout=seconds)


def test_a_write_reported_as_unknown_has_no_effect_once_the_shard_gave_up_the_link(cluster):
    increment(cluster.held, 1)
    cluster.proxy.hold()
    with refused("UNAVAILABLE", "OUTCOME_UNKNOWN"):
        increment(cluster.held, 100)
    assert value(cluster.direct) == 1
    cluster.proxy.refuse()
    eventually(cluster.proxy.has_shard_closed_all, "the shard gives up the link", GIVEN_UP_SECONDS)
    cluster.proxy.release()
    assert value(cluster.direct) == 1
    increment(cluster.direct, 10)
    assert value(cluster.direct) == 11
    assert "closing a router's connection" in cluster.shard.log()


def test_a_link_that_a_router_gives_up_is_reset(cluster):
    increment(cluster.held, 1)
    cluster.proxy.hold()
    with refused("UNAVAILABLE", "OUTCOME_UNKNOWN"):
        increment(cluster.held, 100)
    eventually(
        lambda: cluster.proxy.router_endings()[:2] == ["reset", "reset"],
        "both lanes were reset, and not closed",
    )


def test_a_call_that_was_held_is_not_executed_after_its_deadline(cluster):
    increment(cluster.held, 1)
    cluster.proxy.hold()
    with refused("DEADLINE_EXCEEDED"):
        increment(cluster.held, 100, seconds=0.3)
    cluster.proxy.release()
    # Sent over the same link, and so executed behind it; the router may have given the link up.
    eventually(lambda: reads(cluster.held), "the link is used again")
    assert value(cluster.held) == 1


def reads(client: Client) -> bool:
    try:
        return client.get(KEY).found
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def test_an_empty_shard_whose_router_has_vanished_takes_any_map(cluster):
    cluster.direct.close()
    cluster.nodes[2].stop()
    eventually(lambda: not cluster.held.get(KEY).found, "the first router serves")
    cluster.proxy.vanish()
    second = start_shard("b")
    router = start_router({"a": cluster.shard, "b": second})
    cluster.nodes += [second, router]
    with Client(router.address) as client:
        assert cluster_pb2.Node.UNREACHABLE in states(client)
        serving = {cluster_pb2.Node.SERVING}
        eventually(lambda: states(client) == serving, "the map is taken", GIVEN_UP_SECONDS)
        assert client.set(KEY, b"1").ok


def states(client: Client) -> set[int]:
    return {node.state for node in client.describe().nodes}
