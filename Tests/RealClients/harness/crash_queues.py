"""Queues of unique elements, pushed and popped by many: none is lost, none comes twice."""

import threading
from collections import Counter

from harness.crash_load import Worker
from harness.outcomes import OK, UNKNOWN
from ringstore.v1 import keystore_pb2 as pb

GROUPS = 4
LISTS = 3
ELEMENTS_MAX = 400


def lists(group: int) -> list[bytes]:
    """The lists of a group: in one slot, so that elements may move between them."""
    return [b"{queue-%d}-%d" % (group, number) for number in range(LISTS)]


class Queues:
    """What is known of the elements of all groups."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pushed: dict[bytes, bool] = {}
        self.popped: Counter = Counter()
        self.group_of: dict[bytes, int] = {}
        # How many elements pops of an unknown outcome may have taken, by group.
        self.maybe_popped: Counter = Counter()

    def note_push(self, group: int, values: list[bytes], outcome: str) -> None:
        with self.lock:
            for value in values:
                self.group_of[value] = group
                if outcome in (OK, UNKNOWN):
                    self.pushed[value] = outcome == OK

    def note_pop(self, worker: Worker, group: int, values: list[bytes]) -> None:
        with self.lock:
            for value in values:
                self.popped[value] += 1
                if self.popped[value] > 1:
                    worker.notes.fault(f"element {value} was popped twice, from group {group}")


def queues(worker: Worker) -> Queues:
    with worker.notes.lock:
        return worker.notes.__dict__.setdefault("queues", Queues())


class PushingWorker(Worker):
    def step(self) -> None:
        group = self.chance.randrange(GROUPS)
        key = self.chance.choice(lists(group))
        values = [self.unique() for _ in range(self.chance.choice([1, 1, 1, 2, 5, 20]))]
        if self.chance.random() < 0.05:
            values[0] += b"-" + b"y" * 5_000
        rpc = self.chance.choice([self.stub.LPush, self.stub.RPush])
        outcome, reply = self.make(rpc, pb.ListInsert(key=key, values=values))
        queues(self).note_push(group, values, outcome)
        if reply and reply.count > ELEMENTS_MAX:
            # Not a pusher's own work; but queues that only grow make everything slow.
            self._drain(group, key)

    def _drain(self, group: int, key: bytes) -> None:
        rpc = self.chance.choice([self.stub.LPopMany, self.stub.RPopMany])
        count = ELEMENTS_MAX // 2
        outcome, reply = self.make(rpc, pb.PopManyRequest(key=key, count=count))
        if outcome == UNKNOWN:
            with queues(self).lock:
                queues(self).maybe_popped[group] += count
        if reply:
            queues(self).note_pop(self, group, list(reply.values))

    def check(self) -> None:
        known = queues(self)
        left: Counter = Counter()
        for group in range(GROUPS):
            for key in lists(group):
                reply = self.must(self.stub.LRange, pb.ListRange(key=key, start=0, stop=-1))
                for value in reply.values:
                    left[value] += 1
                    if known.group_of.get(value) != group:
                        self.notes.fault(f"{value} lies in group {group}, where it never was")
        with known.lock:
            lost: Counter = Counter()
            for value, acknowledged in known.pushed.items():
                times = left[value] + known.popped[value]
                if times > 1:
                    self.notes.fault(
                        f"element {value[:40]}: {left[value]} left, {known.popped[value]} popped")
                if times == 0 and acknowledged:
                    lost[known.group_of[value]] += 1
            for value in left:
                if value not in known.pushed:
                    self.notes.fault(f"element {value[:40]} was refused, and is there")
            for group, count in lost.items():
                if count > known.maybe_popped[group]:
                    self.notes.fault(
                        f"group {group} lacks {count} elements that were acknowledged; "
                        f"pops of unknown outcome took {known.maybe_popped[group]} at most")


class PoppingWorker(Worker):
    """Takes single elements, waiting for one now and then, and moves some."""

    def step(self) -> None:
        group = self.chance.randrange(GROUPS)
        names = lists(group)
        self.chance.shuffle(names)
        kind = self.chance.random()
        if kind < 0.4:
            self._move(names)
            return
        request = pb.PopRequest(key=names[0])
        if kind < 0.7:
            request.wait_millis = self.chance.choice([1, 50, 1_000])
            request.other_keys.extend(names[1:self.chance.randint(1, LISTS)])
        rpc = self.chance.choice([self.stub.LPop, self.stub.RPop])
        outcome, reply = self.make(rpc, request)
        if outcome == UNKNOWN:
            with queues(self).lock:
                queues(self).maybe_popped[group] += 1
        if reply and reply.found:
            queues(self).note_pop(self, group, [reply.value])

    def _move(self, names: list[bytes]) -> None:
        # An element that moves stays in its group, whatever the outcome.
        self.make(self.stub.LMove, pb.ListMoveRequest(
            key=names[0], destination=names[1],
            **{"from": self.chance.randrange(2), "to": self.chance.randrange(2)},
            wait_millis=self.chance.choice([0, 0, 20]),
        ))
