"""The memory of nodes during a block."""

import os
import threading
from pathlib import Path

from harness.process import Node


def resident_bytes(node: Node) -> int:
    pages = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Looks at the memory of nodes until the block ends; `peak` is the most that one had grown."""

    def __init__(self, *nodes: Node):
        self.nodes = nodes
        self.before = [resident_bytes(node) for node in nodes]
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.01):
            grown = (resident_bytes(n) - b for n, b in zip(self.nodes, self.before, strict=True))
            self.peak = max(self.peak, *grown)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
