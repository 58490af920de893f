"""A redis-server to compare with, and a connection that speaks its protocol."""

import shutil
import socket
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

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

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
    """An error that Redis answered."""


def _encoded(words: tuple[bytes, ...]) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%s" % (len(words), b"".join(parts))


@contextmanager
def redis_server(*settings: str) -> Iterator[Redis]:
    """A redis-server in memory only, on a port of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with subprocess.Popen(
            [*command, "--dir", folder, *settings], executable=PROGRAM, stdout=subprocess.DEVNULL
        ) as process:
            try:
                redis = eventually(lambda: _connected(port), "redis-server listens")
                yield redis
                redis.close()
            finally:
                process.terminate()


def _connected(port: int) -> Redis | None:
    try:
        return Redis(port)
    except ConnectionRefusedError:
        return None
