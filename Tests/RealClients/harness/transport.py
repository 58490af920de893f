"""How clients and servers of the interop tests reach each other: one place for credentials."""

from dataclasses import dataclass

import grpc

from harness.client import open_channel


@dataclass(frozen=True)
class Transport:
    """A way to connect. `flags` say it to the interop program, as a server and as a client."""

    name: str
    flags: tuple[str, ...] = ()

    def channel(self, address: str) -> grpc.Channel:
        return open_channel(address)

    def listen(self, server: grpc.Server) -> str:
        """Has a Python server listen on a free port; returns its address."""
        return f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"


PLAINTEXT = Transport("plaintext")
TRANSPORTS = [PLAINTEXT]
