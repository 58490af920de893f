"""Calls that concern many keys or every shard, on every shape of server."""

import pytest
from harness.client import TIMEOUT_SECONDS, refused
from ringstore.v1 import keystore_pb2 as pb

# Enough keys that every one of three shards owns some.
MANY = [b"many-%d" % i for i in range(300)]
ITEM_LIMIT = 10_000


def mget(client, keys, timeout=TIMEOUT_SECONDS):
    return client.stub.MGet(pb.MGetRequest(keys=[pb.Key(key=k) for k in keys]), timeout=timeout)


def mset(client, pairs):
    items = [pb.KeyValue(key=k, value=v) for k, v in pairs]
    return client.stub.MSet(pb.MSetRequest(items=items), timeout=TIMEOUT_SECONDS)


def mdelete(client, keys):
    request = pb.MDeleteRequest(keys=[pb.DeleteRequest(key=k) for k in keys])
    return client.stub.MDelete(request, timeout=TIMEOUT_SECONDS)


def test_many_keys_are_set_read_and_deleted_in_request_order(client):
    written = mset(client, [(k, b"value of " + k) for k in MANY])
    assert [item.status.ok for item in written.items] == [True] * len(MANY)
    asked = list(reversed(MANY)) + [b"missing"]
    read = mget(client, asked)
    assert [item.value.value for item in read.items[:-1]] == [b"value of " + k for k in asked[:-1]]
    assert [item.value.found for item in read.items] == [True] * len(MANY) + [False]
    removed = mdelete(client, [b"missing", *MANY])
    assert [item.status.count for item in removed.items] == [0] + [1] * len(MANY)
    assert client.size() == 0


def test_no_items_give_no_items(client):
    assert not mget(client, []).items
    assert not mset(client, []).items
    assert not mdelete(client, []).items


def test_the_same_key_twice_has_two_items(client):
    mset(client, [(b"twice", b"first"), (b"twice", b"second")])
    assert [i.value.value for i in mget(client, [b"twice", b"twice"]).items] == [b"second"] * 2
    assert [i.status.count for i in mdelete(client, [b"twice", b"twice"]).items] == [1, 0]


def test_each_item_fails_for_itself(client):
    client.rpush(b"list", b"element")
    client.set(b"string", b"value")
    items = mget(client, [b"string", b"list", b"", b"missing"]).items
    assert items[0].value.value == b"value"
    assert (items[1].error.code, items[1].error.reason) == (9, "WRONG_TYPE")
    assert (items[2].error.code, items[2].error.reason) == (3, "INVALID_KEY")
    assert items[1].error.message and items[2].error.message
    assert items[3].WhichOneof("outcome") == "value" and not items[3].value.found


def test_a_write_of_many_keeps_the_good_items(client):
    items = mset(client, [(b"good", b"1"), (b"", b"2"), (b"also good", b"3")]).items
    assert [item.WhichOneof("outcome") for item in items] == ["status", "error", "status"]
    assert items[1].error.reason == "INVALID_KEY"
    assert client.size() == 2


def test_the_number_of_items_has_a_limit(client):
    full = [b"%d" % i for i in range(ITEM_LIMIT)]
    assert len(mget(client, full).items) == ITEM_LIMIT
    with refused("INVALID_ARGUMENT", "TOO_MANY_ITEMS"):
        mget(client, [*full, b"one more"])


def mlrange(client, *ranges):
    asked = [pb.ListRange(key=key, start=start, stop=stop) for key, start, stop in ranges]
    return client.stub.MLRange(pb.MLRangeRequest(ranges=asked), timeout=TIMEOUT_SECONDS).items


def test_many_lists_are_read_in_request_order(client):
    for number in range(100):
        client.rpush(b"list-%d" % number, *(b"%d" % n for n in range(number + 1)))
    items = mlrange(client, *((b"list-%d" % n, 0, -1) for n in reversed(range(100))))
    read = [list(item.list.values) for item in items]
    assert read == [[b"%d" % n for n in range(number + 1)] for number in reversed(range(100))]
    assert [item.list.length for item in items] == list(reversed(range(1, 101)))
    assert not mlrange(client)


def test_ranges_of_one_list_are_what_lrange_gives(client):
    client.rpush(b"l", *(b"%d" % n for n in range(10)))
    ranges = [(0, -1), (2, 3), (-2, -1), (5, 4), (20, 30), (-100, 100), (0, 0)]
    items = mlrange(client, *((b"l", start, stop) for start, stop in ranges))
    assert [item.list for item in items] == [client.lrange(b"l", *one) for one in ranges]


