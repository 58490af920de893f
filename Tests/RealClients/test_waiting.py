"""Pops that wait for a value: workers ask once and get the next one, whatever happens meanwhile."""

import signal
import struct
import subprocess
import sys
from contextlib import closing

import grpc
import pytest
from harness.client import Client, call, explain, pipeline, refused
from harness.cluster import Cluster, start_router
from harness.lines import Lines
from harness.polling import eventually
from harness.raw_http2 import DATA, RST_STREAM, Connection, frame, headers, message
from ringstore.v1 import keystore_pb2 as pb

WAIT = 60_000
PARKED = "ringstore_parked_calls"


def waiting(client: Client, key: bytes, millis: int = WAIT, **more) -> grpc.Future:
    request = pb.PopRequest(key=key, wait_millis=millis, **more)
    return client.stub.LPop.future(request, timeout=120.0)


def parked(client: Client, count: int) -> None:
    eventually(lambda: client.stats()[PARKED] == count, f"{count} calls parked")


def test_workers_get_each_value_once_in_the_order_in_which_they_came(client, key):
    workers = []
    for number in range(5):
        workers.append(waiting(client, key))
        parked(client, number + 1)
    with Client(client.address) as other:
        other.rpush(key, b"0", b"1", b"2")
        other.rpush(key, b"3")
        other.lpush(key, b"4")
    replies = [worker.result() for worker in workers]
    assert [reply.value for reply in replies] == [b"0", b"1", b"2", b"3", b"4"]
    assert all(reply.found for reply in replies)
    assert client.llen(key) == 0 and client.stats()[PARKED] == 0


def test_waits_may_be_cancelled_as_often_as_one_likes(client, key):
    """As calls that had part of their reply; others end a connection when they are too many."""
    bystander = waiting(client, key)
    parked(client, 1)
    for _ in range(7):
        workers = [waiting(client, key) for _ in range(100)]
        parked(client, 101)
        for worker in workers:
            worker.cancel()
        parked(client, 1)
    client.rpush(key, b"a")
    assert bystander.result().value == b"a"


def test_15_000_cancelled_waits_cut_no_connection(client, key):
    """PROTOCOL.md permits 20,000 at once. As grpcio does, each call announces a window first."""
    path = "/ringstore.v1.KeyStore/LPop"
    pop = headers(path)
    body = message(pb.PopRequest(key=key, wait_millis=WAIT).SerializeToString())
    with closing(Connection(client.address, window=1 << 16)) as connection:
        connection.exchange_settings()
        for _ in range(15):
            streams = []
            for _ in range(1_000):
                stream = connection.start(pop, body)
                assert stream is not None
                connection.allow(stream, 1 << 16)
                streams.append(stream)
            connection.push(b"")
            assert connection.goaway is None, connection.goaway_text
            parked(client, len(streams))
            connection.push(
                b"".join(frame(RST_STREAM, 0, one, struct.pack(">I", 8)) for one in streams)
            )
            parked(client, 0)
        client.rpush(key, b"a")
        reply = connection.call(path, pb.PopRequest(key=key).SerializeToString())
        assert reply.grpc_status == 0 and connection.goaway is None


def test_at_the_end_of_its_time_there_is_nothing(client, key):
    assert not waiting(client, key, 50).result().found
    client.rpush(key, b"a")
    assert waiting(client, key, 50).result().value == b"a"


def test_one_of_several_lists_is_enough(client, key):
    names = [b"{%s}%d" % (key, number) for number in range(3)]
    worker = waiting(client, names[0], other_keys=names[1:])
    parked(client, 1)
    client.rpush(names[2], b"a")
    reply = worker.result()
    assert (reply.value, reply.key) == (b"a", names[2])
    with refused("INVALID_ARGUMENT", "CROSS_SLOT"):
        client.stub.LPop(pb.PopRequest(key=names[0], other_keys=[b"other"], wait_millis=1))


