"""Sixteen databases: every call that names one works on that one alone."""

import pytest
from harness.client import TIMEOUT_SECONDS, call, pipeline, refused
from ringstore.v1 import keystore_pb2 as pb

DATABASES = range(16)
# The same key everywhere; what it holds tells where it is.
STRING, LIST, NUMBER = b"string", b"list", b"number"


def value(database: int) -> bytes:
    return b"of database %d" % database


@pytest.fixture
def filled(client):
    """Every database has the same three keys, written by every kind of call that writes."""
    stub = client.stub
    for database in DATABASES:
        if database % 2:
            client.set(STRING, value(database), database=database)
        else:
            item = pb.KeyValue(key=STRING, value=value(database), database=database)
            stub.MSet(pb.MSetRequest(items=[item]), timeout=TIMEOUT_SECONDS)
        for push, at in ((stub.RPush, b"right"), (stub.LPush, b"left")):
            values = [b"%s %d" % (at, database)]
            insert = pb.ListInsert(key=LIST, values=values, database=database)
            push(insert, timeout=TIMEOUT_SECONDS)
        request = pb.IncrByRequest(key=NUMBER, delta=database + 1, database=database)
        stub.IncrBy(request, timeout=TIMEOUT_SECONDS)
    return client


def test_reads_of_one_key(filled):
    stub = filled.stub
    for database in DATABASES:
        string = pb.Key(key=STRING, database=database)
        key = pb.Key(key=LIST, database=database)
        reach = pb.ListRange(key=LIST, start=0, stop=-1, database=database)
        both = [b"left %d" % database, b"right %d" % database]
        assert stub.Get(string, timeout=TIMEOUT_SECONDS).value == value(database)
        assert stub.Exists(string, timeout=TIMEOUT_SECONDS).count == 1
        assert stub.Type(key, timeout=TIMEOUT_SECONDS).type == pb.VALUE_TYPE_LIST
        assert stub.LLen(key, timeout=TIMEOUT_SECONDS).count == 2
        assert stub.LRange(reach, timeout=TIMEOUT_SECONDS).values == both
        (chunk,) = stub.LRangeStream(reach, timeout=TIMEOUT_SECONDS)
        assert chunk.values == both
        number = pb.Key(key=NUMBER, database=database)
        assert stub.Get(number, timeout=TIMEOUT_SECONDS).value == b"%d" % (database + 1)


def test_reads_of_many_keys_in_many_databases_at_once(filled):
    asked = [pb.Key(key=STRING, database=database) for database in DATABASES]
    items = filled.stub.MGet(pb.MGetRequest(keys=asked), timeout=TIMEOUT_SECONDS).items
    assert [item.value.value for item in items] == [value(database) for database in DATABASES]
    ranges = [pb.ListRange(key=LIST, start=0, stop=0, database=d) for d in DATABASES]
    lists = filled.stub.MLRange(pb.MLRangeRequest(ranges=ranges), timeout=TIMEOUT_SECONDS).items
    assert [item.list.values for item in lists] == [[b"left %d" % d] for d in DATABASES]


def test_removals_leave_the_other_databases_alone(filled):
    stub = filled.stub
    for database in (3, 7):
        key = pb.PopRequest(key=LIST, database=database)
        assert stub.LPop(key, timeout=TIMEOUT_SECONDS).value == b"left %d" % database
        assert stub.RPop(key, timeout=TIMEOUT_SECONDS).value == b"right %d" % database
        assert not stub.RPop(key, timeout=TIMEOUT_SECONDS).found
        assert filled.delete(STRING, database=database).count == 1
        asked = [pb.DeleteRequest(key=NUMBER, database=database)] * 2
        removed = stub.MDelete(pb.MDeleteRequest(keys=asked), timeout=TIMEOUT_SECONDS)
        assert [item.status.count for item in removed.items] == [1, 0]
        assert filled.size(database=database) == 0
    assert filled.size(all_databases=True) == 3 * 14
    assert filled.get(STRING, database=4).value == value(4)


