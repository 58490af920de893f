"""Workers that write to a cluster whose shards are killed, each with an oracle of its own."""

import random
import threading
import time

from harness.client import Client
from harness.durable import DurableCluster
from harness.outcomes import Notes

# After a call that was not done: the shard is away, and a busy loop would only slow its start.
PAUSE_SECONDS = 0.01
CALL_SECONDS = 60.0


class Worker(threading.Thread):
    """Repeats `step` until it is told to stop; then `check` reads back what it knows."""

    def __init__(self, number: int, cluster: DurableCluster, notes: Notes, seed: int):
        super().__init__(name=f"{type(self).__name__}-{number}", daemon=True)
        self.number = number
        self.cluster = cluster
        self.notes = notes
        self.chance = random.Random(f"{seed} {self.name}")
        self.client = Client(cluster.address, ("grpc.enable_retries", 0))
        self.stub = self.client.stub
        self.ending = threading.Event()
        self._serial = 0

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self.step()
        except Exception as error:  # A worker that ends by itself is a fault of the test.
            self.notes.fault(f"{self.name} failed: {error!r}")

    def step(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Reads back, with a cluster that serves and no worker at work. May run again."""

    def make(self, rpc, message, hasty_seconds: float | None = None):
        what = f"{self.name} {type(message).__name__}"
        outcome, reply = self.notes.make(
            lambda: rpc(message, timeout=hasty_seconds or CALL_SECONDS), what,
            hasty_seconds is not None,
        )
        if reply is None and hasty_seconds is None:
            time.sleep(PAUSE_SECONDS)
        return outcome, reply

    def must(self, rpc, message):
        """A call of a check: the cluster serves, so it must succeed."""
        # A channel may still wait before it connects again to a router that was restarted.
        return rpc(message, timeout=CALL_SECONDS, wait_for_ready=True)

    def close(self) -> None:
        """Once the thread has ended."""
        self.client.close()

    def unique(self) -> bytes:
        self._serial += 1
        return b"%d.%d" % (self.number, self._serial)


class Load:
    """A set of workers at work on one cluster."""

    def __init__(
        self, cluster: DurableCluster, notes: Notes, seed: int, kinds: list[type[Worker]]
    ):
        self.notes = notes
        self.workers = [kind(n, cluster, notes, seed) for n, kind in enumerate(kinds)]
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        for worker in self.workers:
            worker.ending.set()
        for worker in self.workers:
            worker.join(CALL_SECONDS * 2)
            assert not worker.is_alive(), f"{worker.name} hangs"

    def check(self) -> None:
        for worker in self.workers:
            worker.check()
        self.notes.assert_no_fault()

    def close(self) -> None:
        for worker in self.workers:
            worker.ending.set()
        for worker in self.workers:
            worker.join(CALL_SECONDS * 2)
            worker.close()

    def report(self) -> str:
        notes = self.notes
        return f"{notes.replied} with replies, {notes.not_done} not done, {notes.unknown} unknown"
