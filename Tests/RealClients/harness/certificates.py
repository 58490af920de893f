"""Certificates for tests, as deploy/certificates makes them, and what nodes and clients do with
them."""

import ssl
import subprocess
import tempfile
from pathlib import Path

import grpc

SCRIPT = Path(__file__).parents[3] / "deploy" / "certificates"


class Certificates:
    """An authority of its own, and what it has signed. Gone with the object."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ringstore-certificates-")
        self.make()

    def make(self, *options: str) -> None:
        """Makes what is missing."""
        subprocess.run([SCRIPT, *options, self._folder.name], check=True, stdout=subprocess.DEVNULL)

    def file(self, owner: str, name: str) -> str:
        return f"{self._folder.name}/{owner}/{name}.pem"

    @property
    def authority(self) -> str:
        return self.file("ca", "certificate")

    def server(self, owner: str) -> list[str]:
        """The flags of a node that speaks TLS."""
        certificate, key = self.file(owner, "certificate"), self.file(owner, "key")
        return ["--tls-certificate", certificate, "--tls-key", key]

    def mutual(self, owner: str) -> list[str]:
        """The same, and clients must have a certificate."""
        return [*self.server(owner), "--tls-client-ca", self.authority]

    def links(self, with_certificate: bool = True, owner: str = "router") -> list[str]:
        """The flags of a router whose links are encrypted, with the certificate of `owner`."""
        flags = ["--shard-tls-ca", self.authority]
        if not with_certificate:
            return flags
        return [
            *flags,
            *("--shard-tls-certificate", self.file(owner, "certificate")),
            *("--shard-tls-key", self.file(owner, "key")),
        ]

    def credentials(self, owner: str | None = None) -> grpc.ChannelCredentials:
        """Of a grpcio client, with the certificate of `owner`."""
        root = Path(self.authority).read_bytes()
        if owner is None:
            return grpc.ssl_channel_credentials(root)
        key, certificate = (
            Path(self.file(owner, name)).read_bytes() for name in ("key", "certificate")
        )
        return grpc.ssl_channel_credentials(root, key, certificate)

    def context(self, owner: str | None = None, *, protocol: str | None = None) -> ssl.SSLContext:
        """Of a client with Python's own TLS."""
        context = ssl.create_default_context(cafile=self.authority)
        if owner:
            context.load_cert_chain(self.file(owner, "certificate"), self.file(owner, "key"))
        if protocol:
            context.set_alpn_protocols([protocol])
        return context

    def renew(self, owner: str, *options: str) -> None:
        """A new certificate and key in place of the old ones, as an operator makes them."""
        folder = Path(self._folder.name)
        (folder / owner).rename(folder / f"{owner}-before")
        self.make(*options)

    def close(self) -> None:
        self._folder.cleanup()

    def __enter__(self) -> "Certificates":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
