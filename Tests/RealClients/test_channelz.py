"""channelz as grpcio-channelz's client reads it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2 as pb
from grpc_channelz.v1 import channelz_pb2_grpc
from harness.client import Client, open_channel
from harness.cluster import Cluster
from harness.polling import eventually
from harness.raw_http2 import Connection
from ringstore.v1 import keystore_pb2

READY = pb.ChannelConnectivityState.READY
FAILING = {pb.ChannelConnectivityState.TRANSIENT_FAILURE, pb.ChannelConnectivityState.CONNECTING}


@pytest.fixture
def channelz(served):
    with open_channel(served.address) as channel:
        yield channelz_pb2_grpc.ChannelzStub(channel)


def the_server(stub) -> pb.Server:
    reply = stub.GetServers(pb.GetServersRequest())
    assert reply.end and len(reply.server) == 1
    return reply.server[0]


def sockets(stub, server: pb.Server) -> list[pb.SocketRef]:
    found = []
    while True:
        start = found[-1].socket_id + 1 if found else 0
        reply = stub.GetServerSockets(pb.GetServerSocketsRequest(
            server_id=server.ref.server_id, start_socket_id=start, max_results=3))
        found += reply.socket_ref
        if reply.end:
            return found
        assert len(reply.socket_ref) == 3


def test_the_server_says_where_it_listens_and_which_calls_it_got(served, channelz, client):
    before = the_server(channelz).data
    for _ in range(5):
        client.get(b"channelz")
    server = the_server(channelz)
    assert server.ref.name == served.address
    assert server.data.calls_succeeded >= before.calls_succeeded + 5
    assert server.data.calls_started > server.data.calls_succeeded
    same = channelz.GetServer(pb.GetServerRequest(server_id=server.ref.server_id)).server
    assert same.ref == server.ref
    [listening] = server.listen_socket
    seen = channelz.GetSocket(pb.GetSocketRequest(socket_id=listening.socket_id)).socket
    port = int(served.address.rpartition(":")[2])
    assert seen.local.tcpip_address.port == port
    assert seen.local.tcpip_address.ip_address == socket.inet_aton("127.0.0.1")


def test_every_connection_is_a_socket_with_its_counts(served, channelz):
    with Client(served.address) as other, Client(served.address) as failing:
        for _ in range(7):
            other.get(b"channelz")
        with pytest.raises(grpc.RpcError):
            failing.get(b"")
        server = the_server(channelz)
        refs = sockets(channelz, server)
        ids = [ref.socket_id for ref in refs]
        assert len(refs) >= 3 and ids == sorted(set(ids))
        seen = [
            channelz.GetSocket(pb.GetSocketRequest(socket_id=each)).socket for each in ids]
        counts = [
            (one.data.streams_started, one.data.streams_succeeded, one.data.streams_failed,
             one.data.messages_received, one.data.messages_sent) for one in seen]
        assert (7, 7, 0, 7, 7) in counts
        assert (1, 0, 1, 1, 0) in counts
        ports = {one.remote.tcpip_address.port for one in seen}
        assert len(ports) == len(seen) and 0 not in ports


def test_calls_of_connections_that_have_gone_are_still_counted(served, channelz):
    before = the_server(channelz).data
    with Client(served.address) as other:
        for _ in range(4):
            other.get(b"channelz")
    eventually(
        lambda: the_server(channelz).data.calls_succeeded >= before.calls_succeeded + 4,
        "the calls of the one that has gone")


@pytest.mark.parametrize(
    ("name", "field"),
    [("Server", "server_id"), ("Socket", "socket_id"), ("Channel", "channel_id"),
     ("Subchannel", "subchannel_id"), ("ServerSockets", "server_id")])
def test_what_is_not_there_is_not_found(channelz, name, field):
    request = getattr(pb, f"Get{name}Request")(**{field: 999_999_999})
    with pytest.raises(grpc.RpcError) as caught:
        getattr(channelz, f"Get{name}")(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def channels(stub) -> list[pb.Channel]:
    found = []
    while True:
        start = found[-1].ref.channel_id + 1 if found else 0
        reply = stub.GetTopChannels(pb.GetTopChannelsRequest(start_channel_id=start, max_results=2))
        found += reply.channel
        if reply.end:
            return found


def test_the_links_of_a_router_are_its_channels(cluster: Cluster):
    with open_channel(cluster.address) as channel:
        stub = channelz_pb2_grpc.ChannelzStub(channel)
        found = channels(stub)
        assert {each.data.target for each in found} == {
            shard.address for shard in cluster.shards.values()}
        assert {each.data.state.state for each in found} == {READY}
        first = stub.GetChannel(pb.GetChannelRequest(channel_id=found[0].ref.channel_id))
        assert first.channel.ref == found[0].ref
        lost = cluster.shards["b"].address
        cluster.shards["b"].kill()

        def state_of_lost():
            states = {each.data.target: each.data.state.state for each in channels(stub)}
            return states[lost] in FAILING

        eventually(state_of_lost, "the loss of a shard")


def waiting_pop(key: bytes) -> keystore_pb2.PopRequest:
    return keystore_pb2.PopRequest(key=key, wait_millis=60_000)


def links_of(stub, shard) -> pb.ChannelData:
    """The counts of the router's link to a shard."""
    [found] = [each.data for each in channels(stub) if each.data.target == shard.address]
    return found


