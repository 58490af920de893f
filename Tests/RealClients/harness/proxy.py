"""A TCP proxy between a router and a shard that holds what the router sends, and loses its peers.

Each connection has threads of its own. What is held when the router goes away is
kept all the same, as networks and other proxies do, and the shard isn't told.
"""

import queue
import socket
import threading

HOST = "127.0.0.1"
PIECE = 64 << 10


class _Pair:
    """One connection of a router, and ours to the shard."""

    def __init__(self, proxy: "HoldingProxy", router: socket.socket, shard: socket.socket):
        self.proxy = proxy
        self.router = router
        self.shard = shard
        self.shard_ended = threading.Event()
        self.router_ended: str | None = None
        self.held: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def from_router(self) -> None:
        """Reads on whatever is held: so it is seen at once how the router ends."""
        while self.router_ended is None:
            try:
                data = self.router.recv(PIECE)
                self.router_ended = None if data else "closed"
            except OSError:
                data, self.router_ended = b"", "reset"
            self.held.put(data)

    def to_shard(self) -> None:
        while data := self.held.get():
            self.proxy.let_through.wait()
            if not self._send(self.shard, data):
                return
        self.proxy.let_through.wait()
        self._close(self.shard)

    def to_router(self) -> None:
        while True:
            try:
                data = self.shard.recv(PIECE)
            except OSError:
                data = b""
            if not data:
                self.shard_ended.set()
                return
            self.proxy.let_back.wait()
            self._send(self.router, data)

    @staticmethod
    def _send(to: socket.socket, data: bytes) -> bool:
        try:
            to.sendall(data)
            return True
        except OSError:
            return False

    @staticmethod
    def _close(end: socket.socket) -> None:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class HoldingProxy:
    """Listens for a router; `address` is what the router is told. A context manager."""

    def __init__(self, target: str):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self.let_through = threading.Event()
        self.let_through.set()
        self.let_back = threading.Event()
        self.let_back.set()
        self._pairs: list[_Pair] = []
        self._start(self._accept)

    @staticmethod
    def _start(work) -> None:
        threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                router, _ = self._listener.accept()
                pair = _Pair(self, router, socket.create_connection(self._target))
            except OSError:
                return
            self._pairs.append(pair)
            self._start(pair.from_router)
            self._start(pair.to_shard)
            self._start(pair.to_router)

    def hold(self) -> None:
        """From now on nothing that the router sends gets to the shard."""
        self.let_through.clear()

    def vanish(self) -> None:
        """From now on it passes nothing on in either direction, and reports no error."""
        self.let_through.clear()
        self.let_back.clear()

    def release(self) -> None:
        """Lets through what was held, all at once."""
        self.let_through.set()
        self.let_back.set()

    def refuse(self) -> None:
        """From now on no connection is accepted."""
        # Closing alone would leave the thread that accepts, and the port, in place.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def has_shard_closed_all(self) -> bool:
        return all(pair.shard_ended.is_set() for pair in self._pairs)

    def router_endings(self) -> list[str | None]:
        """How the router has ended each connection: "reset", "closed", or None as yet."""
        return [pair.router_ended for pair in self._pairs]

    def __enter__(self) -> "HoldingProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        try:
            self.refuse()
        except OSError:
            pass
        for pair in self._pairs:
            for end in (pair.router, pair.shard):
                pair._close(end)
                end.close()