def test_a_move_waits_too(client, key):
    done = b"{%s}done" % key
    request = pb.ListMoveRequest(key=key, destination=done, wait_millis=WAIT)
    setattr(request, "from", pb.LIST_END_TAIL)
    worker = client.stub.LMove.future(request, timeout=120.0)
    parked(client, 1)
    client.rpush(key, b"a")
    assert worker.result().value == b"a"
    assert client.lrange(done, 0, -1).values == [b"a"]


def test_a_large_value_comes_whole(client, key):
    worker = waiting(client, key)
    parked(client, 1)
    value = bytes(range(256)) * 4_000
    client.rpush(key, value)
    assert worker.result().value == value


def test_a_push_behind_it_on_the_same_pipeline_serves_it(client, key):
    large = b"x" * 200_000
    pops = [call("L_POP", pb.PopRequest(key=key, wait_millis=WAIT)) for _ in range(3)]
    push = call("R_PUSH", pb.ListInsert(key=key, values=[b"a", large]))
    last = call("R_PUSH", pb.ListInsert(key=key, values=[b"c"]))
    replies = pipeline(client, [pops[0], pops[1], push], [pops[2], last])
    assert all(reply.code == 0 for reply in replies.values())
    values = [pb.Value.FromString(replies[pop.id].response).value for pop in pops]
    assert values == [b"a", large, b"c"]


def test_more_of_them_than_a_pipeline_may_have_under_way(client, key):
    pops = [call("L_POP", pb.PopRequest(key=key, wait_millis=WAIT)) for _ in range(2_000)]
    values = [b"%d" % number for number in range(2_000)]
    push = call("R_PUSH", pb.ListInsert(key=key, values=values))
    batches = [pops[start : start + 200] for start in range(0, 2_000, 200)]
    replies = pipeline(client, *batches, [push])
    got = [pb.Value.FromString(replies[pop.id].response).value for pop in pops]
    assert got == values


def test_a_worker_that_cancels_gets_nothing(client, key):
    gone, stays = waiting(client, key), None
    parked(client, 1)
    stays = waiting(client, key)
    parked(client, 2)
    gone.cancel()
    parked(client, 1)
    client.rpush(key, b"a")
    assert stays.result().value == b"a"


def test_a_deadline_below_the_wait_ends_it(client, key):
    with refused("DEADLINE_EXCEEDED"):
        client.stub.LPop(pb.PopRequest(key=key, wait_millis=WAIT), timeout=0.2)
    parked(client, 0)
    client.rpush(key, b"a")
    assert client.llen(key) == 1


WORKER = """
import sys, grpc
from ringstore.v1 import keystore_pb2 as pb, keystore_pb2_grpc
stub = keystore_pb2_grpc.KeyStoreStub(grpc.insecure_channel(sys.argv[1]))
stub.LPop(pb.PopRequest(key=sys.argv[2].encode(), wait_millis=60000))
"""


def test_a_worker_that_is_killed_gets_nothing(client, key):
    worker = subprocess.Popen([sys.executable, "-c", WORKER, client.address, key.decode()])
    try:
        parked(client, 1)
        worker.send_signal(signal.SIGKILL)
        parked(client, 0)
    finally:
        worker.kill()
        worker.wait()
    client.rpush(key, b"a")
    assert client.lpop(key).value == b"a"


# Lines


@pytest.fixture(scope="module")
def lined():
    with Cluster("ab", "--line-port", "0") as started, Client(started.address) as opened:
        yield started, opened


def test_lines_wait_and_hold_back_what_is_behind(lined):
    cluster, client = lined
    with Lines(cluster.line_port) as worker, Lines(cluster.line_port) as other:
        worker.request(b"BLPOP", b"{l}1", b"{l}2", b"60")
        worker.request(b"RPUSH", b"{l}1", b"behind")
        parked(client, 1)
        assert client.llen(b"{l}1") == 0
        assert other.ask(b"RPUSH", b"{l}2", b"a") == b"+1"
        assert worker.reply() == [b"{l}2", b"a"]
        assert worker.reply() == b"+1"
        assert other.ask(b"BRPOP", b"{l}1", b"0.01") == [b"{l}1", b"behind"]
        assert other.ask(b"BRPOP", b"{l}1", b"0.01") == b"-not found"
        assert other.ask(b"BLPOP", b"{l}1", b"never").startswith(b"-the timeout must be seconds")
        other.request(b"BLMOVE", b"{l}1", b"{l}2", b"LEFT", b"RIGHT", b"0")
        parked(client, 1)
        assert worker.ask(b"RPUSH", b"{l}1", b"b") == b"+1"
        assert other.reply() == b"+b"
        assert worker.ask(b"LPOP", b"{l}2") == b"+b"


