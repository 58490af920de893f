"""Calls on one key that holds a list, on every shape of server."""

import pytest
from harness.client import refused


def test_a_push_at_the_left_turns_the_order_and_one_at_the_right_keeps_it(client, key):
    assert client.lpush(key, b"1", b"2", b"3").count == 3
    assert client.rpush(key, b"4", b"5").count == 5
    assert client.lrange(key, 0, -1).values == [b"3", b"2", b"1", b"4", b"5"]


def test_both_ends_are_popped_until_the_key_is_gone(client, key):
    client.rpush(key, b"a", b"b", b"c")
    assert client.lpop(key).value == b"a"
    assert client.rpop(key).value == b"c"
    assert client.lpop(key).value == b"b"
    for gone in (client.lpop(key), client.rpop(key)):
        assert (gone.found, gone.value) == (False, b"")
    assert client.exists(key).count == 0


def test_empty_and_binary_elements_are_kept(client, key):
    elements = [b"", b"\x00", bytes(range(256)), b""]
    client.rpush(key, *elements)
    assert client.lrange(key, 0, -1).values == elements
    first = client.lpop(key)
    assert (first.found, first.value) == (True, b"")


def test_the_length_of_a_missing_list_is_zero(client, key):
    assert client.llen(key) == 0
    client.rpush(key, b"a", b"b")
    assert client.llen(key) == 2


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, -1), (0, 0), (2, 4), (-3, -1), (-100, 100), (5, 2), (10, 20), (9, 9), (-1, -1), (0, -11)],
)
def test_a_range_is_cut_as_redis_cuts_it(client, key, start, stop):
    elements = [b"%d" % i for i in range(10)]
    client.rpush(key, *elements)
    first = max(start + 10 if start < 0 else start, 0)
    last = min(stop + 10 if stop < 0 else stop, 9)
    reply = client.lrange(key, start, stop)
    assert list(reply.values) == elements[first : last + 1]
    assert (reply.found, reply.length) == (True, 10)
    if reply.values:
        assert reply.first_index == first


def test_the_ends_of_64_bits_are_clamped_too(client, key):
    client.rpush(key, b"a", b"b")
    assert client.lrange(key, -(2**63), 2**63 - 1).values == [b"a", b"b"]
    assert client.lrange(key, 2**63 - 1, -(2**63)).values == []


def test_a_range_of_a_missing_list_is_empty(client, key):
    reply = client.lrange(key, 0, -1)
    assert (reply.found, reply.length, list(reply.values)) == (False, 0, [])


def test_a_long_list_keeps_its_order(client, key):
    elements = [b"element-%d" % i for i in range(20_000)]
    for begin in range(0, len(elements), 2_000):
        client.rpush(key, *elements[begin : begin + 2_000])
    assert client.lrange(key, 0, -1).values == elements
    assert client.lrange(key, 9_990, 10_010).values == elements[9_990:10_011]
    assert client.lrange(key, -5, -1).values == elements[-5:]


def test_an_element_of_a_mebibyte_comes_back_whole(client, key):
    large = bytes(range(256)) * 4096
    client.rpush(key, b"small", large, b"small")
    assert client.lrange(key, 1, 1).values == [large]
    assert client.rpop(key).value == b"small"
    assert client.rpop(key).value == large


def test_list_calls_on_a_string_are_refused(client, key):
    client.set(key, b"string")
    for attempt in (
        lambda: client.lpush(key, b"v"),
        lambda: client.rpush(key, b"v"),
        lambda: client.lpop(key),
        lambda: client.rpop(key),
        lambda: client.llen(key),
        lambda: client.lrange(key, 0, -1),
    ):
        with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
            attempt()
    assert client.get(key).value == b"string"


def test_a_reply_over_the_message_limit_is_refused(client, key):
    for _ in range(5):
        client.rpush(key, b"x" * (1 << 20))
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE"):
        client.lrange(key, 0, -1)
    assert len(client.lrange(key, 0, 1).values) == 2


def test_versions_grow_with_every_change(client, key):
    versions = [
        client.rpush(key, b"a").version,
        client.lpush(key, b"b").version,
        client.lpop(key).version,
        client.rpush(key, b"c").version,
    ]
    assert versions == sorted(set(versions))
