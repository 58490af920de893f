"""How nodes leave: SIGTERM and SIGINT finish what was begun, and the exit status is 0."""

import queue
import signal
import socket
import subprocess
import time

import grpc
import pytest
from harness.client import Client, call
from harness.process import binary, clean_environment
from harness.raw_http2 import Connection, headers, message
from ringstore.v1 import keystore_pb2 as pb

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_node_leaves_promptly(server, number):
    with Client(server.address) as client:
        client.set(b"key", b"value")
        server.node.process.send_signal(number)
        assert server.node.wait() == 0


def test_calls_in_flight_are_finished(server):
    with Client(server.address) as client:
        more: queue.Queue = queue.Queue()
        stream = client.stub.Pipeline(iter(more.get, None), timeout=120)
        one = call("INCR_BY", pb.IncrByRequest(key=b"key", delta=1))
        more.put(pb.CallBatch(calls=[one]))
        assert next(stream).replies[0].code == 0
        server.node.terminate()
        # The stream was there before the signal, so what comes on it is still served.
        two = call("INCR_BY", pb.IncrByRequest(key=b"key", delta=1))
        more.put(pb.CallBatch(calls=[two]))
        reply = next(stream).replies[0]
        assert pb.IncrByResponse.FromString(reply.response).value == 2
        more.put(None)
        assert list(stream) == []
        assert stream.code() == grpc.StatusCode.OK
        assert server.node.wait() == 0


def test_replies_that_a_slow_client_reads_are_finished(server):
    value = b"v" * ((4 << 20) - 200)
    with Client(server.address) as client:
        client.set(b"key", value)
    connection = Connection(server.address)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    connection.exchange_settings()
    get = headers("/ringstore.v1.KeyStore/Get")
    body = message(pb.Key(key=b"key").SerializeToString())
    streams = [connection.start(get, body) for _ in range(3)]
    while not connection.replies[streams[0]].data:
        connection.flush()
        connection.receive()
    server.node.terminate()
    # The node has handed all of it to the system long before this client has read it.
    while connection.open_streams and not connection.closed:
        connection.flush()
        connection.receive()
        time.sleep(0.02)
    for stream in streams:
        reply = connection.replies[stream]
        assert pb.Value.FromString(bytes(reply.data[5:])).value == value
        assert reply.grpc_status == 0
    assert server.node.wait() == 0


def test_a_draining_node_says_goaway_and_takes_no_new_connection(server):
    raw = Connection(server.address)
    raw.exchange_settings()
    # Half a request keeps the node from being done.
    body = message(pb.Key(key=b"key").SerializeToString())
    stream = raw.start(headers("/ringstore.v1.KeyStore/Get"), body[:-1], end=False)
    raw.flush()
    server.node.terminate()
    while raw.goaway is None:
        raw.flush()
        raw.receive()
    assert raw.goaway[1] == 0
    assert not raw.replies[stream].ended
    with pytest.raises(OSError):
        late = Connection(server.address)
        late.exchange_settings()
        if late.closed:
            raise ConnectionError("closed at once")
    raw.close()
    assert server.node.wait() == 0


def test_many_unary_calls_under_way_are_completed_or_refused_never_lost(server):
    with Client(server.address) as client:
        pending = [
            client.stub.IncrBy.future(pb.IncrByRequest(key=b"key", delta=1), timeout=120)
            for _ in range(2_000)
        ]
        pending[0].result()
        server.node.terminate()
        refused = [one.exception() for one in pending if one.exception()]
        assert {error.code() for error in refused} <= {grpc.StatusCode.UNAVAILABLE}
        values = [one.result().value for one in pending if not one.exception()]
        assert sorted(values) == list(range(1, len(values) + 1))
        assert server.node.wait() == 0


def test_the_started_line_reaches_a_pipe_at_once():
    arguments = ["shard", "--id", "a", "--host", "127.0.0.1", "--port", "0", "--line-port", "0"]
    with subprocess.Popen(
        [binary(), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
    ) as node:
        assert node.stdout.readline().startswith(b"Server started on port ")
        assert node.stdout.readline().startswith(b"Line protocol on port ")
        node.terminate()
        assert node.stdout.read() == b""
        assert node.wait(60) == 0
