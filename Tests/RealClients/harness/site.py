"""What a crew works on: one address or several that serve the same keys."""

from harness.client import Client
from harness.cluster import Cluster, start_local, start_router
from harness.process import Node


class Site:
    """`addresses` serve the same keys; `nodes` are every process behind them."""

    def __init__(self, addresses: list[str], nodes: list[Node]):
        self.addresses = addresses
        self.nodes = nodes

    def address(self, number: int) -> str:
        """The address for the client of that number: they take turns."""
        return self.addresses[number % len(self.addresses)]

    def client(self) -> Client:
        return Client(self.addresses[0])

    def reset(self) -> None:
        with self.client() as client:
            client.reset(all_databases=True)


class LocalSite(Site):
    """`ringstore local`: everything in one process."""

    def __init__(self, *arguments: str):
        self.local = start_local(3, *arguments)
        super().__init__([self.local.address], [self.local])

    def stop(self) -> None:
        self.local.stop()


class ProcessSite(Site):
    """Three shards and two routers, a process each; one of the routers has two event loops."""

    def __init__(self, *router_arguments: str):
        self.cluster = Cluster("abc", *router_arguments)
        try:
            self.second = start_router(self.cluster.shards, "--threads", "2", *router_arguments)
        except BaseException:
            self.cluster.stop()
            raise
        routers = [self.cluster.router, self.second]
        addresses = [router.address for router in routers]
        super().__init__(addresses, [*routers, *self.cluster.shards.values()])

    @property
    def shards(self) -> dict[str, Node]:
        return self.cluster.shards

    def stop(self) -> None:
        self.second.stop()
        self.cluster.stop()


SITES = {"local": LocalSite, "processes": ProcessSite}
