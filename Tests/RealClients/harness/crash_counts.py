"""Workers whose oracle is a count: counters, appended strings, conditional writes, pipelines."""

import threading
from collections import Counter

import grpc
from google.rpc import error_details_pb2, status_pb2
from harness.client import call
from harness.crash_load import Worker
from harness.outcomes import NOT_DONE, OK, UNKNOWN
from ringstore.v1 import keystore_pb2 as pb

SHARED_COUNTERS = [b"shared-counter-%d" % number for number in range(6)]
STRING_BYTES_MAX = 40_000


class Tally:
    """What was added to each counter, by all workers of a run that count on it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged: Counter = Counter()
        self.unknown: Counter = Counter()
        self.told: dict[bytes, set[int]] = {}

    def note(self, worker: Worker, key: bytes, outcome: str, value: int | None) -> None:
        with self.lock:
            if outcome == UNKNOWN:
                self.unknown[key] += 1
            if outcome != OK:
                return
            self.acknowledged[key] += 1
            told = self.told.setdefault(key, set())
            if value in told:
                worker.notes.fault(f"{key} was told to be {value} twice")
            told.add(value)

    def check(self, worker: Worker, key: bytes, value: int) -> None:
        low = self.acknowledged[key]
        high = low + self.unknown[key]
        if not low <= value <= high:
            worker.notes.fault(f"{key} is {value}, must be in {low}...{high}")


def tally(worker: Worker) -> Tally:
    """The one of this run: notes are shared by all workers of a run."""
    with worker.notes.lock:
        return worker.notes.__dict__.setdefault("tally", Tally())


class CountingWorker(Worker):
    """Adds 1 to counters that all of them share; now and then in such haste that it may give up."""

    def step(self) -> None:
        key = self.chance.choice(SHARED_COUNTERS)
        hasty = 0.004 if self.chance.random() < 0.1 else None
        request = pb.IncrByRequest(key=key, delta=1)
        outcome, reply = self.make(self.stub.IncrBy, request, hasty)
        tally(self).note(self, key, outcome, reply.value if reply else None)
        if reply:
            self.notes.seen((0, key), reply.version, b"%d" % reply.value)

    def check(self) -> None:
        for key in SHARED_COUNTERS:
            value = self.must(self.stub.Get, pb.Key(key=key)).value
            tally(self).check(self, key, int(value or b"0"))


class ReadingWorker(Worker):
    """Reads the counters that others add to: none may go back, for none of the readers."""

    def step(self) -> None:
        key = self.chance.choice(SHARED_COUNTERS)
        floor = self.notes.floor((0, key))
        _, reply = self.make(self.stub.Get, pb.Key(key=key))
        if reply and reply.found:
            self.notes.seen((0, key), reply.version, reply.value, floor)
        elif reply and floor:
            self.notes.fault(f"{key} is gone, it had version {floor}")


class ComparingWorker(Worker):
    """Adds 1 to counters by reading, then writing if the version is still the one read."""

    KEYS = [b"compared-%d" % number for number in range(3)]

    def step(self) -> None:
        key = self.chance.choice(self.KEYS)
        floor = self.notes.floor((0, key))
        outcome, old = self.make(self.stub.Get, pb.Key(key=key))
        if outcome != OK:
            return
        if old.found:
            self.notes.seen((0, key), old.version, old.value, floor)
        elif floor:
            self.notes.fault(f"{key} is gone, it had version {floor}")
        value = int(old.value or b"0") + 1
        outcome, reply = self.make(self.stub.Set, pb.KeyValue(
            key=key, value=b"%d" % value, condition=pb.SET_CONDITION_IF_VERSION,
            if_version=old.version if old.found else 0,
        ))
        if outcome == OK and not reply.ok:
            return
        tally(self).note(self, key, outcome, value)
        if reply:
            self.notes.seen((0, key), reply.version, b"%d" % value, old.version + 1)

    def check(self) -> None:
        for key in self.KEYS:
            value = self.must(self.stub.Get, pb.Key(key=key)).value
            tally(self).check(self, key, int(value or b"0"))


class AppendingWorker(Worker):
    """Appends unique words to strings of its own: each acknowledged one is there once, in order."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.strings: list[tuple[bytes, list[tuple[bytes, bool]]]] = []
        self._begin()

    def _begin(self) -> None:
        self.key = b"appended-%d-%d" % (self.number, len(self.strings))
        self.words: list[tuple[bytes, bool]] = []
        self.length = 0
        self.strings.append((self.key, self.words))

    def note(self, word: bytes, outcome: str) -> None:
        if outcome != NOT_DONE:
            self.words.append((word, outcome == OK))
            self.length += len(word)

    def step(self) -> None:
        word = self.unique() + b";"
        if self.chance.random() < 0.02:
            word = b"x" * 9_000 + word
        outcome, reply = self.make(self.stub.Append, pb.AppendRequest(key=self.key, value=word))
        self.note(word, outcome)
        if reply:
            self.notes.seen((0, self.key), reply.version, reply.count)
        if self.length > STRING_BYTES_MAX:
            self._begin()

    def check(self) -> None:
        for key, words in self.strings:
            found = self.must(self.stub.Get, pb.Key(key=key)).value
            self._check_one(key, words, found)

    def _check_one(self, key: bytes, words: list[tuple[bytes, bool]], found: bytes) -> None:
        at = 0
        for word, acknowledged in words:
            if found.startswith(word, at):
                at += len(word)
            elif acknowledged:
                self.notes.fault(f"{key} lacks {word[-30:]!r} at {at} of {len(found)}")
                return
        if at != len(found):
            self.notes.fault(f"{key} has {found[at:at + 40]!r} at {at}, which nothing explains")


