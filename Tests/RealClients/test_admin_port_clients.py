"""The admin port on clients that are wrong, slow or many, and in a drain."""

import select
import socket

import pytest
from harness.client import Client
from harness.cluster import start_router, start_shard
from harness.metrics import get, scrape
from harness.polling import eventually

ADMIN = ("--admin-port", "0")


@pytest.fixture(scope="module")
def node():
    shard = start_shard("a", *ADMIN)
    yield shard
    shard.stop()


@pytest.mark.parametrize(
    "request_bytes, reply",
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200"),
        (b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET http://a/healthz?x=y HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET http://evil.example/api/keys HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 403"),
        (b"GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /healthz HTTP/1.1\r\nHost: " + b"a" * 12_000 + b"\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", b"HTTP/1.1 400"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /config HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 400",
        ),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n", b"HTTP/1.1 405"),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 404"),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /config HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 405"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", b"HTTP/1.1 413"),
        (b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 400"),
        (b"SET key value\r\n", b"HTTP/1.1 400"),
        (b"GET /" + b"a" * 40_000, b"HTTP/1.1 4"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nB: " + b"c" * 40_000, b"HTTP/1.1 4"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"B: c\r\n" * 4_000 + b"\r\n", b"HTTP/1.1 4"),
    ],
)
def test_what_clients_send_is_served_or_refused(node, request_bytes, reply):
    port = node.admin_port
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        try:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # It was refused in the middle.
            assert reply.endswith(b" 4")
        received = b""
        while piece := receive(client):
            received += piece
    assert received.startswith(reply) or (reply.endswith(b" 4") and not received)
    assert received.count(b"HTTP/1.1 ") <= 1
    assert get(port, "/healthz")[0] == 200


def receive(client):
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


def test_silent_clients_dont_keep_others_out(node):
    """The port takes 32 connections; a new one closes the one that was idle for longest."""
    port = node.admin_port
    silent = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(60)]
    eventually(lambda: len(closed(silent)) >= 28, "the limit holds", 30)
    for _ in range(3):
        assert get(port, "/healthz")[0] == 200
    for client in silent:
        client.close()
    eventually(lambda: serves(port), "the port serves again", 30)


def test_a_thousand_connections_take_no_more_than_the_bound(node):
    """Of descriptors, connections and memory; the latest is served."""
    port = node.admin_port
    before = scrape(port)
    crowd = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(1_000)]
    try:
        # It is accepted after all of them.
        now = scrape(port)
        eventually(lambda: crowd[0] in closed(crowd), "the first is closed", 30)
    finally:
        for client in crowd:
            client.close()
    assert now["ringstore_admin_connections"].value() <= 32
    opened = now["process_open_fds"].value() - before["process_open_fds"].value()
    assert opened <= 32
    grown = "process_resident_memory_bytes"
    assert now[grown].value() - before[grown].value() < 32 << 20


def test_clients_that_read_nothing_dont_delay_others(node):
    """20 clients ask for a hundred scrapes each and take none of them."""
    port = node.admin_port
    before = scrape(port)
    deaf = []
    # One more continues asking, for the dashboard: 46 bytes for a page of 60 kB.
    flood = socket.socket()
    flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    flood.connect(("127.0.0.1", port))
    flood.settimeout(2.0)
    deaf.append(flood)
    try:
        flood.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n" * 20_000)
    except TimeoutError:
        # The node has stopped reading.
        pass
    for _ in range(20):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        deaf.append(client)
    try:
        for _ in range(10):
            now = scrape(port)
        name = "process_resident_memory_bytes"
        assert now[name].value() - before[name].value() < 32 << 20
        with Client(node.address) as client:
            client.get(b"string")
    finally:
        for client in deaf:
            client.close()
    eventually(lambda: serves(port), "the port serves again", 30)


def closed(clients):
    """Those that the node has closed: it sends them nothing."""
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    ended = {descriptor for descriptor, _ in poll.poll(0)}
    return [client for client in clients if client.fileno() in ended]


def serves(port):
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


def test_a_router_that_drains_says_so_and_is_scraped_to_its_end():
    shard = start_shard("a")
    router = start_router({"a": shard}, *ADMIN, "--drain-seconds", "60")
    try:
        with Client(router.address) as client:
            for number in range(5_000):
                client.set(b"%05d" % number + b"x" * 1_000, b"")
            pages = client.scan(page_size=100)
            found = len(next(pages).keys)
            # The scan waits for its reader, and so does the end of the router.
            router.terminate()
            eventually(lambda: get(router.admin_port, "/readyz")[0] == 503, "not ready", 30)
            families = scrape(router.admin_port)
            assert families["ringstore_node_state"].value(state="draining") == 1
            assert families["ringstore_node_ready"].value() == 0
            assert families["ringstore_streams"].value() == 1
            assert get(router.admin_port, "/healthz")[0] == 200
            found += sum(len(page.keys) for page in pages)
            assert found == 5_000
        assert router.wait() == 0
    finally:
        router.stop()
        shard.stop()
