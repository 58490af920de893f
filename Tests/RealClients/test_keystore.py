"""The legacy KeyStore service, on every shape of server: text and lists, beside ringstore.v1."""

import random

import pytest
from google.protobuf.message import DecodeError
from harness.client import Client, refused
from harness.legacy.key_store import KeyStore, request
from harness.raw_http2 import Connection, headers, message
from harness.seeds import seed
from legacy import key_store_pb2 as pb

MIB = 1 << 20
METHODS = {
    "Set": pb.KeyValue, "Get": pb.Key, "Delete": pb.Key, "LPush": pb.KeyValue,
    "LRange": pb.ListRange, "LPop": pb.Key,
}
BINARY = b"\xff\x00\xfe"


@pytest.fixture
def store(client: Client):
    with KeyStore(client.address) as opened:
        yield opened


# --- Strings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["value", "", "0", "wörter\0\r\n", "\U0001f5dd", "x" * 200_000])
def test_a_text_comes_back_as_it_was_set(store, client, text):
    assert store.set("k", text) == "OK"
    assert store.get("k") == text
    assert client.get(b"k").value == text.encode()


def test_replies_are_these_bytes(store):
    key, pair = b"\x0a\x01k", b"\x0a\x03\x0a\x01k\x12\x03\x0a\x01v"
    noval, value = b"\x08\x01", b"\x12\x03\x0a\x01v"
    one, zero = b"\x0a\x0binteger (1)", b"\x0a\x0binteger (0)"
    script = [
        ("Get", key, noval), ("Set", pair, b"\x0a\x02OK"), ("Get", key, value),
        ("Delete", key, one), ("Delete", key, zero), ("LPop", key, noval),
        ("LRange", b"\x0a\x03" + key, b"\x0a\x03" + key), ("LPush", pair, one),
        ("LPush", pair, b"\x0a\x0binteger (2)"),
        ("LRange", b"\x0a\x03" + key + b"\x18\x01", b"\x0a\x03" + key + b"\x12\x01v" * 2),
        ("LPop", key, value), ("Delete", key, one),
        # An empty text is a value, and a key that is missing altogether is an empty one.
        ("Set", b"\x0a\x03" + key, b"\x0a\x02OK"), ("Get", key, b"\x12\x00"),
    ]
    for method, sent, expected in script:
        assert store.raw(method, sent) == expected, (method, sent)


def test_a_missing_key_has_no_value(store):
    assert store.get("missing") is None
    assert store.delete("missing") == "integer (0)"


def test_a_delete_removes_a_key_of_any_type(store, client):
    store.set("k", "v")
    store.lpush("l", "element")
    assert [store.delete(key) for key in ("k", "k", "l", "l")] == [
        "integer (1)", "integer (0)", "integer (1)", "integer (0)",
    ]
    assert client.keys() == []


# --- Lists -----------------------------------------------------------------------------------


def test_a_push_puts_in_front_and_a_pop_takes_from_there(store, client):
    assert [store.lpush("l", text) for text in "abc"] == [f"integer ({n})" for n in (1, 2, 3)]
    assert store.lrange("l") == ["c", "b", "a"]
    assert client.lrange(b"l", 0, -1).values == [b"c", b"b", b"a"]
    assert [store.lpop("l") for _ in range(4)] == ["c", "b", "a", None]
    assert store.delete("l") == "integer (0)"


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, -1), (0, 0), (1, 3), (-2, -1), (3, 1), (0, 99), (-99, 1), (9, 99), (-(2**31), 2**31 - 1)],
)
def test_a_range_is_that_of_the_newer_service(store, client, start, stop):
    client.rpush(b"l", *(b"%d" % n for n in range(5)))
    expected = [one.decode() for one in client.lrange(b"l", start, stop).values]
    assert store.lrange("l", start, stop) == expected


def test_a_missing_list_is_a_deque_of_its_key_without_data(store):
    assert store.lrange("missing") == []
    assert store.lpop("missing") is None


