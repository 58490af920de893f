"""Values up to the largest message there can be, both ways, beside small calls."""

import os
import threading

import pytest
from harness.client import Client, call, pipeline, refused
from harness.cluster import Cluster, start_shard
from ringstore.v1 import keystore_pb2 as pb

MESSAGE_BYTES = 64 << 20
LIMIT = ("--max-message-bytes", str(MESSAGE_BYTES))
# What stands around a value in a Value or a KeyValue: tags, lengths, a short key, a version.
AROUND = 64
LARGEST = MESSAGE_BYTES - AROUND
CLIENT_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES + (1 << 20)),
    ("grpc.max_send_message_length", -1),
)
SECONDS = 60

SHAPES = {
    "router": lambda: Cluster("ab", *LIMIT, shard_arguments=LIMIT),
    "shard": lambda: start_shard("a", *LIMIT),
}


@pytest.fixture(scope="module", params=SHAPES)
def large_server(request):
    server = SHAPES[request.param]()
    yield server
    server.stop()


@pytest.fixture
def client(large_server):
    with Client(large_server.address, *CLIENT_OPTIONS) as opened:
        opened.reset()
        yield opened


@pytest.fixture(scope="module")
def noise() -> bytes:
    """As many bytes as fit, no part of which looks like another."""
    return os.urandom(LARGEST)


def put(client: Client, key: bytes, value: bytes) -> None:
    assert client.stub.Set(pb.KeyValue(key=key, value=value), timeout=SECONDS).ok


def read(client: Client, key: bytes) -> bytes:
    return client.stub.Get(pb.Key(key=key), timeout=SECONDS).value


@pytest.mark.parametrize("size", [(64 << 10) - 40, 64 << 10, (64 << 10) + 1, 5 << 20, LARGEST])
def test_a_value_comes_back_as_it_was(client, noise, size):
    put(client, b"k", noise[:size])
    assert read(client, b"k") == noise[:size]
    put(client, b"k", b"small again")
    assert read(client, b"k") == b"small again"


def test_elements_of_lists(client, noise):
    push = pb.ListInsert(key=b"l", values=[noise])
    assert client.stub.LPush(push, timeout=SECONDS).count == 1
    assert client.rpush(b"l", b"small").count == 2
    popped = client.stub.LPop(pb.Key(key=b"l"), timeout=SECONDS)
    assert popped.value == noise
    assert client.lpop(b"l").value == b"small"
    assert not client.lpop(b"l").found


def test_many_large_values_in_one_call(client, noise):
    part = 15 << 20
    items = [pb.KeyValue(key=b"k-%d" % at, value=noise[at : at + part]) for at in range(4)]
    reply = client.stub.MSet(pb.MSetRequest(items=items), timeout=SECONDS)
    assert all(item.status.ok for item in reply.items)
    asked = [pb.Key(key=b"k-%d" % at) for at in range(4)]
    reply = client.stub.MGet(pb.MGetRequest(keys=asked), timeout=SECONDS)
    assert [item.value.value for item in reply.items] == [noise[at : at + part] for at in range(4)]


def test_replies_past_the_limit_name_a_way_out(client, noise):
    for _ in range(3):
        client.stub.RPush(pb.ListInsert(key=b"l", values=[noise[: 30 << 20]]), timeout=SECONDS)
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE") as refusal:
        client.stub.LRange(pb.ListRange(key=b"l", start=0, stop=-1), timeout=SECONDS)
    assert "LRangeStream" in refusal.message
    values = [v for chunk in client.lstream(b"l", timeout=SECONDS) for v in chunk.values]
    assert values == [noise[: 30 << 20]] * 3
    for at in range(3):
        put(client, b"k-%d" % at, noise[: 30 << 20])
    asked = [pb.Key(key=b"k-%d" % at) for at in range(3)]
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE"):
        client.stub.MGet(pb.MGetRequest(keys=asked), timeout=SECONDS)
    assert read(client, b"k-0") == noise[: 30 << 20]


def test_a_request_past_the_limit_is_refused_and_changes_nothing(client, noise):
    put(client, b"k", b"before")
    with refused("RESOURCE_EXHAUSTED"):
        put(client, b"k", noise + b"x" * (AROUND + 1))
    assert read(client, b"k") == b"before"


def test_calls_of_one_key_keep_their_order_in_a_pipeline(client, noise):
    sizes = [10, 20 << 20, 0, 100_000, 70_000, 1, 30 << 20, 5]
    batches, expected = [], {}
    for turn, size in enumerate(sizes):
        value = noise[turn : turn + size]
        batches.append([call("SET", pb.KeyValue(key=b"k", value=value))])
        batches.append([call("GET", pb.Key(key=b"k"))])
        expected[batches[-1][0].id] = value
    replies = pipeline(client, *batches)
    assert all(reply.code == 0 for reply in replies.values())
    for number, value in expected.items():
        assert pb.Value.FromString(replies[number].response).value == value


def test_the_largest_value_in_a_pipeline(client, noise):
    # A Call, a Reply and their batches stand around it as well.
    value = noise[: -1_024]
    replies = pipeline(
        client,
        [call("SET", pb.KeyValue(key=b"k", value=value), id=1)],
        [call("GET", pb.Key(key=b"k"), id=2)],
    )
    assert replies[1].code == 0
    assert pb.Value.FromString(replies[2].response).value == value


def test_small_calls_are_served_while_large_ones_are_under_way(client, noise):
    put(client, b"large", noise)
    over = threading.Event()
    done = {"small": 0, "large": 0}

    def small() -> None:
        with Client(client.address) as other:
            while not over.is_set():
                key = b"small-%d" % (done["small"] % 20)
                other.set(key, b"v")
                assert other.get(key).value == b"v"
                done["small"] += 1

    worker = threading.Thread(target=small)
    worker.start()
    try:
        for turn in range(2):
            assert read(client, b"large") == noise
            put(client, b"large-%d" % turn, noise)
    finally:
        over.set()
        worker.join()
    assert done["small"] > 20
