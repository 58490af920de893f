"""Workers that write to a cluster whose shards are killed, each with an oracle of its own."""

import random
import threading
import time

from harness.client import Client
from harness.durable import DurableCluster
from harness.outcomes import NOT_DONE, OK, Notes

# After a call that was not done: the shard is away, and a busy loop would only slow its start.
PAUSE_SECONDS = 0.01
CALL_SECONDS = 60.0


# The state of a key that there is not.
ABSENT = None


class KnownStates:
    """What each key of a worker may hold, as far as the outcomes of its own calls tell: a set of
    states for each. `may_go`: keys may be removed meanwhile."""

    def __init__(self, notes: Notes, may_go: bool = False):
        self._notes = notes
        self._gone = {ABSENT} if may_go else set()
        self._states: dict[bytes, set] = {}

    def __getitem__(self, key: bytes) -> set:
        return self._states.get(key, {ABSENT})

    def __iter__(self):
        return iter(sorted(self._states))

    def wrote(self, key: bytes, state: object, outcome: str) -> None:
        """A call that leaves the key in this state, if it was executed."""
        if outcome == OK:
            self._states[key] = {state} | self._gone
        elif outcome != NOT_DONE:
            self._states[key] = self[key] | {state} | self._gone

    def read(self, key: bytes, found: object) -> None:
        """What a read has found, behind all writes: one with an unknown outcome has been executed
        by now, or it never will be."""
        if found not in self[key]:
            allowed = [f"{state!r:.200}" for state in self[key]]
            self._notes.fault(f"{key} is {found!r:.200}, may be {allowed}")
        self._states[key] = {found} if found is ABSENT else {found} | self._gone


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

    def made(self, rpc, message):
        """A call of a check, as `make` returns its outcome."""
        return OK, self.must(rpc, message)

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
