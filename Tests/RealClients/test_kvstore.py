"""The legacy KVStore service, on every shape of server: integers by key, beside ringstore.v1."""

import pytest
from harness.client import Client, refused
from harness.legacy.kv_store import KVStore
from legacy import kv_store_pb2 as pb
from ringstore.v1 import keystore_pb2

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@pytest.fixture
def store(client: Client):
    with KVStore(client.address) as opened:
        yield opened


@pytest.mark.parametrize("number", [42, 0, 1, -1, INT32_MIN, INT32_MAX])
def test_a_number_comes_back_as_it_was_set(store, number):
    assert store.set("k", number)
    assert store.get("k") == number


def test_a_missing_key_is_not_found_and_has_the_value_0(store):
    reply = store.stub.GetVal(pb.GetRequest(key="missing"))
    assert (reply.found, reply.value) == (False, 0)
    assert store.raw("GetVal", pb.GetRequest(key="missing").SerializeToString()) == b""


def test_a_zero_is_found(store):
    store.set("k", 0)
    assert store.raw("GetVal", b"\x0a\x01k") == b"\x10\x01"


def test_replies_are_these_bytes(store):
    assert store.raw("SetVal", b"\x0a\x01k\x10\x2a") == b"\x08\x01"
    assert store.raw("GetVal", b"\x0a\x01k") == b"\x08\x2a\x10\x01"
    assert store.raw("SetVal", b"\x0a\x01k\x10" + b"\xff" * 9 + b"\x01") == b"\x08\x01"
    assert store.raw("GetVal", b"\x0a\x01k") == b"\x08" + b"\xff" * 9 + b"\x01\x10\x01"


@pytest.mark.parametrize("number", [42, 0, -7, INT32_MIN, INT32_MAX])
def test_a_number_is_its_decimal_text_for_the_newer_service(store, client, number):
    store.set("k", number)
    assert client.get(b"k").value == b"%d" % number
    assert client.incr(b"k", 1) == number + 1


def test_what_the_newer_service_writes_is_read(store, client):
    client.set(b"k", b"-17")
    assert store.get("k") == -17
    client.incr(b"counter", 5)
    assert store.get("counter") == 5
    client.delete(b"k")
    assert store.get("k") is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"42x", b" 42", b"42 ", b"+42", b"042", b"-0", b"4.2", b"0x2a", b"\xff",
        b"9" * 19, b"9" * 25, b"%d" % 2**63, b"1" * 200_000,
    ],
)
def test_a_value_that_is_no_integer_is_refused(store, client, text):
    client.set(b"k", text)
    with refused("FAILED_PRECONDITION", "NOT_AN_INTEGER"):
        store.get("k")
    assert client.get(b"k").value == text


@pytest.mark.parametrize("number", [INT32_MAX + 1, INT32_MIN - 1, 2**63 - 1, -(2**63)])
def test_an_integer_beyond_32_bits_is_out_of_range(store, client, number):
    client.set(b"k", b"%d" % number)
    with refused("OUT_OF_RANGE", "INTEGER_OVERFLOW"):
        store.get("k")
    assert client.incr(b"k", 0) == number


def test_a_list_is_no_number_and_gives_way_to_one(store, client):
    client.rpush(b"k", b"element")
    with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
        store.get("k")
    assert store.set("k", 3)
    assert client.get(b"k").value == b"3"


def test_an_empty_and_an_over_long_key_are_refused(store):
    for bad in ("", "k" * 65_537):
        with refused("INVALID_ARGUMENT", "INVALID_KEY"):
            store.set(bad, 1)
        with refused("INVALID_ARGUMENT", "INVALID_KEY"):
            store.get(bad)
    assert store.set("k" * 65_536, 1)


@pytest.mark.parametrize("key", ["\0", "schlüssel", "鍵", "\U0001f511", "a b\r\n", "{tag}x"])
def test_a_key_is_any_text(store, client, key):
    store.set(key, 7)
    assert store.get(key) == 7
    assert client.get(key.encode()).value == b"7"


def test_keys_are_those_of_database_0(store, client):
    client.set(b"k", b"1", database=1)
    assert store.get("k") is None
    store.set("k", 0)
    assert client.get(b"k", database=1).value == b"1"


def test_a_key_that_is_not_utf8_makes_the_message_none(store):
    for method in ("SetVal", "GetVal"):
        with refused("INTERNAL"):
            store.raw(method, b"\x0a\x02\xff\xfe")


def test_a_write_with_an_unknown_field_is_refused(store):
    with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
        store.raw("SetVal", b"\x0a\x01k\x10\x01\x18\x01")
    assert store.get("k") is None
    assert store.raw("GetVal", b"\x0a\x01k\x18\x01") == b""


def test_other_methods_and_other_packages_are_unknown(store):
    for path in ("/KVStore/Get", "/KVStore/setVal", "/ringstore.v1.KVStore/SetVal", "/KVStore/"):
        with refused("UNIMPLEMENTED"):
            store.channel.unary_unary(path)(b"\x0a\x01k", timeout=store.timeout)


def test_calls_and_errors_are_counted_like_others(store, client):
    before = client.stats()
    store.set("k", 1)
    store.get("k")
    with refused("INVALID_ARGUMENT"):
        store.get("")
    with refused("INTERNAL"):
        store.raw("GetVal", b"\xff")
    after = client.stats()
    front = "ringstore_router_" if "ringstore_router_calls_total" in after else "ringstore_"

    def grown(name: str) -> int:
        return after[front + name] - before[front + name]

    assert grown("calls_set_total") == 1
    assert grown("calls_get_total") == 2
    assert grown("errors_total") == 2


def test_many_calls_at_once_find_their_replies(store):
    pending = [
        store.stub.SetVal.future(pb.SetRequest(key=f"k{n}", value=n), timeout=store.timeout)
        for n in range(2_000)
    ]
    assert all(one.result().success for one in pending)
    pending = [
        store.stub.GetVal.future(pb.GetRequest(key=f"k{n}"), timeout=store.timeout)
        for n in range(2_000)
    ]
    assert [one.result().value for one in pending] == list(range(2_000))


def test_a_number_too_large_to_be_one_is_read_whole_and_refused(store, client):
    request = keystore_pb2.KeyValue(key=b"k", value=b"7" * (4_000_000))
    client.stub.Set(request, timeout=10)
    with refused("FAILED_PRECONDITION", "NOT_AN_INTEGER"):
        store.get("k")