def test_calls_over_every_shard(filled):
    for database in DATABASES:
        filled.set(b"only in %d" % database, b"v", database=database)
        wanted = sorted([STRING, LIST, NUMBER, b"only in %d" % database])
        request = pb.KeysRequest(database=database)
        assert sorted(filled.stub.Keys(request, timeout=TIMEOUT_SECONDS).keys) == wanted
        pages = filled.scan(database=database)
        assert sorted(key for page in pages for key in page.keys) == wanted
        assert filled.size(database=database) == 4
    assert filled.size() == 4
    assert filled.size(all_databases=True) == 64
    assert filled.size(all_databases=True, database=9) == 64


def test_resets(filled):
    assert filled.reset(database=5) == 3
    assert [filled.size(database=database) for database in (4, 5, 6)] == [3, 0, 3]
    assert filled.get(STRING, database=4).found
    assert not filled.get(STRING, database=5).found
    assert filled.reset() == 3
    assert filled.size(all_databases=True) == 14 * 3
    assert filled.reset(all_databases=True) == 14 * 3
    assert filled.size(all_databases=True) == 0
    assert filled.reset(all_databases=True) == 0


def test_versions_continue_after_a_reset(client, key):
    before = client.set(key, b"v").version
    client.reset()
    assert client.set(key, b"v").version > before


def test_a_pipeline(filled):
    batch = [call("GET", pb.Key(key=STRING, database=database)) for database in DATABASES]
    replies = pipeline(filled, batch)
    read = [pb.Value.FromString(replies[one.id].response).value for one in batch]
    assert read == [value(database) for database in DATABASES]


BEYOND = 16
REQUESTS = {
    "Set": pb.KeyValue(key=b"k", value=b"v", database=BEYOND),
    "Get": pb.Key(key=b"k", database=BEYOND),
    "Delete": pb.DeleteRequest(key=b"k", database=BEYOND),
    "Exists": pb.Key(key=b"k", database=BEYOND),
    "Type": pb.Key(key=b"k", database=BEYOND),
    "IncrBy": pb.IncrByRequest(key=b"k", delta=1, database=BEYOND),
    "LPush": pb.ListInsert(key=b"k", values=[b"v"], database=BEYOND),
    "RPush": pb.ListInsert(key=b"k", values=[b"v"], database=BEYOND),
    "LPop": pb.Key(key=b"k", database=BEYOND),
    "RPop": pb.Key(key=b"k", database=BEYOND),
    "LLen": pb.Key(key=b"k", database=BEYOND),
    "LRange": pb.ListRange(key=b"k", database=BEYOND),
    "Keys": pb.KeysRequest(database=BEYOND),
    "DbSize": pb.DbSizeRequest(database=BEYOND),
    "Reset": pb.ResetRequest(database=BEYOND),
}


@pytest.mark.parametrize("method", REQUESTS)
def test_a_database_that_is_not_there_is_refused(client, method):
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        getattr(client.stub, method)(REQUESTS[method], timeout=TIMEOUT_SECONDS)
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        message = REQUESTS[method]
        message = type(message).FromString(message.SerializeToString())
        message.database = (1 << 32) - 1
        getattr(client.stub, method)(message, timeout=TIMEOUT_SECONDS)
    assert client.size(all_databases=True) == 0


@pytest.mark.parametrize("method", ["LRangeStream", "Scan"])
def test_a_stream_of_a_database_that_is_not_there_is_refused(client, method):
    request = {"LRangeStream": pb.ListRange(key=b"k", database=BEYOND),
               "Scan": pb.ScanRequest(database=BEYOND)}[method]
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        list(getattr(client.stub, method)(request, timeout=TIMEOUT_SECONDS))


def test_items_of_a_database_that_is_not_there_fail_one_by_one(client):
    client.set(STRING, b"v")
    keys = [pb.Key(key=STRING), pb.Key(key=STRING, database=BEYOND)]
    doomed = [pb.DeleteRequest(key=key.key, database=key.database) for key in keys]
    for reply in (
        client.stub.MGet(pb.MGetRequest(keys=keys), timeout=TIMEOUT_SECONDS),
        client.stub.MDelete(pb.MDeleteRequest(keys=doomed), timeout=TIMEOUT_SECONDS),
    ):
        assert reply.items[0].WhichOneof("outcome") != "error"
        assert reply.items[1].error.reason == "NO_SUCH_DATABASE"
