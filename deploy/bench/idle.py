"""Memory of idle connections: idle.py PID PORT COUNT [CA]. Opens so many, which say that they speak
HTTP/2 and nothing more, encrypted where a CA is named, and prints how many bytes of memory each has
added to the process."""

import socket
import ssl
import sys
from pathlib import Path

from harness.raw_http2 import PREFACE, SETTINGS, frame


def resident(pid: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise SystemExit(f"{pid} has no memory")


def main() -> None:
    pid, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    context = None
    if len(sys.argv) > 4:
        context = ssl.create_default_context(cafile=sys.argv[4])
        context.set_alpn_protocols(["h2"])
    opened = []

    def more(number: int) -> None:
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", port), 30)
            if context:
                connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
            # The server's own SETTINGS: it has seen the connection.
            connection.recv(100)
            opened.append(connection)

    more(count // 10)
    before = resident(pid)
    more(count)
    print((resident(pid) - before) // count)


if __name__ == "__main__":
    main()
