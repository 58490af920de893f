"""What users of a cluster see of a shard whose disk is full or doesn't keep up."""

import re

from harness.client import Client
from harness.process import run
from ringstore.v1 import cluster_pb2


def described(address: str, shard: str = "a") -> cluster_pb2.Node:
    """The shard's line in the Describe of a node."""
    with Client(address) as client:
        nodes = client.describe().nodes
    return next(n for n in nodes if (n.id, n.role) == (shard, cluster_pb2.Node.SHARD))


def assert_reported_everywhere(address: str, reason: str, shard: str = "a") -> None:
    """Describe of that node and the table of CLUSTER show why the shard refuses writes."""
    node = described(address, shard)
    assert node.state == cluster_pb2.Node.SERVING and node.detail.startswith(f"{reason}: "), node
    printed = run("cli", "--server", address, "CLUSTER")
    assert printed.returncode == 0, printed
    assert re.search(rf"^{shard}: {reason}: ", printed.stdout, re.MULTILINE), printed.stdout
