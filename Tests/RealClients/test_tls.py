"""TLS as clients that we did not write meet it: grpcio, openssl and h2load; links with certificates
on both sides; handshakes as an attack."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import HOST, Cluster, start_router, start_shard
from harness.meanwhile import calls_meanwhile
from harness.polling import eventually
from harness.process import Node, binary, clean_environment
from harness.raw_http2 import PREFACE, SETTINGS, frame

SECONDS = 60.0
HALF_HANDSHAKES = 400
FLOOD = 3_000
LARGE = 3 << 20


@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        yield made


@pytest.fixture(scope="module")
def encrypted(certificates):
    """A cluster that is encrypted everywhere; shards serve only who has a certificate."""
    with Cluster(
        "ab",
        *certificates.server("router"),
        *certificates.links(),
        shard_arguments=certificates.mutual("shard"),
    ) as cluster:
        yield cluster


def command(*words: str, environment: dict[str, str] | None = None, **more):
    """The program's own client."""
    return subprocess.run(
        [binary(), *words],
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        **more,
    )


def stats(client: Client, name: str) -> int:
    """A counter of a shard's connections."""
    return client.stats()[f"ringstore_connections_{name}"]


def open_files(node: Node) -> int:
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def client_hello(certificates: Certificates) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = certificates.context(protocol="h2").wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


# --- Clients -------------------------------------------------------------------------------------


def test_grpcio_is_served_over_tls_and_mutual_links(encrypted, certificates, key):
    with Client(encrypted.address, credentials=certificates.credentials()) as client:
        for number in range(50):
            client.set(key + b"-%d" % number, b"value-%d" % number)
        for number in range(50):
            assert client.get(key + b"-%d" % number).value == b"value-%d" % number
        client.set(key, b"x" * LARGE)
        assert client.get(key).value == b"x" * LARGE


def test_a_shard_serves_no_client_without_a_certificate(encrypted, certificates):
    shard = encrypted.shards["a"]
    with Client(shard.address, credentials=certificates.credentials()) as client:
        with pytest.raises(grpc.RpcError) as refused:
            client.describe()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    with Client(shard.address, credentials=certificates.credentials("client")) as client:
        client.describe()
        assert stats(client, "cut_handshake_failed_total") > 0


def test_clients_without_tls_or_with_another_authority_are_refused(encrypted, certificates, key):
    with Certificates() as others:
        for credentials in (None, others.credentials()):
            with Client(encrypted.address, credentials=credentials) as client:
                with pytest.raises(grpc.RpcError) as refused:
                    client.exists(key)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    line = eventually(
        lambda: encrypted.router.log_lines("the client doesn't use TLS"), "a log line"
    )
    assert "handshake_failed" in line[0]


