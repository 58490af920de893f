"""A shard that reads its data says LOADING, wherever it is asked, and then serves.

The log has so many records that reading them takes a multiple of a reply's time. The shard is
stopped as soon as it has started, until all that will ask it is connected. A start that was over
too soon all the same is repeated.
"""

from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2
from harness.client import TIMEOUT_SECONDS, Client, explain
from harness.durable import DurableCluster
from harness.health import Watcher
from harness.lines import Lines
from harness.polling import eventually
from harness.process import Node
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
KEYS = "ringstore.v1.KeyStore"
RECORDS, RECORDS_PER_SEND = 300_000, 10_000
ESTABLISHED = "01"


def write_records(shard: Node) -> None:
    """Adds 1 to a number, again and again: each is a record of the log."""
    with Lines(shard.line_port) as lines:
        for _ in range(RECORDS // RECORDS_PER_SEND):
            lines.send(b"*2\r\nINCR\r\nnumber\r\n" * RECORDS_PER_SEND)
            left = RECORDS_PER_SEND
            while left:
                replies = lines.socket.recv(1 << 20)
                assert replies, "the connection was closed"
                left -= replies.count(b"\n")


def is_connected(port: int) -> bool:
    """Whether some process has a connection to a port of this machine."""
    ends = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(
        end[2].endswith(f":{port:04X}") and end[3] == ESTABLISHED for end in ends)


def has_loaded(shard: Node) -> bool:
    return bool(shard.log_lines("the data is loaded"))


class Start:
    """A start of the shard, and what was told while it loaded."""

    def __init__(self, cluster: DurableCluster):
        self.cluster, self.shard = cluster, cluster.shards["a"]

    def is_seen_loading(self) -> bool:
        """False if it was over before all had asked."""
        shard = self.shard
        shard.kill()
        shard.restart()
        shard.pause()
        if has_loaded(shard):
            shard.resume()
            return False
        eventually(lambda: is_connected(shard.port), "the router connected")
        with Client(shard.address) as direct, Client(self.cluster.address) as routed:
            watcher = Watcher(shard.address, KEYS, waits=True)
            try:
                return self._asks(direct, routed, watcher)
            finally:
                watcher.close()

    def _asks(self, direct: Client, routed: Client, watcher: Watcher) -> bool:
        more = {"timeout": TIMEOUT_SECONDS, "wait_for_ready": True}
        described = direct.cluster.Describe.future(cluster_pb2.DescribeRequest(), **more)
        read = direct.stub.Get.future(pb.Key(key=b"number"), **more)
        self.shard.resume()
        (node,) = described.result().nodes
        refusal = explain(read.exception()) if read.exception() else None
        eventually(lambda: watcher.statuses, "the first word of the watch")
        seen = eventually(lambda: self._router_sees(routed), "the router's word")
        if (node.state, watcher.statuses[0]) != (cluster_pb2.Node.LOADING, NOT_SERVING):
            return False
        if refusal is None or "LOADING: " not in seen.detail:
            return False
        assert "MiB" in node.detail, node.detail
        assert refusal.code == grpc.StatusCode.UNAVAILABLE and refusal.retry_info, refusal
        assert refusal.reason == "SHARD_UNAVAILABLE" and "loading its data" in refusal.message
        assert seen.state == cluster_pb2.Node.UNREACHABLE
        assert "is loading its data; it serves when that is done" in seen.detail
        eventually(lambda: watcher.statuses == [NOT_SERVING, SERVING], "the watch's second word")
        return True

    def _router_sees(self, routed: Client) -> cluster_pb2.Node | None:
        """The shard as the router has it, once it has asked this start of it."""
        (node,) = [
            node for node in routed.describe().nodes if node.role == cluster_pb2.Node.SHARD]
        is_asked = "LOADING: " in node.detail or node.state == cluster_pb2.Node.SERVING
        return node if is_asked else None


def test_a_shard_that_reads_its_data_says_so_everywhere_and_then_serves():
    with DurableCluster({"a": "never"}) as cluster:
        cluster.await_serving()
        write_records(cluster.shards["a"])
        start = Start(cluster)
        eventually(start.is_seen_loading, "a start that is seen while it loads")
        cluster.await_serving()
        with Client(cluster.address) as client:
            assert client.incr(b"number", 0) == RECORDS
        assert cluster.router.log_lines("reason=LOADING"), cluster.router.log()
