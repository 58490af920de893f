"""Many calls on one stream, on every shape of server."""

import queue
import random

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from harness.client import call, pipeline, refused
from ringstore.v1 import keystore_pb2 as pb


def reason_of(reply: pb.Reply) -> str:
    status = status_pb2.Status.FromString(reply.details)
    assert status.code == reply.code
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def test_every_call_that_may_travel_in_a_batch_is_served(client, key):
    other = key + b"-list"
    batch = [
        (call("SET", pb.KeyValue(key=key, value=b"5")), pb.Status),
        (call("GET", pb.Key(key=key)), pb.Value),
        (call("INCR_BY", pb.IncrByRequest(key=key, delta=2)), pb.IncrByResponse),
        (call("EXISTS", pb.Key(key=key)), pb.Status),
        (call("TYPE", pb.Key(key=key)), pb.TypeResponse),
        (call("L_PUSH", pb.ListInsert(key=other, values=[b"a"])), pb.Status),
        (call("R_PUSH", pb.ListInsert(key=other, values=[b"b"])), pb.Status),
        (call("L_LEN", pb.Key(key=other)), pb.Status),
        (call("L_RANGE", pb.ListRange(key=other, start=0, stop=-1)), pb.ListValues),
        (call("L_POP", pb.Key(key=other)), pb.Value),
        (call("R_POP", pb.Key(key=other)), pb.Value),
        (call("DELETE", pb.DeleteRequest(key=key)), pb.Status),
    ]
    replies = pipeline(client, [sent for sent, _ in batch])
    assert all(reply.code == 0 for reply in replies.values()), replies
    read = [kind.FromString(replies[sent.id].response) for sent, kind in batch]
    assert read[0].ok
    assert read[1].value == b"5"
    assert read[2].value == 7
    assert read[3].count == 1
    assert read[4].type == pb.VALUE_TYPE_STRING
    assert [read[5].count, read[6].count, read[7].count] == [1, 2, 2]
    assert read[8].values == [b"a", b"b"]
    assert [read[9].value, read[10].value] == [b"a", b"b"]
    assert read[11].count == 1


def test_thousands_of_calls_on_one_key_run_in_the_order_sent(client):
    names = [b"counter-%d" % i for i in range(20)]
    sent: dict[int, int] = {}
    counts = dict.fromkeys(names, 0)
    source = random.Random(1)
    batches = []
    for _ in range(60):
        batch = []
        for _ in range(100):
            name = source.choice(names)
            counts[name] += 1
            one = call("INCR_BY", pb.IncrByRequest(key=name, delta=1))
            sent[one.id] = counts[name]
            batch.append(one)
        batches.append(batch)
    replies = pipeline(client, *batches)
    assert replies.keys() == sent.keys()
    values = {i: pb.IncrByResponse.FromString(reply.response).value for i, reply in replies.items()}
    assert values == sent


def test_a_read_sees_the_write_sent_before_it(client):
    batch, expected = [], {}
    for number in range(2_000):
        name = b"key-%d" % (number % 50)
        batch.append(call("SET", pb.KeyValue(key=name, value=b"%d" % number)))
        batch.append(call("GET", pb.Key(key=name)))
        expected[batch[-1].id] = b"%d" % number
    replies = pipeline(client, batch)
    read = {i: pb.Value.FromString(replies[i].response).value for i in expected}
    assert read == expected


def test_replies_come_while_the_stream_stays_open(client, key):
    outgoing: queue.Queue = queue.Queue()
    stream = client.stub.Pipeline(iter(outgoing.get, None), timeout=30)
    for number in range(1, 21):
        one = call("INCR_BY", pb.IncrByRequest(key=key, delta=1))
        outgoing.put(pb.CallBatch(calls=[one]))
        reply = next(stream).replies[0]
        assert reply.id == one.id
        assert pb.IncrByResponse.FromString(reply.response).value == number
    outgoing.put(None)
    assert list(stream) == []


def test_a_stream_without_calls_ends_well(client):
    assert pipeline(client) == {}
    assert pipeline(client, []) == {}


def test_one_bad_call_leaves_the_others_alone(client, key):
    client.rpush(key, b"element")
    good = call("L_LEN", pb.Key(key=key))
    wrong_type = call("GET", pb.Key(key=key))
    no_key = call("GET", pb.Key())
    garbage = call("GET", b"\x0a\xff")
    unknown = pb.Call(id=900_001, method=77, request=b"")
    nothing = pb.Call(id=900_002, request=pb.Key(key=key).SerializeToString())
    last = call("L_LEN", pb.Key(key=key))
    replies = pipeline(client, [good, wrong_type, no_key, garbage, unknown, nothing, last])
    assert replies[good.id].code == replies[last.id].code == 0
    assert (replies[wrong_type.id].code, reason_of(replies[wrong_type.id])) == (9, "WRONG_TYPE")
    assert (replies[no_key.id].code, reason_of(replies[no_key.id])) == (3, "INVALID_KEY")
    assert replies[garbage.id].code == grpc.StatusCode.INTERNAL.value[0]
    assert replies[unknown.id].code == grpc.StatusCode.UNIMPLEMENTED.value[0]
    assert replies[nothing.id].code == grpc.StatusCode.UNIMPLEMENTED.value[0]


def test_a_request_id_is_refused_while_it_is_not_served(client, key):
    asked = call("SET", pb.KeyValue(key=key, value=b"v"), request_id=b"once")
    reply = pipeline(client, [asked])[asked.id]
    assert reply.code == grpc.StatusCode.UNIMPLEMENTED.value[0]
    assert not client.get(key).found


@pytest.mark.parametrize("calls_before", [0, 1, 20, 200])
def test_of_an_undecodable_batch_no_call_is_executed(client, key, calls_before):
    calls = [call("SET", pb.KeyValue(key=key, value=b"v")) for _ in range(calls_before)]
    batch = pb.CallBatch(calls=calls).SerializeToString() + b"\x0a\x01\xff"
    raw = client.channel.stream_stream("/ringstore.v1.KeyStore/Pipeline")
    with refused("INTERNAL"):
        list(raw(iter([batch]), timeout=10))
    assert not client.get(key).found


@pytest.mark.parametrize("count", [16, 17, 128, 129, 300])
def test_calls_of_one_batch_are_executed_in_their_order(client, key, count):
    calls = [call("APPEND", pb.AppendRequest(key=key, value=b"%d;" % i)) for i in range(count)]
    replies = pipeline(client, calls)
    assert all(replies[one.id].code == 0 for one in calls)
    assert client.get(key).value == b"".join(b"%d;" % i for i in range(count))


@pytest.mark.parametrize("large", [64 << 10, 1 << 20])
def test_large_values_travel_in_batches(client, large):
    value = b"\xa5" * large
    writes = [call("SET", pb.KeyValue(key=b"large-%d" % i, value=value)) for i in range(12)]
    reads = [call("GET", pb.Key(key=b"large-%d" % i)) for i in range(12)]
    replies = pipeline(client, *([one] for one in writes + reads))
    assert all(pb.Value.FromString(replies[one.id].response).value == value for one in reads)


def test_a_call_whose_deadline_has_room_is_served(client, key):
    asked = call("GET", pb.Key(key=key), timeout_millis=10_000)
    assert pipeline(client, [asked])[asked.id].code == 0
