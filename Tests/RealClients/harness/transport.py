"""How clients and servers of the interop tests reach each other: one place for credentials."""

from pathlib import Path

import grpc

from harness.certificates import Certificates
from harness.client import CHANNEL_OPTIONS, open_channel


class Plaintext:
    """Connections that are not encrypted."""

    # What says it to the interop program, as a server and as a client.
    server_flags: tuple[str, ...] = ()
    client_flags: tuple[str, ...] = ()

    def channel(self, address: str) -> grpc.Channel:
        return open_channel(address)

    def listen(self, server: grpc.Server) -> str:
        """Has a Python server listen on a free port; returns its address."""
        return f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"


class Encrypted:
    """TLS, with certificates of the clients where it is mutual."""

    def __init__(self, mutual: bool):
        self._certificates = Certificates()
        self._mutual = mutual
        files = self._certificates
        flags = files.mutual("router") if mutual else files.server("router")
        self.server_flags = tuple(flags)
        own = files.server(CLIENT) if mutual else ()
        self.client_flags = ("--tls-ca", files.authority, *own)

    def channel(self, address: str) -> grpc.Channel:
        credentials = self._certificates.credentials(CLIENT if self._mutual else None)
        return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)

    def listen(self, server: grpc.Server) -> str:
        files = self._certificates
        key, chain = (
            Path(files.file("router", name)).read_bytes() for name in ("key", "certificate"))
        credentials = grpc.ssl_server_credentials(
            [(key, chain)], Path(files.authority).read_bytes() if self._mutual else None,
            require_client_auth=self._mutual)
        return f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"


# A name among the certificates that deploy/certificates makes.
CLIENT = "client"
TRANSPORTS = {
    "plaintext": Plaintext,
    "tls": lambda: Encrypted(mutual=False),
    "mutual tls": lambda: Encrypted(mutual=True),
}