def test_a_link_counts_its_calls(key):
    with Cluster("a") as cluster, Client(cluster.address) as client:
        with open_channel(cluster.address) as channel:
            stub = channelz_pb2_grpc.ChannelzStub(channel)
            before = links_of(stub, cluster.shards["a"])
            for _ in range(7):
                client.set(key, b"v")
            client.rpush(key + b"-list", b"v")
            with pytest.raises(grpc.RpcError):
                client.get(key + b"-list")
            # It waits for a value, and is under way meanwhile.
            with ThreadPoolExecutor() as pool:
                waits = pool.submit(client.stub.LPop, waiting_pop(key + b"-none"))
                eventually(
                    lambda: links_of(stub, cluster.shards["a"]).calls_started
                    == before.calls_started + 10,
                    "the call that waits")
                after = links_of(stub, cluster.shards["a"])
                assert after.calls_succeeded == before.calls_succeeded + 8
                assert after.calls_failed == before.calls_failed + 1
                client.rpush(key + b"-none", b"v")
                assert waits.result(60).value == b"v"
            seconds = time.time() - after.last_call_started_timestamp.ToNanoseconds() / 1e9
            assert 0 <= seconds < 600
            after = links_of(stub, cluster.shards["a"])
            assert after.calls_started == after.calls_succeeded + after.calls_failed
            assert after.calls_failed == before.calls_failed + 1


def test_what_a_lost_link_carried_has_failed(key):
    with Cluster("a") as cluster, Client(cluster.address) as client:
        with open_channel(cluster.address) as channel, ThreadPoolExecutor() as pool:
            stub = channelz_pb2_grpc.ChannelzStub(channel)
            client.set(key, b"v")
            waits = pool.submit(client.stub.LPop, waiting_pop(key + b"-none"))
            before = links_of(stub, cluster.shards["a"])
            eventually(
                lambda: links_of(stub, cluster.shards["a"]).calls_started
                > before.calls_succeeded + before.calls_failed,
                "the call that waits")
            cluster.shards["a"].kill()
            eventually(
                lambda: links_of(stub, cluster.shards["a"]).calls_failed > before.calls_failed,
                "the loss of the link")
            data = links_of(stub, cluster.shards["a"])
            assert data.calls_started == data.calls_succeeded + data.calls_failed
            with pytest.raises(grpc.RpcError):
                waits.result(60)


def test_a_request_that_is_no_message_is_refused(served):
    connection = Connection(served.address)
    connection.exchange_settings()
    reply = connection.call("/grpc.channelz.v1.Channelz/GetServers", b"\x08")
    assert reply.grpc_status == grpc.StatusCode.INTERNAL.value[0]
    connection.close()
