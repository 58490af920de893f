"""Calls on one key that holds a string or nothing, on every shape of server."""

import pytest
from harness.client import refused
from ringstore.v1 import keystore_pb2 as pb

MIB = 1 << 20
KEY_LIMIT = 64 << 10


def test_a_value_comes_back_as_it_was_set(client, key):
    assert client.set(key, b"value").ok
    reply = client.get(key)
    assert (reply.found, reply.value) == (True, b"value")


def test_a_missing_key_is_not_an_error(client, key):
    reply = client.get(key)
    assert (reply.found, reply.value, reply.version) == (False, b"", 0)


def test_an_empty_value_is_found(client, key):
    client.set(key, b"")
    reply = client.get(key)
    assert (reply.found, reply.value) == (True, b"")


def test_a_zero_is_a_value(client, key):
    client.set(key, b"0")
    assert client.get(key).value == b"0"
    assert client.incr(key, 0) == 0
    assert client.get(key).found


@pytest.mark.parametrize(
    "name",
    [
        b"\x00", b"\xff\xfe\x00\x01", b"\r\n \t", "schlüssel".encode(), bytes(range(256)),
        b"{", b"{}",
    ],
)
def test_a_key_is_any_bytes(client, name):
    client.set(name, b"of " + name)
    assert client.get(name).value == b"of " + name
    assert client.keys(prefix=name) == [name]
    assert client.delete(name).count == 1
    assert not client.get(name).found


@pytest.mark.parametrize("size", [1, 63, 16 << 10, (16 << 10) + 1, (64 << 10) - 1, 64 << 10, MIB])
def test_a_value_of_any_size_comes_back_whole(client, key, size):
    value = bytes(i * 31 % 251 for i in range(1009)) * (size // 1009 + 1)
    client.set(key, value[:size])
    assert client.get(key).value == value[:size]


def test_a_key_of_the_longest_length_is_served(client):
    longest = b"k" * KEY_LIMIT
    client.set(longest, b"v")
    assert client.get(longest).value == b"v"


def test_an_empty_and_an_over_long_key_are_refused(client):
    for bad in (b"", b"k" * (KEY_LIMIT + 1)):
        with refused("INVALID_ARGUMENT", "INVALID_KEY"):
            client.set(bad, b"v")
        with refused("INVALID_ARGUMENT", "INVALID_KEY"):
            client.get(bad)


def test_a_set_replaces_what_was_there_and_its_version_grows(client, key):
    first = client.set(key, b"one")
    second = client.set(key, b"two")
    assert client.get(key).value == b"two"
    assert 0 < first.version < second.version
    assert client.get(key).version == second.version


def test_a_set_replaces_a_list(client, key):
    client.rpush(key, b"a")
    assert client.set(key, b"string").ok
    assert client.get(key).value == b"string"
    assert client.type(key) == pb.VALUE_TYPE_STRING


def test_a_delete_counts_what_it_removed(client, key):
    client.set(key, b"v")
    assert client.delete(key).count == 1
    assert client.delete(key).count == 0
    assert not client.get(key).found


def test_exists_and_type_tell_what_a_key_holds(client, key):
    assert client.exists(key).count == 0
    assert client.type(key) == pb.VALUE_TYPE_NONE
    client.set(key, b"")
    assert client.exists(key).count == 1
    assert client.type(key) == pb.VALUE_TYPE_STRING
    client.delete(key)
    client.rpush(key, b"")
    assert client.exists(key).count == 1
    assert client.type(key) == pb.VALUE_TYPE_LIST


def test_an_integer_is_counted_up_and_down_from_nothing(client, key):
    assert client.incr(key, 5) == 5
    assert client.incr(key, -7) == -2
    assert client.get(key).value == b"-2"


def test_a_string_that_spells_an_integer_is_counted(client, key):
    client.set(key, b"41")
    assert client.incr(key) == 42


@pytest.mark.parametrize("text", [b"", b"x", b"1x", b" 1", b"1 ", b"1.5", b"0x1", b"\xff"])
def test_what_is_no_integer_is_not_counted(client, key, text):
    client.set(key, text)
    with refused("FAILED_PRECONDITION", "NOT_AN_INTEGER"):
        client.incr(key)
    assert client.get(key).value == text


def test_a_count_past_64_bits_is_refused_and_changes_nothing(client, key):
    for edge, step in ((2**63 - 1, 1), (-(2**63), -1)):
        client.set(key, b"%d" % edge)
        assert client.incr(key, 0) == edge
        with refused("OUT_OF_RANGE", "INTEGER_OVERFLOW"):
            client.incr(key, step)
        assert client.get(key).value == b"%d" % edge


def test_a_call_for_the_wrong_type_is_refused(client, key):
    client.rpush(key, b"element")
    with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
        client.get(key)
    with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
        client.incr(key)
    assert client.lrange(key, 0, -1).values == [b"element"]


def test_databases_hold_keys_of_their_own(client, key):
    client.set(key, b"zero")
    client.set(key, b"fifteen", database=15)
    assert client.get(key).value == b"zero"
    assert client.get(key, database=15).value == b"fifteen"
    assert not client.get(key, database=7).found
    client.delete(key, database=15)
    assert client.get(key).found


def test_an_unknown_database_is_refused(client, key):
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        client.set(key, b"v", database=16)
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        client.get(key, database=4_000_000_000)
