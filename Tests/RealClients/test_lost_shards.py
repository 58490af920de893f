"""A router whose shards are killed, stopped and come back."""

import time
from itertools import islice

import grpc
import pytest
from harness.client import Client, call, explain, pipeline, refused
from harness.cluster import Cluster
from harness.polling import eventually
from harness.slots import keys_of
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

pytestmark = pytest.mark.usefixtures("quick_links")

# What "at once" and "a few seconds" may mean on a loaded machine: far from a call's deadline, and
# from a lost shard that isn't noticed.
AT_ONCE_SECONDS = 20.0
NOTICED_SECONDS = 30.0
CALL_SECONDS = 60.0


@pytest.fixture
def client(cluster: Cluster):
    with Client(cluster.address) as opened:
        yield opened


@pytest.fixture
def keys(client: Client) -> dict[str, bytes]:
    """A key of each shard, set."""
    slot_map = client.describe().map
    owned = {name: next(keys_of(slot_map, name)) for name in "abc"}
    for name, key in owned.items():
        client.set(key, name.encode())
    return owned


def states(client: Client) -> dict[str, int]:
    return {n.id: n.state for n in client.describe().nodes if n.role == cluster_pb2.Node.SHARD}


def is_refused(client: Client, key: bytes) -> bool:
    try:
        client.stub.Get(pb.Key(key=key), timeout=CALL_SECONDS)
        return False
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return True


def reads(client: Client, key: bytes, value: bytes) -> bool:
    """True if the key can be read and has that value; False while its shard is away."""
    try:
        return client.get(key).value == value
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def test_keys_of_a_killed_shard_fail_at_once_and_the_others_are_served(cluster, client, keys):
    cluster.shards["b"].kill()
    eventually(lambda: is_refused(client, keys["b"]), "loss of shard b noticed")
    begin = time.monotonic()
    with refused("UNAVAILABLE", "SHARD_UNAVAILABLE") as refusal:
        client.stub.Get(pb.Key(key=keys["b"]), timeout=CALL_SECONDS)
    assert time.monotonic() - begin < AT_ONCE_SECONDS
    assert refusal.retry_info
    assert "b" in refusal.message
    with refused("UNAVAILABLE", "SHARD_UNAVAILABLE"):
        client.set(keys["b"], b"lost")
    for name in "ac":
        assert client.get(keys[name]).value == name.encode()
        assert client.set(keys[name], name.encode()).ok


def test_a_killed_shard_is_served_again_by_itself_when_it_is_back(cluster, client, keys):
    for _ in range(2):
        cluster.shards["b"].kill()
        eventually(lambda: is_refused(client, keys["b"]), "loss of shard b noticed")
        cluster.shards["b"].restart()
        eventually(lambda: reads(client, keys["b"], b""), "shard b served again, and empty")
        client.set(keys["b"], b"b")
        assert client.get(keys["a"]).value == b"a"


def test_calls_over_every_shard_name_the_one_that_is_missing(cluster, client, keys):
    cluster.shards["c"].kill()
    eventually(lambda: is_refused(client, keys["c"]), "loss of shard c noticed")
    for attempt in (client.keys, client.size, client.reset):
        with refused("UNAVAILABLE", "SHARD_UNAVAILABLE") as refusal:
            attempt()
        assert "c" in refusal.message


def test_a_partial_reply_lists_what_is_missing(cluster, client, keys):
    cluster.shards["c"].kill()
    eventually(lambda: is_refused(client, keys["c"]), "loss of shard c noticed")
    found = client.stub.Keys(pb.KeysRequest(allow_partial=True), timeout=CALL_SECONDS)
    assert set(found.keys) == {keys["a"], keys["b"]}
    size = client.stub.DbSize(pb.DbSizeRequest(allow_partial=True), timeout=CALL_SECONDS)
    assert size.keys == 2
    for reply in (found, size):
        assert [missing.shard for missing in reply.unreachable] == ["c"]
        assert reply.unreachable[0].reason == "SHARD_UNAVAILABLE"


def test_items_of_a_missing_shard_fail_one_by_one(cluster, client, keys):
    cluster.shards["a"].kill()
    eventually(lambda: is_refused(client, keys["a"]), "loss of shard a noticed")
    asked = [pb.Key(key=keys[name]) for name in "abc"]
    items = client.stub.MGet(pb.MGetRequest(keys=asked), timeout=CALL_SECONDS).items
    assert (items[0].error.reason, items[0].error.shard) == ("SHARD_UNAVAILABLE", "a")
    assert [item.value.value for item in items[1:]] == [b"b", b"c"]
    ranges = [pb.ListRange(key=b"{%s}list" % keys[name]) for name in "abc"]
    items = client.stub.MLRange(pb.MLRangeRequest(ranges=ranges), timeout=CALL_SECONDS).items
    assert (items[0].error.reason, items[0].error.shard) == ("SHARD_UNAVAILABLE", "a")
    assert [item.WhichOneof("outcome") for item in items[1:]] == ["list", "list"]