def test_what_the_newer_service_pushes_is_popped(store, client):
    client.rpush(b"l", b"first", b"last")
    assert store.lpush("l", "new") == "integer (3)"
    assert client.lpop(b"l").value == b"new"
    assert store.lpop("l") == "first"
    assert client.llen(b"l") == 1


def test_calls_for_the_wrong_type_are_refused(store):
    store.set("s", "text")
    store.lpush("l", "element")
    attempts = [
        lambda: store.get("l"), lambda: store.lpush("s", "x"), lambda: store.lpop("s"),
        lambda: store.lrange("s"),
    ]
    for attempt in attempts:
        with refused("FAILED_PRECONDITION", "WRONG_TYPE"):
            attempt()
    assert store.get("s") == "text" and store.lrange("l") == ["element"]


# --- What text can't carry -------------------------------------------------------------------


def test_bytes_that_are_no_text_are_refused_and_stay(store, client):
    client.set(b"k", BINARY)
    client.rpush(b"l", BINARY, b"text")
    for attempt in (lambda: store.get("k"), lambda: store.lrange("l"), lambda: store.lpop("l")):
        with refused("FAILED_PRECONDITION", "NOT_UTF8") as refusal:
            attempt()
        assert "UTF-8" in refusal.message
    assert client.get(b"k").value == BINARY
    assert client.lrange(b"l", 0, -1).values == [BINARY, b"text"]
    assert store.lrange("l", 1, 1) == ["text"]
    client.lpop(b"l")
    assert store.lpop("l") == "text"


def test_a_large_value_that_is_no_text_is_refused_too(store, client):
    # Its last byte alone says so.
    client.set(b"k", b"x" * MIB + b"\xc3")
    client.rpush(b"l", b"x" * MIB + b"\xc3")
    for attempt in (lambda: store.get("k"), lambda: store.lpop("l")):
        with refused("FAILED_PRECONDITION", "NOT_UTF8"):
            attempt()
    assert client.llen(b"l") == 1


