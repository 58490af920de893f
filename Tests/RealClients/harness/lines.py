"""A client of the line protocol: a raw socket, and as much of replies as tests need."""

import re
import socket
import ssl
from pathlib import Path

SECONDS = 60.0
PAGE = Path(__file__).parents[3] / "docs" / "PROTOCOL.md"


class Lines:
    """One connection, encrypted with a context. A context manager."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, *words: bytes) -> None:
        """Sends a command as `*N` and N lines."""
        self.send(b"".join(b"%s\r\n" % line for line in (b"*%d" % len(words), *words)))

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        data = self.socket.recv(1 << 20)
        self._read += data
        return bool(data)

    def line(self) -> bytes:
        """The next line, without its CRLF; at the end of the stream b"" is not a line but EOF."""
        while b"\n" not in self._read:
            if not self._more():
                raise EOFError(self._read)
        line, _, self._read = self._read.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1]

    def reply(self) -> bytes | list[bytes]:
        """A reply: its one line, or the lines of a list."""
        line = self.line()
        return [self.line() for _ in range(int(line[1:]))] if line[:1] == b"*" else line

    def ask(self, *words: bytes) -> bytes | list[bytes]:
        self.request(*words)
        return self.reply()

    def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._more():
            pass
        rest, self._read = self._read, b""
        return rest

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transcript:
    """A fenced block of the page: `> line` is sent (`>`: an empty one), `< line` must come back,
    `<EOF` ends it."""

    def __init__(self, tags: str, text: str):
        self.tags = set(tags.split())
        self.lines = text.splitlines()

    @property
    def name(self) -> str:
        return self.lines[0].lstrip("> ")

    def suits(self, shape: str) -> bool:
        shapes = self.tags & {"router", "shard", "local"}
        return not shapes or shape in shapes

    @property
    def ends_the_node(self) -> bool:
        return "shutdown" in self.tags

    def play(self, port: int) -> None:
        """Sends what the block sends and compares every byte of what comes back."""
        with Lines(port) as client:
            for line in self.lines:
                if line.startswith(">"):
                    client.send(line[2:].encode() + b"\r\n")
                elif line == "<EOF":
                    assert client.rest() == b""
                    return
                else:
                    assert line.startswith("< "), f"not a line of a transcript: {line}"
                    assert client.line() == line[2:].encode(), self.name
            client.half_close()
            assert client.rest() == b"", self.name


def transcripts() -> list[Transcript]:
    text = PAGE.read_text()
    blocks = re.findall(r"^```lines(.*)\n((?:.|\n)*?)^```$", text, re.M)
    return [Transcript(tags, block) for tags, block in blocks]
