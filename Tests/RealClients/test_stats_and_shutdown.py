"""Cluster.Stats and Cluster.Shutdown, of one node and of all."""

import pytest
from harness.client import Client, refused
from harness.cluster import Cluster, start_local, start_shard
from harness.polling import eventually
from harness.process import run
from harness.raw_http2 import DATA, END_STREAM, Connection, frame, headers, message
from harness.slots import keys_of
from ringstore.v1 import keystore_pb2 as pb
from test_scan import served

# --- Stats -----------------------------------------------------------------------------------


def test_calls_keys_and_errors_are_counted(client, key):
    before = client.stats()
    for number in range(10):
        client.set(b"%s-%d" % (key, number), b"v")
    for _ in range(5):
        client.get(b"%s-0" % key)
    with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
        client.rpush(b"%s-0" % key, b"element")
    after = client.stats()
    assert before.keys() == after.keys()

    def grown(name: str) -> int:
        return after[name] - before[name]

    assert grown("ringstore_keys") == 10
    assert grown("ringstore_calls_set_total") == 10
    assert grown("ringstore_calls_get_total") == 5
    assert grown("ringstore_calls_rpush_total") == 1
    assert grown("ringstore_calls_total") >= 16
    assert grown("ringstore_errors_total") >= 1
    assert after["ringstore_memory_bytes"] > 0
    assert after["ringstore_shards_unreachable"] == 0


def test_a_router_adds_up_its_shards_and_counts_for_itself():
    with Cluster() as cluster, Client(cluster.address) as client:
        for number in range(300):
            client.set(b"key-%d" % number, b"v")
        whole = client.stats()
        assert whole["ringstore_shards"] == 3
        assert whole["ringstore_keys"] == 300
        assert whole["ringstore_router_calls_set_total"] == 300
        own = []
        for shard in cluster.shards.values():
            with Client(shard.address) as direct:
                own.append(direct.stats())
        assert all(0 < one["ringstore_keys"] < 300 for one in own)
        for name in ("ringstore_keys", "ringstore_calls_set_total"):
            assert sum(one[name] for one in own) == whole[name]
        assert not [name for name in own[0] if "router" in name]


def test_a_shard_that_is_away_is_counted_as_unreachable():
    with Cluster() as cluster, Client(cluster.address) as client:
        lost = next(keys_of(client.describe().map, "b"))
        cluster.shards["b"].kill()
        eventually(lambda: not served(client, lost), "loss of shard b noticed")
        assert client.stats()["ringstore_shards_unreachable"] == 1
        assert client.stats()["ringstore_shards"] == 3


# --- Shutdown --------------------------------------------------------------------------------


@pytest.fixture
def cluster():
    started = Cluster()
    yield started
    for node in [started.router, *started.shards.values()]:
        if node.process.poll() is None:
            node.stop()


def test_a_router_leaves_and_its_shards_stay(cluster):
    with Client(cluster.address) as client:
        client.set(b"k", b"v")
        client.shutdown()
    assert cluster.router.wait() == 0
    cluster.router.restart()
    with Client(cluster.address) as client:
        assert client.get(b"k").value == b"v"


def test_a_shard_that_is_shut_down_stops_alone(cluster):
    with Client(cluster.shards["b"].address) as direct:
        direct.shutdown()
    assert cluster.shards["b"].wait() == 0
    with Client(cluster.address) as client:
        key = next(keys_of(client.describe().map, "b"))
        eventually(lambda: not served(client, key), "the leave noticed")
        assert served(client, next(keys_of(client.describe().map, "a")))
        # It was an orderly leave, and it may come back.
        cluster.shards["b"].restart()
        eventually(lambda: served(client, key), "shard b served")


def test_the_whole_cluster_leaves(cluster):
    with Client(cluster.address) as client:
        client.shutdown(whole_cluster=True)
    assert cluster.router.wait() == 0
    assert [shard.wait() for shard in cluster.shards.values()] == [0, 0, 0]


@pytest.mark.parametrize("whole_cluster", [False, True])
def test_a_local_cluster_leaves(whole_cluster):
    local = start_local()
    with Client(local.address) as client:
        client.set(b"k", b"v")
        client.shutdown(whole_cluster)
    assert local.wait() == 0


def test_a_lone_shard_leaves():
    shard = start_shard()
    with Client(shard.address) as client:
        client.shutdown()
    assert shard.wait() == 0


def test_a_cluster_that_is_not_whole_is_not_shut_down_as_a_whole(cluster):
    with Client(cluster.address) as client:
        lost = next(keys_of(client.describe().map, "b"))
        cluster.shards["b"].kill()
        eventually(lambda: not served(client, lost), "loss of shard b noticed")
        with refused("UNAVAILABLE") as refusal:
            client.shutdown(whole_cluster=True)
        assert "b" in refusal.message
    assert [cluster.shards[name].wait() for name in "ac"] == [0, 0]
    assert cluster.router.process.poll() is None


def test_a_call_under_way_is_finished_before_the_node_leaves(cluster):
    raw = Connection(cluster.address)
    raw.exchange_settings()
    body = message(pb.KeyValue(key=b"k", value=b"v").SerializeToString())
    stream = raw.start(headers("/ringstore.v1.KeyStore/Set"), body[:-1], end=False)
    raw.flush()
    with Client(cluster.address) as client:
        client.shutdown()
    while raw.goaway is None:
        raw.flush()
        raw.receive()
    raw.out += raw_end(stream, body[-1:])
    assert raw.wait(stream).grpc_status == 0
    raw.close()
    assert cluster.router.wait() == 0
    cluster.router.restart()
    with Client(cluster.address) as client:
        assert client.get(b"k").value == b"v"


def raw_end(stream: int, last: bytes) -> bytes:
    """The rest of a message, and the end of the stream."""
    return frame(DATA, END_STREAM, stream, last)


@pytest.mark.parametrize("words", [("SHUTDOWN",), ("SHUTDOWN", "CLUSTER")])
def test_the_command_line_shuts_down(cluster, words):
    ended = run("cli", "--server", cluster.address, *words)
    assert ended.returncode == 0, ended
    assert cluster.router.wait() == 0
    if len(words) == 2:
        assert [shard.wait() for shard in cluster.shards.values()] == [0, 0, 0]
    else:
        assert all(shard.process.poll() is None for shard in cluster.shards.values())
