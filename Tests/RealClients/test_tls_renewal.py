"""Files of TLS that change while clients make calls: renewed certificates, and another
authority."""

import ssl
import threading
from contextlib import ExitStack
from pathlib import Path

import grpc
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import HOST, Cluster, start_router
from harness.meanwhile import calls_meanwhile
from harness.polling import eventually
from harness.process import Node


def test_certificates_are_renewed_without_a_lost_call(key):
    with ExitStack() as stack:
        own = stack.enter_context(Certificates())
        cluster = stack.enter_context(
            Cluster(
                "ab",
                *own.server("router"),
                *own.links(),
                shard_arguments=own.mutual("shard"),
            )
        )
        client = stack.enter_context(Client(cluster.address, credentials=own.credentials()))
        client.set(key, b"0")
        is_over = threading.Event()
        failures: list[Exception] = []

        def run() -> None:
            while not is_over.is_set():
                try:
                    client.get(key)
                except grpc.RpcError as error:
                    failures.append(error)

        caller = threading.Thread(target=run)
        caller.start()
        stack.callback(caller.join)
        stack.callback(is_over.set)
        old = ssl.get_server_certificate((HOST, cluster.line_port))
        own.renew("router")
        own.renew("shard")
        news = "new connections use the new certificates"
        for node in (cluster.router, *cluster.shards.values()):
            eventually(lambda node=node: node.log_lines(news), "the news")
        assert ssl.get_server_certificate((HOST, cluster.line_port)) != old
        with Client(cluster.address, credentials=own.credentials()) as newcomer:
            newcomer.get(key)
        # What can't be used is told once, and changes nothing.
        Path(own.file("router", "certificate")).write_text("nothing")
        words = "the new certificates can't be used, the old ones stay"
        eventually(lambda: cluster.router.log_lines(words), "the error")
        with Client(cluster.address, credentials=own.credentials()) as newcomer:
            newcomer.get(key)
        assert len(cluster.router.log_lines(words)) == 1
        is_over.set()
        caller.join()
        assert not failures, failures[0]


def test_another_authority_takes_over_without_a_lost_call(key):
    """The three steps of docs/OPERATIONS.md, "Another authority"."""
    with ExitStack() as stack:
        own, others = (stack.enter_context(Certificates()) for _ in range(2))
        both = Path(own.authority).read_text() + Path(others.authority).read_text()
        first_client, later_client = own.credentials("client"), others.credentials("client")
        trusting_both = grpc.ssl_channel_credentials(both.encode())

        def certified(made: Certificates) -> grpc.ChannelCredentials:
            """A client that trusts both, and has a certificate of one."""
            pair = (Path(made.file("client", name)).read_bytes() for name in ("key", "certificate"))
            return grpc.ssl_channel_credentials(both.encode(), *pair)

        cluster = stack.enter_context(
            Cluster("ab", *own.server("router"), *own.links(), shard_arguments=own.mutual("shard"))
        )
        nodes, shard = [cluster.router, *cluster.shards.values()], cluster.shards["a"]
        client = stack.enter_context(Client(cluster.address, credentials=trusting_both))
        client.set(key, b"0")

        def distribute(*files: tuple[str, str]) -> None:
            """Replaces files, and waits until every node uses them."""
            news = "new connections use the new certificates"
            seen = [len(node.log_lines(news)) for node in nodes]
            for path, text in files:
                Path(f"{path}.new").write_text(text)
                Path(f"{path}.new").rename(path)
            for node, before in zip(nodes, seen, strict=True):
                eventually(
                    lambda node=node, before=before: len(node.log_lines(news)) > before, "the news"
                )

        def is_served(node: Node, credentials: grpc.ChannelCredentials) -> bool:
            with Client(node.address, credentials=credentials) as newcomer:
                try:
                    newcomer.describe()
                    return True
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
                    return False

        def links_are_made() -> None:
            """With the files of now: by another router."""
            another = start_router(cluster.shards, *own.server("router"), *own.links())
            try:
                with Client(another.address, credentials=trusting_both) as newcomer:
                    eventually(lambda: newcomer.exists(key) is not None, "a call over a link")
            finally:
                another.stop()

        with calls_meanwhile(client, key):
            assert is_served(shard, first_client) and not is_served(shard, later_client)
            distribute((own.authority, both))
            assert is_served(shard, first_client) and is_served(shard, certified(others))
            distribute(*(
                (own.file(owner, name), Path(others.file(owner, name)).read_text())
                for owner in ("router", "shard") for name in ("certificate", "key")
            ))
            assert is_served(shard, later_client) and is_served(shard, certified(own))
            assert not is_served(shard, first_client), "it trusts the old authority alone"
            links_are_made()
            distribute((own.authority, Path(others.authority).read_text()))
            assert is_served(shard, later_client)
            assert not is_served(shard, certified(own)), "the old authority is none any more"
            links_are_made()
