"""Passes while shards are killed: what has them made, and what they are about."""

from collections import Counter

from harness.crash_load import ABSENT, KnownStates, Worker
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb


class SnapshotWorker(Worker):
    """Has every shard make one pass after another, so that kills fall into them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        # By shard.
        self.complete: Counter = Counter()

    def step(self) -> None:
        self.make(self._snapshot, cluster_pb2.SnapshotRequest())

    def _snapshot(self, request: cluster_pb2.SnapshotRequest, timeout: float) -> None:
        complete: set[str] = set()
        try:
            for progress in self.client.cluster.Snapshot(request, timeout=timeout):
                complete |= {shard.shard for shard in progress.shards if shard.complete}
        finally:
            self.complete.update(complete)
        if complete != self.cluster.shards.keys():
            self.notes.fault(f"a snapshot of {complete} alone has ended without an error")


class LargeWorker(Worker):
    """Overwrites large values, so that the log grows, and passes are made of it."""

    KEYS, BYTES = 12, 400_000

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.states = KnownStates(self.notes)

    def step(self) -> None:
        key = b"large-%d-%d" % (self.number, self.chance.randrange(self.KEYS))
        word = self.unique()
        value = (word + b",") * (self.BYTES // (len(word) + 1))
        outcome, _ = self.make(self.stub.Set, pb.KeyValue(key=key, value=value))
        self.states.wrote(key, value, outcome)

    def check(self) -> None:
        for key in self.states:
            reply = self.must(self.stub.Get, pb.Key(key=key))
            self.states.read(key, reply.value if reply.found else ABSENT)


class HugeWorker(LargeWorker):
    """Values of more than 1 MiB, which are handed on without a copy."""

    KEYS, BYTES = 3, 1_300_000
