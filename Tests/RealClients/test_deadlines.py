"""Deadlines and cancels, on every shape of server."""

import queue

import grpc
from harness.client import TIMEOUT_SECONDS, refused
from ringstore.v1 import keystore_pb2 as pb


def test_a_deadline_with_room_changes_nothing(client, key):
    for seconds in (0.5, 5, 3_600, 10_000_000):
        assert not client.stub.Get(pb.Key(key=key), timeout=seconds).found


def test_a_stream_that_outlives_its_deadline_is_ended(client):
    more: queue.Queue = queue.Queue()
    stream = client.stub.Pipeline(iter(more.get, None), timeout=0.3)
    with refused("DEADLINE_EXCEEDED"):
        list(stream)
    more.put(None)
    assert not client.get(b"still served").found


def test_cancelled_streams_leave_the_connection_usable(client, key):
    for _ in range(50):
        more: queue.Queue = queue.Queue()
        stream = client.stub.Pipeline(iter(more.get, None), timeout=TIMEOUT_SECONDS)
        stream.cancel()
        more.put(None)
        assert stream.code() == grpc.StatusCode.CANCELLED
    assert not client.get(key).found
