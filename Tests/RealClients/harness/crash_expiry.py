"""Keys that expire while shards are killed."""

import time
from dataclasses import dataclass

from harness.crash_load import Worker
from harness.outcomes import NOT_DONE, OK
from harness.polling import eventually
from ringstore.v1 import keystore_pb2 as pb

# A clock that is read once for many calls may be late by so much.
MARGIN_MILLIS = 1_000


@dataclass
class Lease:
    """One key, written once."""

    key: bytes
    value: bytes
    expires_at: int
    acknowledged: bool
    seen_absent: bool = False


class ExpiringWorker(Worker):
    """Each key is written once and expires; one that was gone never comes back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.leases: list[Lease] = []

    def step(self) -> None:
        if self.leases and self.chance.random() < 0.5:
            self._look(self.chance.choice(self.leases[-200:]), self.make)
            return
        key, value = b"lease-" + self.unique(), self.unique()
        lives = self.chance.choice([30, 300, 2_000, 600_000])
        at = int(time.time() * 1_000) + lives
        if self.chance.random() < 0.5:
            outcome, _ = self.make(
                self.stub.Set, pb.KeyValue(key=key, value=value, expire_at_unix_millis=at))
        else:
            outcome, _ = self.make(self.stub.Set, pb.KeyValue(key=key, value=value))
            if outcome != OK:
                return
            outcome, _ = self.make(
                self.stub.Expire, pb.ExpireRequest(key=key, expire_at_unix_millis=at))
            if outcome != OK:
                return
        if outcome != NOT_DONE:
            self.leases.append(Lease(key, value, at, outcome == OK))

    def _look(self, lease: Lease, make) -> bool:
        """Whether the key was told to be there."""
        begun = time.time() * 1_000
        outcome, reply = make(self.stub.Get, pb.Key(key=lease.key))
        if outcome != OK:
            return False
        ended = time.time() * 1_000
        if reply.found:
            if reply.value != lease.value:
                self.notes.fault(f"{lease.key} is {reply.value}, was {lease.value}")
            if lease.seen_absent:
                self.notes.fault(f"{lease.key} came back")
            if begun > lease.expires_at + MARGIN_MILLIS:
                self.notes.fault(f"{lease.key} outlived its time by {begun - lease.expires_at} ms")
        else:
            if lease.acknowledged and ended < lease.expires_at:
                self.notes.fault(f"{lease.key} went {lease.expires_at - ended} ms early")
            lease.seen_absent = True
        return reply.found

    def check(self) -> None:
        soon = time.time() * 1_000 + 10_000
        for lease in self.leases[-1_000:]:
            if lease.expires_at < soon and not lease.seen_absent:
                eventually(lambda one=lease: not self._look(one, self.made), f"{lease.key} expires")
            else:
                self._look(lease, self.made)
