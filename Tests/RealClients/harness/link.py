"""A router's end of a link, spoken by hand: for what a real router would never say."""

import queue

from harness.client import open_channel
from harness.hash_seed import hello_check
from ringstore.internal.v1 import link_pb2, link_pb2_grpc
from ringstore.v1 import cluster_pb2

PROTOCOL = 5
SLOTS = 16384


def even_map(shards: dict[str, str], epoch: int = 1) -> cluster_pb2.SlotMap:
    """A map that gives each shard (id: address) one run of slots; no real router makes such a one.
    """
    width = -(-SLOTS // len(shards))
    made = cluster_pb2.SlotMap(epoch=epoch)
    for index, (name, address) in enumerate(shards.items()):
        made.shards.add(id=name, address=address, weight=1)
        last = min(SLOTS, (index + 1) * width) - 1
        made.ranges.add(first=index * width, last=last, shard=index)
    return made


class Link:
    """One Exchange stream. `reply` is the shard's reply to the Hello.

    An accepting shard is told that the map is in force, so that it serves by it.
    """

    def __init__(self, address: str, hello: link_pb2.Hello, timeout: float = 60.0):
        self.channel = open_channel(address)
        self._outgoing: queue.SimpleQueue = queue.SimpleQueue()
        self._outgoing.put(link_pb2.RouterFrame(hello=hello))
        stub = link_pb2_grpc.LinkStub(self.channel)
        self.stream = stub.Exchange(iter(self._outgoing.get, None), timeout=timeout)
        first = next(self.stream)
        self.reply = first.hello
        self.clock_millis = first.clock_millis
        if self.reply.accepted and not self.reply.map_in_force:
            self.send(offer={"step": link_pb2.IN_FORCE, "map": hello.map})

    def send(self, **fields: object) -> None:
        """Sends a frame that names the shard's clock as it was heard last."""
        self._outgoing.put(link_pb2.RouterFrame(**{"heard_millis": self.clock_millis} | fields))

    def receive(self) -> link_pb2.ShardFrame:
        """The next frame that has more to say than the clock."""
        while True:
            frame = next(self.stream)
            if frame.clock_millis:
                self.clock_millis = frame.clock_millis
                frame.ClearField("clock_millis")
            if frame.ByteSize():
                return frame

    def close(self) -> None:
        self._outgoing.put(None)
        self.channel.close()

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hello(slot_map: cluster_pb2.SlotMap, shard: str, **fields: object) -> link_pb2.Hello:
    """A Hello that a shard of the default cluster accepts, unless `fields` say otherwise."""
    told = {
        "protocol": PROTOCOL, "cluster": "ringstore", "router": "by-hand/0", "generation": 1,
        "expected_shard": shard, "map": slot_map,
    } | fields
    told.setdefault(
        "hash_seed_check",
        hello_check(told["cluster"], told["router"], told["generation"], told["expected_shard"]),
    )
    return link_pb2.Hello(**told)


