"""Keys that expire and calls under conditions, on every shape of server."""

import time

import pytest
from harness.client import TIMEOUT_SECONDS, refused
from harness.polling import eventually
from ringstore.v1 import keystore_pb2 as pb

# Enough for a reader to see the key before it is gone.
LIFE_MILLIS = 300


def put(client, key: bytes, value: bytes = b"v", **options) -> pb.Status:
    return client.stub.Set(pb.KeyValue(key=key, value=value, **options), timeout=TIMEOUT_SECONDS)


def ttl(client, key: bytes) -> pb.TtlResponse:
    return client.stub.Ttl(pb.Key(key=key), timeout=TIMEOUT_SECONDS)


def wait_until(moment_millis: int) -> None:
    """A clock of this machine's is the shard's; a millisecond more, and what it looks ahead."""
    while time.time() * 1000 < moment_millis + 10:
        time.sleep(0.01)


def test_a_key_is_gone_after_its_time_for_every_call(client, key):
    put(client, key, ttl_millis=LIFE_MILLIS)
    due = ttl(client, key).expire_at_unix_millis
    found = client.get(key)
    assert found.found and 0 < found.ttl_millis <= LIFE_MILLIS or time.time() * 1000 >= due
    wait_until(due)
    assert not client.get(key).found
    assert not ttl(client, key).found
    assert client.exists(key).count == 0
    assert client.type(key) == pb.VALUE_TYPE_NONE
    assert client.keys(prefix=key) == []
    many = client.stub.MGet(pb.MGetRequest(keys=[pb.Key(key=key)]), timeout=TIMEOUT_SECONDS)
    assert not many.items[0].value.found
    assert put(client, key, condition=pb.SET_CONDITION_IF_ABSENT).ok


def test_what_no_call_meets_is_deleted(client, key):
    names = [key + b"-%d" % number for number in range(500)]
    items = [pb.KeyValue(key=name, ttl_millis=LIFE_MILLIS) for name in names]
    client.stub.MSet(pb.MSetRequest(items=items), timeout=TIMEOUT_SECONDS)
    eventually(lambda: client.size() == 0, "all of them deleted")


def test_a_change_of_expiry_is_a_write(client, key):
    first = put(client, key).version
    request = pb.ExpireRequest(key=key, ttl_millis=60_000)
    changed = client.stub.Expire(request, timeout=TIMEOUT_SECONDS)
    assert changed.count == 1 and changed.version > first
    kept = client.stub.Persist(pb.Key(key=key), timeout=TIMEOUT_SECONDS)
    assert kept.count == 1 and kept.version > changed.version
    assert not client.get(key).HasField("ttl_millis")


@pytest.mark.parametrize("millis", [0, -1, (1 << 63) - 1])
def test_a_time_to_live_that_can_not_be_is_refused(client, key, millis):
    with refused("INVALID_ARGUMENT", "INVALID_EXPIRY"):
        put(client, key, ttl_millis=millis)
    assert not client.get(key).found


def test_a_version_is_a_fencing_token(client, key):
    taken = put(client, key, b"me", condition=pb.SET_CONDITION_IF_ABSENT, ttl_millis=60_000)
    assert taken.ok and taken.version > 1 << 50, "versions begin at the clock"
    refused_lock = put(client, key, b"you", condition=pb.SET_CONDITION_IF_ABSENT)
    assert not refused_lock.ok and refused_lock.version == taken.version
    delete = client.stub.Delete
    other = delete(pb.DeleteRequest(key=key, if_value=b"you"), timeout=TIMEOUT_SECONDS)
    assert not other.ok and other.count == 0
    mine = delete(pb.DeleteRequest(key=key, if_version=taken.version), timeout=TIMEOUT_SECONDS)
    assert mine.ok and mine.count == 1
    later = put(client, key, b"you", condition=pb.SET_CONDITION_IF_ABSENT)
    assert later.ok and later.version > taken.version


@pytest.mark.parametrize("size", [1, 3_000, 1 << 20])
def test_the_reply_has_the_value_before(client, key, size):
    value = b"x" * size
    put(client, key, value)
    replaced = put(client, key, b"new", return_previous=True)
    assert replaced.ok and replaced.previous.value == value
    put(client, key, value)
    taken = client.stub.GetDel(pb.Key(key=key), timeout=TIMEOUT_SECONDS)
    assert taken.value == value and not client.get(key).found
