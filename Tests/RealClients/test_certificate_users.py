"""Certificates as credentials: what deploy/certificates makes, as users of the users file, for
clients on both ports and for the links of routers."""

import socket
from contextlib import ExitStack

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import TIMEOUT_SECONDS, Client, refused
from harness.cluster import HOST, start_router, start_shard
from harness.polling import eventually
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

HOSTNAME = "worker.example.org"
USERS = f"""
user reader
  may read
  databases 0
  keys prefix mine:
  certificate uri spiffe://ringstore/reader
user worker
  may read write
  databases all
  keys all
  certificate dns {HOSTNAME}
user router-1
  may router
  certificate uri spiffe://ringstore/router
"""


@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        # Shards' certificates are those with names of hosts; a program of that host shows it here.
        made.renew("shard", "--host", HOSTNAME)
        for name in ("reader", "stranger"):
            made.make("--client", name)
        yield made


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "users.conf"
    path.write_text(USERS)
    return ("--users", str(path))


@pytest.fixture(scope="module")
def nodes(certificates, users):
    """A router and its shard. Both know their callers by certificates alone."""
    with ExitStack() as stack:
        shard = start_shard("a", *certificates.mutual("router"), *users)
        stack.callback(shard.stop)
        router = start_router(
            {"a": shard}, *certificates.mutual("router"), *certificates.links(), *users
        )
        stack.callback(router.stop)
        yield [router, shard]


@pytest.fixture(params=["router", "shard"])
def node(request, nodes):
    return nodes[("router", "shard").index(request.param)]


def client_of(node, certificates, owner: str) -> Client:
    return Client(node.address, credentials=certificates.credentials(owner))


def test_a_dns_name_stands_for_its_user(node, certificates):
    with client_of(node, certificates, "shard") as worker:
        assert worker.set(b"mine:1", b"v").ok
        assert worker.get(b"mine:1").value == b"v"
        with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
            worker.cluster.Shutdown(cluster_pb2.ShutdownRequest(), timeout=TIMEOUT_SECONDS)


def test_a_spiffe_id_stands_for_its_user_and_no_more_than_it_may(node, certificates):
    with client_of(node, certificates, "shard") as worker:
        worker.set(b"mine:2", b"v")
    with client_of(node, certificates, "reader") as reader:
        assert reader.get(b"mine:2").value == b"v"
        for not_allowed in (
            lambda: reader.set(b"mine:2", b"w"),
            lambda: reader.get(b"other"),
            lambda: reader.get(b"mine:2", database=1),
        ):
            with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
                not_allowed()
        assert reader.get(b"mine:2").value == b"v"


@pytest.mark.parametrize("owner", ["stranger", "client"])
def test_a_certificate_of_the_authority_that_names_no_user_is_nobodys(node, certificates, owner):
    with client_of(node, certificates, owner) as nobody:
        with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
            nobody.get(b"mine:1")


def test_who_shows_a_wrong_token_is_not_let_in_by_a_certificate(node, certificates):
    with client_of(node, certificates, "shard") as worker:
        metadata = (("authorization", "Bearer worker.rst_guess"),)
        with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
            worker.stub.Get(
                pb.Key(key=b"mine:1"), metadata=metadata, timeout=TIMEOUT_SECONDS
            )


def test_a_router_s_certificate_is_for_links_and_no_calls(node, certificates):
    with client_of(node, certificates, "router") as router:
        with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
            router.get(b"mine:1")


def test_lines_know_the_certificate_without_auth(node, certificates):
    with client_of(node, certificates, "shard") as worker:
        worker.set(b"mine:3", b"v")
    for owner, replies in (
        ("reader", [b"+v", b"-PERMISSION_DENIED", b"+OK"]),
        ("stranger", [b"-UNAUTHENTICATED", b"-UNAUTHENTICATED", b"+OK"]),
    ):
        with socket.create_connection((HOST, node.line_port), TIMEOUT_SECONDS) as bare:
            context = certificates.context(owner)
            with context.wrap_socket(bare, server_hostname="localhost") as lines:
                lines.sendall(b"GET mine:3\r\nSET mine:3 w\r\nQUIT\r\n")
                said = b""
                while data := lines.recv(1 << 16):
                    said += data
        assert [line.split(b" ")[0] for line in said.split(b"\r\n")[:-1]] == replies


@pytest.mark.parametrize("owner", ["reader", "stranger"])
def test_a_router_whose_certificate_names_no_router_gets_no_link(
    nodes, certificates, users, owner
):
    router = start_router(
        {"a": nodes[1]}, *certificates.mutual("router"), *certificates.links(owner=owner), *users
    )
    try:
        lines = eventually(
            lambda: router.log_lines("link lost"), "a link that is refused"
        )
        assert "UNAUTHENTICATED: the shard" in lines[0] and "doesn't admit" in lines[0], lines
        with client_of(router, certificates, "shard") as worker:
            with pytest.raises(grpc.RpcError) as away:
                worker.get(b"mine:1")
            assert away.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        router.stop()
    # The other router has its link still.
    with client_of(nodes[0], certificates, "shard") as worker:
        assert worker.set(b"mine:4", b"v").ok
