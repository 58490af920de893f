"""What a server refuses before it does any work, on every shape of server."""

import grpc
import pytest
from harness.client import TIMEOUT_SECONDS, refused
from ringstore.v1 import keystore_pb2 as pb

MESSAGE_LIMIT = 4 << 20
# Field 1000, varint 1: a field that no message has.
UNKNOWN_FIELD = b"\xc0\x3e\x01"
# A group of field 1001 with a field inside, and its end.
UNKNOWN_GROUP = b"\xcb\x3e\x08\x01\xcc\x3e"


def raw(client, method: str):
    """The call with bytes in place of messages."""
    return client.channel.unary_unary(f"/ringstore.v1.KeyStore/{method}")


@pytest.mark.parametrize("condition", [4, 77])
def test_a_condition_that_is_not_known_refuses_the_write(client, key, condition):
    message = pb.KeyValue(key=key, value=b"v", condition=condition)
    with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
        client.stub.Set(message, timeout=TIMEOUT_SECONDS)
    assert not client.get(key).found


def test_a_version_without_its_condition_refuses_the_write(client, key):
    message = pb.KeyValue(key=key, value=b"v", if_version=3)
    with refused("INVALID_ARGUMENT", "INVALID_CONDITION"):
        client.stub.Set(message, timeout=TIMEOUT_SECONDS)
    assert not client.get(key).found


def test_a_conditional_push_makes_no_list(client, key):
    message = pb.ListInsert(key=key, values=[b"v"], only_if_present=True)
    for method in (client.stub.LPush, client.stub.RPush):
        assert not method(message, timeout=TIMEOUT_SECONDS).ok
    assert client.llen(key) == 0


def test_an_unknown_condition_in_one_item_fails_that_item(client):
    items = [pb.KeyValue(key=b"plain", value=b"v"), pb.KeyValue(key=b"timed", condition=9)]
    reply = client.stub.MSet(pb.MSetRequest(items=items), timeout=TIMEOUT_SECONDS)
    assert reply.items[0].status.ok
    assert reply.items[1].error.reason == "UNKNOWN_FIELD"
    assert not client.get(b"timed").found


WRITES = {
    "Set": pb.KeyValue(key=b"k", value=b"v"),
    "Delete": pb.DeleteRequest(key=b"k"),
    "LPush": pb.ListInsert(key=b"k", values=[b"v"]),
    "RPush": pb.ListInsert(key=b"k", values=[b"v"]),
    "LPop": pb.Key(key=b"k"),
    "RPop": pb.Key(key=b"k"),
    "IncrBy": pb.IncrByRequest(key=b"k", delta=1),
    "Reset": pb.ResetRequest(),
}


def test_a_shutdown_with_a_field_from_the_future_is_refused(client):
    method = client.channel.unary_unary("/ringstore.v1.Cluster/Shutdown")
    for unknown in (UNKNOWN_FIELD, UNKNOWN_GROUP):
        with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
            method(unknown, timeout=TIMEOUT_SECONDS)
    assert client.size() == 0


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("unknown", [UNKNOWN_FIELD, UNKNOWN_GROUP], ids=["field", "group"])
def test_a_write_with_a_field_from_the_future_is_refused(client, method, unknown):
    client.set(b"untouched", b"v")
    with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
        raw(client, method)(WRITES[method].SerializeToString() + unknown, timeout=TIMEOUT_SECONDS)
    assert client.keys() == [b"untouched"]


def test_a_read_with_a_field_from_the_future_is_served(client, key):
    client.set(key, b"v")
    for unknown in (UNKNOWN_FIELD, UNKNOWN_GROUP):
        message = unknown + pb.Key(key=key).SerializeToString()
        reply = raw(client, "Get")(message, timeout=TIMEOUT_SECONDS)
        assert pb.Value.FromString(reply).value == b"v"


def test_fields_may_come_in_any_order_and_the_last_one_wins(client, key):
    other = pb.KeyValue(key=b"never used").SerializeToString()
    value = pb.KeyValue(value=b"v").SerializeToString()
    message = other + value + pb.KeyValue(key=key).SerializeToString()
    raw(client, "Set")(message, timeout=TIMEOUT_SECONDS)
    assert client.keys() == [key]


@pytest.mark.parametrize("method", ["Get", "Set", "LPush", "LRange", "IncrBy", "MGet", "Keys"])
@pytest.mark.parametrize("garbage", [b"\x0a\xff", b"\x0a", b"\xff" * 11, b"\x0b", b"\x0c", b"\x00"])
def test_an_undecodable_message_is_refused(client, method, garbage):
    with refused("INTERNAL"):
        raw(client, method)(garbage, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("path", ["/ringstore.v1.KeyStore/Gett", "/no.such.Service/Get", "/x"])
def test_an_unknown_path_is_unimplemented(client, path):
    with refused("UNIMPLEMENTED"):
        client.channel.unary_unary(path)(b"", timeout=TIMEOUT_SECONDS)


def test_a_message_over_the_limit_is_refused_and_the_connection_lives(client, key):
    client.set(key, b"before")
    with refused("RESOURCE_EXHAUSTED"):
        client.set(key, b"x" * (MESSAGE_LIMIT + 1))
    assert client.get(key).value == b"before"


def test_a_message_just_under_the_limit_is_served(client, key):
    value = b"x" * (MESSAGE_LIMIT - 1024)
    client.set(key, value)
    assert client.get(key).value == value


def test_a_compressed_call_is_refused_in_words_or_served(client, key):
    client.set(key, b"v")
    ask = client.stub.Get.with_call
    try:
        reply, _ = ask(
            pb.Key(key=key), timeout=TIMEOUT_SECONDS, compression=grpc.Compression.Gzip
        )
        assert reply.value == b"v"
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def test_metadata_of_the_caller_does_no_harm(client, key):
    client.set(key, b"v")
    metadata = [("x-text", "plain"), ("x-bytes-bin", bytes(range(256))), ("x-empty", "")]
    reply = client.stub.Get(pb.Key(key=key), metadata=metadata, timeout=TIMEOUT_SECONDS)
    assert reply.value == b"v"