class PipelineWorker(AppendingWorker):
    """The same over one Pipeline after another, many calls in flight on one key."""

    def step(self) -> None:
        words, counts, calls = {}, {}, []
        for _ in range(self.chance.randint(1, 30)):
            word = self.unique() + b";"
            one = call("APPEND", pb.AppendRequest(key=self.key, value=word))
            words[one.id] = word
            calls.append(one)
            if self.chance.random() < 0.3:
                key = self.chance.choice(SHARED_COUNTERS)
                one = call("INCR_BY", pb.IncrByRequest(key=key, delta=1))
                counts[one.id] = key
                calls.append(one)
        outcomes = self._exchange(calls)
        for number, word in words.items():
            self.note(word, outcomes[number][0])
        for number, key in counts.items():
            outcome, response = outcomes[number]
            value = pb.IncrByResponse.FromString(response).value if outcome == OK else None
            tally(self).note(self, key, outcome, value)
        if self.length > STRING_BYTES_MAX:
            self._begin()

    def _exchange(self, calls: list[pb.Call]) -> dict[int, tuple[str, bytes]]:
        outcomes: dict[int, tuple[str, bytes]] = {}
        batches = iter([pb.CallBatch(calls=calls)])
        try:
            for batch in self.stub.Pipeline(batches, timeout=60):
                for reply in batch.replies:
                    if reply.id in outcomes:
                        self.notes.fault(f"{self.name}: id {reply.id} has two replies")
                    outcomes[reply.id] = (self._outcome(reply), reply.response)
        except grpc.RpcError as error:
            self.notes.judge(error.code().name, "", f"{self.name} Pipeline ({error.details()})")
        else:
            if len(outcomes) != len(calls):
                self.notes.fault(f"{self.name}: {len(calls) - len(outcomes)} calls without a reply")
        for one in calls:
            outcomes.setdefault(one.id, (UNKNOWN, b""))
        if any(outcome != OK for outcome, _ in outcomes.values()):
            self.ending.wait(0.01)
        return outcomes

    def _outcome(self, reply: pb.Reply) -> str:
        if reply.code == 0:
            self.notes.count_reply()
            return OK
        reason = ""
        for detail in status_pb2.Status.FromString(reply.details).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                reason = info.reason
        code = {one.value[0]: one.name for one in grpc.StatusCode}
        what = f"{self.name} of a Pipeline ({reply.message})"
        return self.notes.judge(code[reply.code], reason, what)