def test_a_line_client_that_is_gone_gets_nothing(lined):
    cluster, client = lined
    for close in (Lines.close, Lines.half_close):
        worker = Lines(cluster.line_port)
        worker.request(b"BLPOP", b"gone", b"0")
        parked(client, 1)
        close(worker)
        parked(client, 0)
        worker.close()
    client.rpush(b"gone", b"a")
    assert client.lpop(b"gone").value == b"a"


# What breaks


def not_executed(worker: grpc.Future) -> None:
    told = explain(worker.exception())
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "SHARD_UNAVAILABLE")


def test_a_shard_that_was_out_of_reach_or_restarted_keeps_workers_waiting(cluster):
    with Client(cluster.address) as client:
        workers = [waiting(client, b"k%d" % number) for number in range(30)]
        parked(client, 30)
        for shard in cluster.shards.values():
            shard.kill()
            shard.restart()
        parked(client, 30)
        for number in range(30):
            client.rpush(b"k%d" % number, b"%d" % number)
        assert [worker.result().value for worker in workers] == [b"%d" % n for n in range(30)]


def test_a_shard_that_stops_ends_them_as_not_executed(cluster):
    with Client(cluster.address) as client:
        workers = [waiting(client, b"k%d" % number) for number in range(30)]
        parked(client, 30)
        for shard in cluster.shards.values():
            shard.stop()
        for worker in workers:
            not_executed(worker)


def test_a_router_that_stops_ends_them_and_another_serves(cluster):
    with Client(cluster.address) as client:
        worker = waiting(client, b"k")
        parked(client, 1)
        cluster.router.stop()
        not_executed(worker)
    cluster.router = start_router(cluster.shards)
    with Client(cluster.address) as client:
        worker = waiting(client, b"k")
        parked(client, 1)
        client.rpush(b"k", b"a")
        assert worker.result().value == b"a"


def test_a_router_that_is_killed_leaves_nothing_waiting(cluster):
    with Client(cluster.address) as client:
        worker = waiting(client, b"k")
        parked(client, 1)
        cluster.router.kill()
        assert worker.exception().code() == grpc.StatusCode.UNAVAILABLE
    cluster.router = start_router(cluster.shards)
    with Client(cluster.address) as client:
        parked(client, 0)
        client.rpush(b"k", b"a")
        assert client.lpop(b"k").value == b"a"


def test_a_stream_that_ends_for_a_malformed_message_ends_its_waiting_calls(served, client, key):
    """The value stays, and no stream that comes after it gets the reply."""
    pop = call("L_POP", pb.PopRequest(key=key, wait_millis=WAIT))
    batch = message(pb.CallBatch(calls=[pop]).SerializeToString())
    path = headers("/ringstore.v1.KeyStore/Pipeline")
    with closing(Connection(served.address)) as raw, closing(Connection(served.address)) as other:
        raw.exchange_settings()
        broken = raw.start(path, batch, end=False)
        raw.finish()
        parked(client, 1)
        raw.push(frame(DATA, 0, broken, b"\x07\x00\x00\x00\x00"))
        assert raw.wait(broken).grpc_status == grpc.StatusCode.INTERNAL.value[0]
        parked(client, 0)
        other.exchange_settings()
        later = [other.start(path, end=False) for _ in range(20)]
        other.finish()
        client.rpush(key, b"v")
        assert client.llen(key) == 1
        other.finish()
        assert all(not other.replies[stream].data for stream in later)
