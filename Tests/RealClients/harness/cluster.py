"""A router and its shards, or another shape that serves the same API."""

from harness.process import Node

HOST = "127.0.0.1"


def start_shard(name: str = "a", *extra: str) -> Node:
    return Node("shard", "--id", name, "--host", HOST, "--port", "0", *extra)


def start_local(shards: int = 3, *extra: str) -> Node:
    return Node("local", "--shards", str(shards), "--port", "0", *extra)


def start_router(shards: dict[str, Node], *extra: str) -> Node:
    listed = [f"--shard={name}={node.address}" for name, node in shards.items()]
    return Node("router", "--host", HOST, "--port", "0", *listed, *extra)


class Cluster:
    """Shards first, then the router that is told where they listen. A context manager."""

    def __init__(self, names: str = "abc", *router_arguments: str, shard_arguments=()):
        self.shards: dict[str, Node] = {}
        try:
            for name in names:
                self.shards[name] = start_shard(name, *shard_arguments)
            self.router = start_router(self.shards, *router_arguments)
        except BaseException:
            self._kill_shards()
            raise

    def _kill_shards(self) -> None:
        for shard in self.shards.values():
            shard.kill()

    @property
    def address(self) -> str:
        return self.router.address

    @property
    def line_port(self) -> int | None:
        return self.router.line_port

    def stop(self) -> None:
        """Router first, so that it doesn't report shards as lost."""
        for node in [self.router, *self.shards.values()]:
            node.stop()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
