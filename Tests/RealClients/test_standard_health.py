"""grpc.health.v1 with grpcio's own client, and the pages for probes without gRPC."""

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc
from harness.client import open_channel
from harness.cluster import Cluster, start_router
from harness.health import Watcher
from harness.polling import eventually
from harness.raw_http2 import Connection, headers

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN
KEYS = "ringstore.v1.KeyStore"
CLUSTER = "ringstore.v1.Cluster"
TIMEOUT_SECONDS = 60.0


@pytest.fixture
def health(served):
    with open_channel(served.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def check(stub, service: str = ""):
    return stub.Check(pb.HealthCheckRequest(service=service), timeout=TIMEOUT_SECONDS).status


@pytest.mark.parametrize(
    "service", ["", KEYS, CLUSTER, "KVStore", "KeyStore", "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                "grpc.channelz.v1.Channelz"])
def test_a_node_that_serves_says_so_of_all_its_services(health, service):
    assert check(health, service) == SERVING


def test_a_service_that_is_not_there_is_not_found(health):
    with pytest.raises(grpc.RpcError) as caught:
        check(health, "no.such.Service")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_list_has_every_service_and_the_node_itself(health):
    statuses = health.List(pb.HealthListRequest(), timeout=TIMEOUT_SECONDS).statuses
    assert {"", KEYS, CLUSTER, "KVStore", "grpc.health.v1.Health"} <= set(statuses)
    assert {each.status for each in statuses.values()} == {SERVING}


def test_watch_of_a_service_that_is_not_there_says_that_and_continues(health):
    watch = health.Watch(pb.HealthCheckRequest(service="no.such.Service"), timeout=TIMEOUT_SECONDS)
    assert next(watch).status == SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


def test_a_router_without_shards_is_not_serving_until_one_is_back(cluster: Cluster):
    watchers = [Watcher(cluster.address, service) for service in ("", KEYS, CLUSTER)]
    node, keys, administration = watchers
    eventually(lambda: all(each.statuses == [SERVING] for each in watchers), "the first word")
    for shard in cluster.shards.values():
        shard.kill()
    eventually(lambda: node.statuses == keys.statuses == [SERVING, NOT_SERVING], "the loss told")
    assert page(cluster.address, "/readyz")[0] == 503
    assert page(cluster.address, "/healthz")[0] == 200
    for shard in cluster.shards.values():
        shard.restart()
    eventually(
        lambda: node.statuses == keys.statuses == [SERVING, NOT_SERVING, SERVING], "all back")
    assert administration.statuses == [SERVING]
    for each in watchers:
        each.close()


def test_a_drain_begins_with_not_serving(server):
    with open_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        eventually(lambda: check(stub) == SERVING, "a node that serves")
    watchers = [Watcher(server.address, service) for service in ("", KEYS, CLUSTER)]
    try:
        eventually(lambda: all(each.statuses == [SERVING] for each in watchers), "the first word")
        server.node.terminate()
        eventually(lambda: all(each.end for each in watchers), "the end told")
        assert {tuple(each.statuses) for each in watchers} == {(SERVING, NOT_SERVING)}
        assert {each.end for each in watchers} == {grpc.StatusCode.UNAVAILABLE}
        assert server.node.wait() == 0
    finally:
        for each in watchers:
            each.close()


def test_a_router_that_has_reached_no_shard_is_alive_and_not_ready():
    router = start_router({}, "--shard=a=127.0.0.1:1")
    with open_channel(router.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert check(stub) == check(stub, KEYS) == NOT_SERVING
        assert check(stub, CLUSTER) == SERVING
    assert page(router.address, "/healthz")[0] == 200
    status, text = page(router.address, "/readyz")
    assert status == 503 and text.startswith("not serving: no shard can be reached")
    router.stop()


def test_two_requests_and_none_are_refused(served):
    connection = Connection(served.address)
    connection.exchange_settings()
    path = "/grpc.health.v1.Health/Watch"
    unimplemented = grpc.StatusCode.UNIMPLEMENTED.value[0]
    assert connection.wait(connection.start(headers(path))).grpc_status == unimplemented
    twice = connection.wait(connection.start(headers(path), 2 * b"\0\0\0\0\0"))
    assert twice.grpc_status == unimplemented
    broken = connection.call("/grpc.health.v1.Health/Check", b"\x0a\xff")
    assert broken.grpc_status == grpc.StatusCode.INTERNAL.value[0]
    connection.close()


# --- pages --------------------------------------------------------------------------------------


def ask(connection: Connection, path: str, method: str = "GET"):
    """A request without gRPC's fields."""
    extra = [("content-type", "text/plain")] if method == "POST" else []
    block = headers(path, extra, method)
    return connection.wait(connection.start(block))


def page(address: str, path: str, method: str = "GET"):
    connection = Connection(address)
    connection.exchange_settings()
    reply = ask(connection, path, method)
    connection.close()
    return reply.status, reply.data.decode()


def test_pages_say_in_a_line_how_the_node_is(served):
    assert page(served.address, "/healthz") == (200, "alive, serving\n")
    assert page(served.address, "/readyz") == (200, "serving\n")
    assert page(served.address, "/readyz", "HEAD") == (200, "")


def test_a_page_has_the_headers_of_a_page(served):
    connection = Connection(served.address)
    connection.exchange_settings()
    reply = ask(connection, "/healthz")
    fields = dict(reply.blocks[0])
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert int(fields["content-length"]) == len(reply.data)
    assert len(reply.blocks) == 1 and reply.ended
    # The connection is as good as before, for pages and for calls.
    assert ask(connection, "/readyz").status == 200
    assert connection.call("/grpc.health.v1.Health/Check").grpc_status == 0
    connection.close()


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 405),
        ("/healthz/", "GET", 405),
        ("/ringstore.v1.KeyStore/Get", "GET", 405),
        ("/healthz", "PUT", 405),
        ("/healthz", "DELETE", 405),
        ("/healthz", "POST", 415),
    ],
)
def test_what_is_no_page_is_refused_as_before(served, path, method, status):
    assert page(served.address, path, method)[0] == status