# --- Sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 300_000, MIB, 4 * MIB - 100])
def test_a_text_of_any_size_goes_in_and_out(store, size):
    text = "".join(chr(97 + n % 26) for n in range(1_000)) * (size // 1_000 + 1)
    assert store.set("k", text[:size]) == "OK"
    assert store.get("k") == text[:size]
    assert store.lpush("l", text[:size]) == "integer (1)"
    assert store.lrange("l") == [text[:size]]
    assert store.lpop("l") == text[:size]
    assert store.lpop("l") is None


def test_a_request_beyond_the_limit_is_refused(store):
    with refused("RESOURCE_EXHAUSTED"):
        store.set("k", "x" * (4 * MIB))
    assert store.get("k") is None


def test_a_list_beyond_the_limit_is_read_in_parts(store):
    for _ in range(5):
        store.lpush("l", "x" * MIB)
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE"):
        store.lrange("l")
    assert [len(one) for one in store.lrange("l", 1, 3)] == [MIB] * 3


def test_a_long_list_of_short_texts_is_whole(store, client):
    texts = [f"text {n}" for n in range(9_000)]
    for at in range(0, 45_000, 9_000):
        client.rpush(b"l", *(text.encode() for text in texts))
        assert len(store.lrange("l")) == at + 9_000
    assert store.lrange("l") == texts * 5


def test_many_large_texts_are_read_at_once(store):
    """As many as reply_memory_bytes has room for; past that, reads are refused as OVERLOADED."""
    for number in range(8):
        store.set(f"k{number}", str(number) * 2 * MIB)
    pending = [
        store.stub.Get.future(request("GET", f"k{n % 8}"), timeout=60) for n in range(24)
    ]
    for number, one in enumerate(pending):
        assert one.result().value.value_name == str(number % 8) * 2 * MIB


def test_large_unread_texts_dont_delay_other_clients(served, store):
    store.set("k", "x" * 2 * MIB)
    slow = Connection(served.address)
    slow.exchange_settings()
    body = message(pb.Key(key_name="k").SerializeToString())
    for _ in range(90):
        assert slow.start(headers("/KeyStore/Get"), body)
    slow.flush()
    for number in range(100):
        store.set("other", str(number))
        assert store.get("other") == str(number)
    slow.close()


# --- Messages --------------------------------------------------------------------------------


def test_an_empty_key_is_refused_by_every_call(store):
    for method in METHODS:
        for sent in (b"", b"\x0a\x00") if method in ("Get", "Delete", "LPop") else (b"",):
            with refused("INVALID_ARGUMENT", "INVALID_KEY"):
                store.raw(method, sent)


def test_unknown_fields_are_ignored_by_reads_and_refused_by_writes(store):
    inside = b"\x0a\x05\x0a\x01k\x10\x01"
    for sent in (b"\x0a\x03\x0a\x01k\x12\x03\x0a\x01v\x20\x01", inside + b"\x12\x03\x0a\x01v"):
        for method in ("Set", "LPush"):
            with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
                store.raw(method, sent)
    for method in ("Delete", "LPop"):
        with refused("UNIMPLEMENTED", "UNKNOWN_FIELD"):
            store.raw(method, b"\x0a\x01k\x10\x01")
    assert store.raw("Get", b"\x0a\x01k\x10\x01") == b"\x08\x01"
    assert store.raw("LRange", inside) == b"\x0a\x03\x0a\x01k"


def test_fields_that_come_twice_are_merged_as_protobuf_has_it(store):
    twice = b"\x0a\x03\x0a\x01a" + b"\x0a\x00" + b"\x0a\x03\x0a\x01k" + b"\x12\x03\x0a\x01v"
    assert store.raw("Set", twice) == b"\x0a\x02OK"
    assert store.get("k") == "v" and store.get("a") is None


def test_what_protobuf_refuses_is_refused_and_what_it_reads_is_read(store):
    """Messages with bytes changed, cut and put in: python's protobuf is the judge."""
    source = random.Random(seed())
    pair = request("SET", "key", ("välue",)).SerializeToString()
    samples = {
        "Set": pair, "LPush": pair, "Get": b"\x0a\x04k\xc3\xa9y",
        "LRange": request("LRANGE", "l", (-5, 7)).SerializeToString(),
    }
    for _ in range(600):
        method = source.choice(list(samples))
        sent = bytearray(samples[method])
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(sent) + 1)
            sent[at : at + source.randint(0, 2)] = source.randbytes(source.randint(0, 2))
        try:
            METHODS[method].FromString(bytes(sent))
            is_message = True
        except DecodeError:
            is_message = False
        code = store.code(method, bytes(sent))
        # Whatever else may be wrong with it, INTERNAL stands for bytes that are no message.
        assert (code != "INTERNAL") == is_message, (seed(), method, bytes(sent), code)


def test_unknown_methods_are_unimplemented(store):
    for path in ("/KeyStore/Nope", "/KeyStore/RPush", "/KeyStore/set", "/Keystore/Set"):
        with refused("UNIMPLEMENTED"):
            store.channel.unary_unary(path)(b"", timeout=store.timeout)


def test_the_rules_of_unary_calls_hold(served, store):
    raw = Connection(served.address)
    raw.exchange_settings()
    key = pb.Key(key_name="k").SerializeToString()

    def status(body: bytes, *extra: tuple[str, str]) -> int:
        return raw.wait(raw.start(headers("/KeyStore/Get", extra), body)).grpc_status

    assert status(message(key)) == 0
    assert status(b"") == 12 and status(message(key) * 2) == 12
    assert status(message(key)[:-1]) == 13
    assert status(b"\1" + message(key)[1:]) == 13
    assert status(message(key), ("grpc-timeout", "1x")) == 13
    assert status(message(key), ("grpc-timeout", "99999999H")) == 0
    assert status(message(key), ("grpc-timeout", "1n")) in (0, 4)
    reply = raw.call("/KeyStore/Get", b"\x0a\x02k")
    assert (reply.status, reply.grpc_status, len(reply.blocks)) == (200, 13, 1)
    raw.close()