def test_each_range_fails_for_itself(client):
    client.rpush(b"list", b"element")
    client.set(b"string", b"value")
    items = mlrange(client, (b"list", 0, -1), (b"string", 0, -1), (b"", 0, -1), (b"none", 0, -1))
    assert list(items[0].list.values) == [b"element"]
    assert (items[1].error.code, items[1].error.reason) == (9, "WRONG_TYPE")
    assert (items[2].error.code, items[2].error.reason) == (3, "INVALID_KEY")
    assert items[1].error.message and items[2].error.message
    assert items[3].WhichOneof("outcome") == "list" and not items[3].list.found


def test_the_number_of_ranges_has_a_limit(client):
    client.rpush(b"l", b"v")
    assert len(mlrange(client, *[(b"l", 0, 0)] * ITEM_LIMIT)) == ITEM_LIMIT
    with refused("INVALID_ARGUMENT", "TOO_MANY_ITEMS"):
        mlrange(client, *[(b"l", 0, 0)] * (ITEM_LIMIT + 1))


PATTERNS = {
    "user:1": b"",
    "user:22": b"",
    "session:1": b"",
    "tmp/a.b": b"",
    "tmp/axb": b"",
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, ["session:1", "tmp/a.b", "tmp/axb", "user:1", "user:22"]),
        ({"glob": b"*"}, ["session:1", "tmp/a.b", "tmp/axb", "user:1", "user:22"]),
        ({"glob": b"user:*"}, ["user:1", "user:22"]),
        ({"glob": b"user:?"}, ["user:1"]),
        ({"glob": b"tmp/a[.]b"}, ["tmp/a.b"]),
        ({"glob": b"tmp/a[^.]b"}, ["tmp/axb"]),
        ({"glob": b"nothing*"}, []),
        ({"regex": rb"user:\d+$"}, ["user:1", "user:22"]),
        ({"regex": rb"user:\d$"}, ["user:1"]),
        ({"regex": rb"1|tmp"}, ["tmp/a.b", "tmp/axb"]),
        ({"regex": rb".*1"}, ["session:1", "user:1"]),
        ({"regex": rb"tmp/a\.b"}, ["tmp/a.b"]),
        ({"prefix": b"tmp/a."}, ["tmp/a.b"]),
        ({"prefix": b"user"}, ["user:1", "user:22"]),
        ({"prefix": b"*"}, []),
    ],
)
def test_keys_are_found_by_pattern(client, pattern, expected):
    for name in PATTERNS:
        client.set(name.encode(), b"v")
    assert client.keys(**pattern) == [name.encode() for name in expected]


@pytest.mark.parametrize("regex", [b"(", b"a(?=b)", rb"(a)\1", b"[z-a]"])
def test_a_bad_regular_expression_is_refused(client, regex):
    with refused("INVALID_ARGUMENT", "BAD_PATTERN"):
        client.keys(regex=regex)


def test_a_hard_regular_expression_is_decided_in_time(client):
    client.set(b"a" * 5000, b"v")
    assert client.keys(regex=b"(a*)*b") == []


def test_keys_and_sizes_cover_every_shard(client):
    mset(client, [(k, b"v") for k in MANY])
    assert client.keys() == sorted(MANY)
    assert client.keys(prefix=b"many-1") == sorted(k for k in MANY if k.startswith(b"many-1"))
    assert client.size() == len(MANY)


def test_a_reset_removes_one_database_and_counts(client):
    mset(client, [(k, b"v") for k in MANY])
    client.set(b"other", b"v", database=3)
    assert client.reset() == len(MANY)
    assert (client.size(), client.keys()) == (0, [])
    assert client.size(database=3) == 1
    assert client.reset(database=3) == 1


def test_every_database_is_counted_and_reset_on_demand(client):
    for database in (0, 1, 15):
        client.set(b"key", b"v", database=database)
    assert client.size(all_databases=True) == 3
    assert client.reset(all_databases=True) == 3
    assert client.size(all_databases=True) == 0


def test_unknown_databases_are_refused(client):
    for attempt in (client.size, client.reset):
        with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
            attempt(database=16)
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        client.stub.Keys(pb.KeysRequest(database=16), timeout=TIMEOUT_SECONDS)