def test_a_pipeline_lives_on_without_the_missing_shard(cluster, client, keys):
    cluster.shards["a"].kill()
    eventually(lambda: is_refused(client, keys["a"]), "loss of shard a noticed")
    batch = {name: call("GET", pb.Key(key=keys[name])) for name in "abc"}
    replies = pipeline(client, list(batch.values()))
    assert replies[batch["a"].id].code == grpc.StatusCode.UNAVAILABLE.value[0]
    for name in "bc":
        reply = pb.Value.FromString(replies[batch[name].id].response)
        assert reply.value == name.encode()


def test_the_description_says_which_shard_is_away(cluster, client, keys):
    serving, unreachable = cluster_pb2.Node.SERVING, cluster_pb2.Node.UNREACHABLE
    assert states(client) == dict.fromkeys("abc", serving)
    cluster.shards["b"].kill()
    eventually(lambda: states(client)["b"] == unreachable, "shard b shown as unreachable")
    assert {states(client)[name] for name in "ac"} == {serving}
    cluster.shards["b"].restart()
    eventually(lambda: states(client)["b"] == serving, "shard b shown as serving")


def test_a_stopped_shard_is_noticed_and_its_calls_end(cluster, client, keys):
    cluster.shards["b"].pause()
    begin = time.monotonic()
    waiting = [
        client.stub.Get.future(pb.Key(key=keys["b"]), timeout=CALL_SECONDS) for _ in range(20)
    ]
    write = client.stub.Set.future(pb.KeyValue(key=keys["b"], value=b"?"), timeout=CALL_SECONDS)
    for one in waiting:
        assert one.exception().code() == grpc.StatusCode.UNAVAILABLE
        assert explain(one).reason == "SHARD_UNAVAILABLE"
    assert write.exception().code() == grpc.StatusCode.UNAVAILABLE
    told = explain(write)
    assert told.reason == "OUTCOME_UNKNOWN"
    assert told.trailers["grpc-retry-pushback-ms"] == "-1"
    assert time.monotonic() - begin < NOTICED_SECONDS
    for name in "ac":
        assert client.get(keys[name]).value == name.encode()
    cluster.shards["b"].resume()
    # What was sent before the pause may still have been executed, or not: "outcome unknown".
    eventually(
        lambda: reads(client, keys["b"], b"b") or reads(client, keys["b"], b"?"),
        "shard b served again",
    )


def test_others_are_served_while_calls_wait_for_a_stopped_shard(cluster, client, keys):
    cluster.shards["b"].pause()
    slow = client.stub.Get.future(pb.Key(key=keys["b"]), timeout=CALL_SECONDS)
    served = 0
    while not slow.done():
        assert client.get(keys["a"]).value == b"a"
        served += 1
    assert served > 10
    cluster.shards["b"].resume()


def test_replies_of_a_message_do_not_wait_for_a_stopped_shard(cluster, client, keys):
    cluster.shards["b"].pause()
    calls = {name: call("GET", pb.Key(key=key)) for name, key in keys.items()}
    batches = client.stub.Pipeline(
        iter([pb.CallBatch(calls=calls.values())]), timeout=CALL_SECONDS
    )
    order = [[reply.id for reply in batch.replies] for batch in batches]
    assert order.pop() == [calls["b"].id]
    assert sorted(sum(order, [])) == sorted([calls["a"].id, calls["c"].id])
    cluster.shards["b"].resume()


def test_a_deadline_shorter_than_the_notice_is_kept(cluster, client, keys):
    cluster.shards["b"].pause()
    with refused("DEADLINE_EXCEEDED"):
        client.stub.Get(pb.Key(key=keys["b"]), timeout=0.3)
    cluster.shards["b"].resume()


def test_a_shard_that_is_stopped_replies_to_what_it_has(cluster, client):
    slot_map = client.describe().map
    names = list(islice(keys_of(slot_map, "b"), 500))
    pending = [
        client.stub.Set.future(pb.KeyValue(key=name, value=b"v"), timeout=CALL_SECONDS)
        for name in names
    ]
    assert cluster.shards["b"].stop() == 0
    outcomes = [one.exception() for one in pending]
    for error in filter(None, outcomes):
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        # Never OUTCOME_UNKNOWN: a shard that leaves replies to every call that it has received.
        assert explain(error).reason == "SHARD_UNAVAILABLE"


def test_the_only_shard_is_found_again_after_it_left_in_an_orderly_way():
    """Unary calls alone must do: nothing else makes the router look for its shard again."""
    with Cluster("a") as single, Client(single.address) as client:
        client.set(b"k", b"v")
        assert single.shards["a"].stop() == 0
        eventually(lambda: is_refused(client, b"k"), "the shard's leave noticed")
        single.shards["a"].restart()
        eventually(lambda: reads(client, b"k", b""), "the shard served again, and empty")
