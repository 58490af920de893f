"""A redis-server to compare with, and a connection that speaks its protocol."""

import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.polling import eventually
from harness.ports import free_port

# Debian's package redis-tools has the server under this name, and starts no service as redis-server
# does. Which program it is, the executable tells by the name that it was called with.
PROGRAM = shutil.which("redis-server") or shutil.which("redis-check-rdb")

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-tools is not installed")


class Redis:
    """A connection. Replies: bytes, int, None, a list of them, or RedisError."""

    # Of the server, if this is the connection of `redis_server`.
    process: subprocess.Popen

    def __init__(self, port: int, authority: str | None = None):
        self.port = port
        self._authority = authority
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if authority:
            context = ssl.create_default_context(cafile=authority)
            self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._replies = self._socket.makefile("rb")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def another(self) -> Iterator["Redis"]:
        """Another connection to the same server."""
        made = Redis(self.port, self._authority)
        yield made
        made.close()

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def ask(self, *words: bytes) -> object:
        return self.ask_many([words])[0]

    def ask_many(self, commands: list[tuple[bytes, ...]]) -> list[object]:
        """Replies to commands that are sent in one go."""
        self._socket.sendall(b"".join(map(_encoded, commands)))
        return [self._reply() for _ in commands]

    def _reply(self) -> object:
        line = self._replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self._replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            if rest == b"-1":
                return None
            return [self._reply() for _ in range(int(rest))]
        raise AssertionError(f"no reply: {line!r}")


class RedisError(str):
    """An error that Redis replied."""


def _encoded(words: tuple[bytes, ...]) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%s" % (len(words), b"".join(parts))


@contextmanager
def redis_server(
    *settings: str, port: tuple[str, ...] = ("--port",), authority: str | None = None
) -> Iterator[Redis]:
    """A redis-server in memory only, on a port of its own.

    `port` ends with the setting that takes the port. With an `authority`, the connection is
    encrypted.
    """
    number = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", *port, str(number), "--bind", "127.0.0.1", "--save", ""]
        with subprocess.Popen(
            [*command, "--dir", folder, *settings], executable=PROGRAM, stdout=subprocess.DEVNULL
        ) as process:
            try:
                redis = eventually(lambda: _connected(number, authority), "redis-server listens")
                redis.process = process
                yield redis
                redis.close()
            finally:
                process.terminate()


def _connected(port: int, authority: str | None) -> Redis | None:
    try:
        return Redis(port, authority)
    except ConnectionRefusedError:
        return None
