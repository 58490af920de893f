"""Ports for programs that must be told theirs before they run."""

import random
import socket

# Below the range from which the system gives ports to clients' connections: such a connection
# could take the port before its program does, or while that is being restarted.
FIRST, LAST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Consecutive ports without a listener."""
    while True:
        first = random.randrange(FIRST, LAST - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return list(range(first, first + count))
        except OSError:
            continue


def free_port() -> int:
    return free_ports(1)[0]
