"""`ringstore health`, as a container's health check runs it: an exit status and one sentence."""

import socket

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import Cluster, start_router, start_shard
from harness.polling import eventually
from harness.process import run
from ringstore.v1 import cluster_pb2

ROUTER = cluster_pb2.Node.ROUTER
STREAMS = {"Snapshot", "Backup"}
OF_ROUTERS = {"Reload", "AcceptLoss"}


def health(*arguments: str, environment=None):
    return run("health", *arguments, environment=environment)


def test_a_node_that_serves_is_healthy(served):
    ended = health("--server", served.address)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout in {
        "router serving, 3 of 3 shards serving\n",
        "shard a serving\n",
    }
    assert health("--server", served.address, "--shards").returncode == 0


def test_the_port_of_the_environment_is_called(served):
    port = served.address.rpartition(":")[2]
    assert health(environment={"RINGSTORE_PORT": port}).returncode == 0


def test_a_router_without_one_shard_is_healthy_unless_all_are_required(cluster: Cluster):
    cluster.shards["b"].kill()
    server = ("--server", cluster.address)
    ended = eventually(
        lambda: (seen := health(*server, "--shards")).returncode == 1 and seen, "the loss seen"
    )
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"ringstore health: {cluster.address}: shard b is unreachable: ")
    ended = health(*server)
    assert ended.returncode == 0
    assert ended.stdout == "router serving, 2 of 3 shards serving\n"


def test_a_port_without_a_server_is_not_healthy():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        ended = health("--server", address)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"ringstore health: {address} does not reply: connect failed: connection refused\n"
    )


def test_a_node_that_stands_still_is_not_healthy(cluster: Cluster):
    cluster.router.pause()
    try:
        ended = health("--server", cluster.address, "--timeout", "0.5")
    finally:
        cluster.router.resume()
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"ringstore health: {cluster.address} does not reply: ")


def test_a_node_that_replies_is_alive_in_any_state(cluster: Cluster):
    for shard in cluster.shards.values():
        shard.kill()
    server = ("--server", cluster.address)
    eventually(lambda: health(*server).returncode == 1, "the losses seen")
    ended = health(*server, "--alive", environment={"RINGSTORE_TOKEN": "no token"})
    assert (ended.returncode, ended.stdout) == (0, f"{cluster.address} is alive\n")
    gone = cluster.shards["a"].address
    ended = health("--server", gone, "--alive")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"ringstore health: {gone} does not reply: ")
    cluster.router.pause()
    try:
        ended = health(*server, "--alive", "--timeout", "0.5")
    finally:
        cluster.router.resume()
    assert ended.returncode == 1


def test_a_refused_handshake_is_a_reply():
    with Certificates() as certificates:
        shard = start_shard("a", *certificates.mutual("shard"))
        try:
            authority = ("--tls-ca", certificates.authority)
            for options in (authority, ("--tls",), ("--tls-ca", __file__), ()):
                ended = health("--server", shard.address, "--alive", *options)
                assert ended.returncode == 0, ended.stderr
                assert " is alive, but refuses this client: " in ended.stdout
                assert health("--server", shard.address, *options).returncode == 1
        finally:
            shard.stop()


@pytest.mark.parametrize(
    "arguments",
    [("--alive", "--shards"), ("--timeout", "0"), ("--timeout", "61"), ("--timeout", "x"),
     ("--server", "x"), ("more",)],
)
def test_wrong_usage_says_so(arguments):
    ended = health(*arguments)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith("ringstore health: ")


def test_a_router_whose_map_is_refused_is_not_healthy(cluster: Cluster):
    third = start_shard("z")
    wrong = start_router(cluster.shards | {"z": third})
    try:
        ended = eventually(
            lambda: (seen := health("--server", wrong.address)).returncode == 1 and seen,
            "the conflict seen",
        )
        assert ended.stdout == ""
        said = f"ringstore health: {wrong.address}: the router is not-serving: "
        assert ended.stderr.startswith(said), ended.stderr
        assert "MAP_CONFLICT" in ended.stderr and "the same shards" in ended.stderr
        with Client(wrong.address) as client:
            router = next(n for n in client.describe().nodes if n.role == ROUTER)
        assert router.state == cluster_pb2.Node.NOT_SERVING and "MAP_CONFLICT" in router.detail
    finally:
        wrong.stop()
        third.stop()


def test_a_router_that_reaches_no_shard_is_not_healthy(cluster: Cluster):
    for shard in cluster.shards.values():
        shard.kill()
    server = ("--server", cluster.address)
    ended = eventually(
        lambda: (seen := health(*server)).returncode == 1 and seen, "the losses seen"
    )
    assert "the router is not-serving: no shard can be reached" in ended.stderr
    cluster.shards["a"].restart()
    eventually(lambda: health(*server).returncode == 0, "it serves again")


@pytest.mark.parametrize("method", ["Describe", "Stats"])
def test_a_message_without_fields_may_be_empty(served, method):
    with grpc.insecure_channel(served.address) as channel:
        assert channel.unary_unary(f"/ringstore.v1.Cluster/{method}")(b"", timeout=20)


@pytest.mark.parametrize(
    "method", [one.name for one in cluster_pb2.DESCRIPTOR.services_by_name["Cluster"].methods]
)
def test_bytes_that_are_no_message_are_refused(served, method):
    with grpc.insecure_channel(served.address) as channel:
        called = channel.unary_stream if method in STREAMS else channel.unary_unary
        raw = called(f"/ringstore.v1.Cluster/{method}")
        with pytest.raises(grpc.RpcError) as refusal:
            reply = raw(b"\xff\xff", timeout=20)
            list(reply if method in STREAMS else [])
        # A shard has no list of shards, whatever it is asked.
        is_routers = "shard" in getattr(served, "arguments", ()) and method in OF_ROUTERS
        refused = "FAILED_PRECONDITION" if is_routers else "INTERNAL"
        assert refusal.value.code().name == refused
