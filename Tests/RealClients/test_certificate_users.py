"""Certificates as credentials: what deploy/certificates makes, as users of the users file, for
clients on all ports, for `ringstore bench` and for the links of routers."""

import base64
import json
import socket
import ssl
from contextlib import ExitStack

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import TIMEOUT_SECONDS, Client, refused
from harness.cluster import HOST, start_router, start_shard
from harness.metrics import get
from harness.polling import eventually
from harness.process import run
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
        flags = (*certificates.mutual("router"), *users, "--admin-port", "0")
        shard = start_shard("a", *flags)
        stack.callback(shard.stop)
        router = start_router({"a": shard}, *flags, *certificates.links())
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


def pages_of(node, certificates, owner: str | None, *pages: str) -> list[int]:
    """The status of each page of the admin port."""
    context = certificates.context(owner)
    return [get(node.admin_port, page, context=context)[0] for page in pages]


def test_the_admin_port_knows_callers_by_their_certificates(node, certificates):
    pages = ("/metrics", "/api/keys", "/config")
    assert pages_of(node, certificates, "reader", *pages) == [200, 200, 403]
    with client_of(node, certificates, "shard") as worker:
        worker.set(b"mine:shown", b"v")
        worker.set(b"others:hidden", b"v")
    _, _, listed = get(node.admin_port, "/api/keys", context=certificates.context("reader"))
    keys = {base64.urlsafe_b64decode(k["key"] + "==") for k in json.loads(listed)["keys"]}
    assert b"mine:shown" in keys and all(key.startswith(b"mine:") for key in keys)
    assert pages_of(node, certificates, "stranger", *pages, "/healthz") == [401, 401, 401, 200]
    # As on the other ports, there is no handshake without a certificate.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        pages_of(node, certificates, None, "/healthz")


@pytest.mark.parametrize("protocol", ["unary", "pipeline", "line"])
def test_a_benchmark_shows_the_certificate_that_it_was_given(node, certificates, protocol):
    port = node.line_port if protocol == "line" else node.port
    few = ("--calls", "100", "--connections", "1", "--clean", "--protocol", protocol)

    def bench(*flags: str):
        return run("bench", "--server", f"{HOST}:{port}", *few, *flags)

    def shown(owner: str) -> tuple[str, ...]:
        certificate, key = (certificates.file(owner, name) for name in ("certificate", "key"))
        return ("--tls-certificate", certificate, "--tls-key", key)

    trust = ("--tls-ca", certificates.authority)
    done = bench(*trust, *shown("shard"))
    assert done.returncode == 0 and "failed calls: 0" in done.stdout, done.stderr
    for flags, word in [(shown("reader"), "PERMISSION_DENIED"), (shown("stranger"), "UNAUTH")]:
        denied = bench(*trust, *flags)
        assert denied.returncode == 1 and word in denied.stderr, denied.stderr
    assert bench(*trust).returncode == 1


@pytest.mark.parametrize("owner", ["stranger", "client"])
def test_a_certificate_of_the_authority_that_names_no_user_is_refused(node, certificates, owner):
    with client_of(node, certificates, owner) as unknown:
        with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
            unknown.get(b"mine:1")


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