def test_clients_that_do_not_ask_for_http2_are_refused(encrypted, certificates):
    for protocol in (None, "http/1.1"):
        context = certificates.context(protocol=protocol)
        with socket.create_connection((HOST, encrypted.router.port), SECONDS) as bare:
            with context.wrap_socket(bare, server_hostname="localhost") as client:
                assert client.selected_alpn_protocol() is None
                assert client.recv(100) == b""
    lines = eventually(lambda: encrypted.router.log_lines("wrong_alpn"), "a log line")
    assert "the client must offer the protocol h2 (ALPN)" in lines[0]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_speaks_lines_over_tls(encrypted, certificates, key, version):
    said = subprocess.run(
        [
            "openssl",
            "s_client",
            *("-connect", f"{HOST}:{encrypted.line_port}", "-CAfile", certificates.authority),
            *("-verify_return_error", "-verify_hostname", "localhost", "-quiet", version),
        ],
        input=b"SET %s hello\r\nGET %s\r\nQUIT\r\n" % (key, key),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert said.stdout == b"+OK\r\n+hello\r\n+OK\r\n", said.stderr


def test_a_long_reply_comes_whole_over_an_encrypted_line_connection(encrypted, certificates, key):
    with Client(encrypted.address, credentials=certificates.credentials()) as client:
        client.set(key, b"y" * LARGE)
    with socket.create_connection((HOST, encrypted.line_port), SECONDS) as bare:
        with certificates.context().wrap_socket(bare, server_hostname="localhost") as lines:
            lines.sendall(b"GET %s\r\nQUIT\r\n" % key)
            read = b""
            while some := lines.recv(1 << 20):
                read += some
    assert read == b"+" + b"y" * LARGE + b"\r\n+OK\r\n"


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_h2load_is_served_over_tls(encrypted, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\3\x0a\1k")
    said = subprocess.run(
        [
            "h2load",
            *("-n", "2000", "-c", "8", "-m", "16", "-d", str(body)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"https://{HOST}:{encrypted.router.port}/ringstore.v1.KeyStore/Exists",
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    ).stdout
    assert "2000 succeeded, 0 failed" in said, said
    assert "Application protocol: h2" in said, said


def test_the_command_line_speaks_tls(encrypted, certificates, key):
    server = ("--server", f"localhost:{encrypted.router.port}")
    word = key.decode()
    flags = ("--tls-ca", certificates.authority)
    assert command("cli", *server, *flags, "SET", word, "v").stdout == "OK\n"
    variables = {"RINGSTORE_CLIENT_TLS_CA": certificates.authority}
    assert command("cli", *server, "GET", word, environment=variables).stdout == '"v"\n'
    healthy = command("health", *server, "--shards", environment=variables)
    assert healthy.stdout == "router serving, 2 of 2 shards serving\n", healthy.stderr
    digest = command("admin", *server, *flags, "digest")
    assert digest.returncode == 0, digest.stderr
    for wrong, sentence in (
        ((), "closed the connection. If the node uses TLS, add --tls-ca FILE."),
        (("--tls",), "or not valid now. --tls-ca FILE names the authority to trust."),
        ((*flags, "--tls-server-name", "elsewhere"), "certificate is for another name"),
        (("--tls-ca", "/missing.pem"), "/missing.pem can't be read"),
    ):
        refused = command("cli", *server, *wrong, "GET", word)
        assert refused.returncode == 1
        assert sentence in refused.stderr, refused.stderr
    shard = ("--server", encrypted.shards["a"].address)
    own = ("--tls-certificate", certificates.file("client", "certificate"))
    own += ("--tls-key", certificates.file("client", "key"))
    assert command("health", *shard, *flags, *own).stdout == "shard a serving\n"
    unknown = command("health", *shard, *flags)
    assert "a certificate. Add --tls-certificate FILE and --tls-key FILE." in unknown.stderr
    for way in ("health", "admin", "bench"):
        action = ("digest",) if way == "admin" else ()
        bare = command(way, *server, *action)
        assert "If the node uses TLS, add --tls-ca FILE." in bare.stderr, bare.stderr


# --- Links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "reason", "setting"),
    [
        ("none", "closed", "shard_tls_ca"),
        ("no certificate", "the peer requires a certificate", "shard_tls_certificate"),
        (
            "another authority",
            "the peer's certificate is not of the certificate authority",
            "shard_tls_ca",
        ),
    ],
)
def test_links_without_the_right_certificates_are_not_made(certificates, links, reason, setting):
    with ExitStack() as stack:
        others = stack.enter_context(Certificates())
        flags = {
            "none": [],
            "no certificate": certificates.links(with_certificate=False),
            "another authority": others.links(),
        }[links]
        shard = start_shard("a", *certificates.mutual("shard"))
        stack.callback(shard.stop)
        router = start_router({"a": shard}, *flags)
        stack.callback(router.stop)
        lines = eventually(lambda: router.log_lines("link lost"), "a lost link")
        assert reason in lines[0], lines
        assert f"`{setting}`" in lines[0].partition("advice=")[2], lines
        unwell = command("health", "--server", router.address, "--shards")
        assert unwell.returncode == 1


# --- Attacks -------------------------------------------------------------------------------------


class Pieces:
    """A TLS client whose bytes leave in pieces, with a pause between, as slow networks have it."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, size: int):
        self.size = size
        self.socket = socket.create_connection(address, SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_hostname="localhost")

    def _send(self) -> None:
        data = self.going.read()
        for at in range(0, len(data), self.size):
            self.socket.sendall(data[at : at + self.size])
            # A piece of its own for the node's system, and not merged with the next one.
            time.sleep(0.005)

    def do(self, step):
        """Continues until TLS has what the step needs."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._send()
                data = self.socket.recv(1 << 16)
                assert data, "the node has ended the connection"
                self.coming.write(data)
            finally:
                self._send()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [19, 100, 1_000])
def test_a_handshake_may_come_in_pieces_of_any_size(certificates, version, size):
    node = start_shard("a", *certificates.mutual("shard"))
    context = certificates.context("client", protocol="h2")
    context.minimum_version = context.maximum_version = version
    try:
        for _ in range(3):
            client = Pieces((HOST, node.port), context, size)
            client.do(client.tls.do_handshake)
            client.do(lambda: client.tls.write(PREFACE + frame(SETTINGS, 0, 0)))
            # The node's own SETTINGS.
            assert client.do(lambda: client.tls.read(9))[3] == SETTINGS
            client.socket.close()
    finally:
        node.stop()


def test_clients_that_leave_in_their_handshake_cost_no_descriptor(certificates, key):
    node = start_shard("a", *certificates.server("shard"))
    hello = client_hello(certificates)
    try:
        with Client(node.address, credentials=certificates.credentials()) as client:
            client.exists(key)
            before = open_files(node)
            with calls_meanwhile(client, key):
                for number in range(HALF_HANDSHAKES):
                    with socket.create_connection((HOST, node.port), SECONDS) as half:
                        half.sendall(hello[: number % (len(hello) + 1)])
            eventually(lambda: open_files(node) == before, "descriptors given back")
            assert stats(client, "handshakes_abandoned_total") == HALF_HANDSHAKES
            assert stats(client, "open") == 1
    finally:
        node.stop()


def test_clients_are_served_during_a_flood_of_handshakes(certificates, key):
    """Thousands of clients say hello and then nothing: the oldest ends for each new one."""
    node = start_shard("a", *certificates.server("shard"), "--max-handshakes", "100")
    hello = client_hello(certificates)
    held = []
    try:
        with Client(node.address, credentials=certificates.credentials()) as client:
            client.exists(key)
            with calls_meanwhile(client, key):
                for _ in range(FLOOD):
                    held.append(socket.create_connection((HOST, node.port), SECONDS))
                    held[-1].sendall(hello)
                    if len(held) == 500:
                        held.pop(0).close()
                with Client(node.address, credentials=certificates.credentials()) as another:
                    another.exists(key)
            ended = stats(client, "refused_too_many_handshakes_total")
            assert ended > 0
            assert stats(client, "open") <= 100 + 2
            assert len(node.log_lines("too_many_handshakes")) < ended
    finally:
        for one in held:
            one.close()
        node.stop()


# --- What may be listened on ---------------------------------------------------------------------


def test_an_address_of_others_needs_tls_users_or_a_word(certificates):
    refused = command("shard", "--id", "a", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 64
    for way in ("--tls-certificate", "--users", "--insecure"):
        assert way in refused.stderr
    assert refused.stderr.count("\n") == 1
    for words in (["--insecure"], certificates.server("shard")):
        node = Node("shard", "--id", "a", "--host", "0.0.0.0", "--port", "0", *words)
        node.stop()


def test_settings_that_do_not_fit_together_are_refused(certificates):
    certificate, key = certificates.server("shard")[1::2]
    for words, sentence in (
        (["--tls-certificate", certificate], "tls_certificate and tls_key are given together"),
        (["--tls-client-ca", certificates.authority], "tls_client_ca is given, but"),
        (["--tls-client-certificates", "maybe"], "must be required or optional, not 'maybe'"),
    ):
        refused = command("shard", "--id", "a", "--port", "0", *words)
        assert refused.returncode == 64
        assert sentence in refused.stderr, refused.stderr
    broken = command("shard", "--id", "a", "--port", "0", "--tls-certificate", key,
                     "--tls-key", key)
    assert broken.returncode == 1
    assert "contains no certificate in PEM form" in broken.stderr
