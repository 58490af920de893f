"""Workers that alone write to their keys, and hold every state that these may have."""

import grpc
from harness.crash_load import ABSENT, KnownStates, Worker
from harness.outcomes import NOT_DONE, OK, UNKNOWN
from ringstore.v1 import keystore_pb2 as pb

# An unknown outcome doubles the states; from so many on the key is read before it is written.
STATES_MAX = 4
CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class ModelWorker(Worker):
    """One key after another through all calls on strings and lists, with a model of them.

    A state is ABSENT, bytes, or a tuple of elements.
    """

    KEYS = 8

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.keys = [b"model-%d-%d" % (self.number, n) for n in range(self.KEYS)]
        self.states = KnownStates(self.notes)

    def step(self) -> None:
        key = self.chance.choice(self.keys)
        states = self.states[key]
        if len(states) > 1 or self.chance.random() < 0.1:
            self._read(key, self.make)
            if len(states) > STATES_MAX:
                return
        if len(self.states[key]) > 1:
            self._overwrite(key)
            return
        (state,) = self.states[key]
        kind = "none" if state is ABSENT else "string" if isinstance(state, bytes) else "list"
        rpc, request, after = self.chance.choice(getattr(self, "_on_" + kind)(key, state))
        self._write(key, rpc, request, after)

    def _write(self, key: bytes, rpc, request, after: object) -> None:
        floor = self.notes.floor((0, key))
        outcome, reply = self.make(rpc, request)
        before = self.states[key]
        self.states.wrote(key, after, outcome)
        version = getattr(reply, "version", 0)
        if outcome == OK and version and after is not ABSENT:
            self.notes.seen((0, key), version, after, 0 if before == {after} else floor)

    def _overwrite(self, key: bytes) -> None:
        value = self.unique()
        self._write(key, self.stub.Set, pb.KeyValue(key=key, value=value), value)

    def _on_none(self, key: bytes, _: object) -> list:
        value, more = self.unique(), self.unique()
        return [
            (self.stub.Set, pb.KeyValue(key=key, value=value), value),
            (self.stub.Set, pb.KeyValue(
                key=key, value=value, condition=pb.SET_CONDITION_IF_ABSENT), value),
            (self.stub.Append, pb.AppendRequest(key=key, value=value), value),
            (self.stub.IncrBy, pb.IncrByRequest(key=key, delta=7), b"7"),
            (self.stub.SetRange, pb.SetRangeRequest(key=key, offset=3, value=value),
             bytes(3) + value),
            (self.stub.RPush, pb.ListInsert(key=key, values=[value, more]), (value, more)),
            (self.stub.LPush, pb.ListInsert(key=key, values=[value, more]), (more, value)),
            (self.stub.MSetIfAbsent, pb.MSetIfAbsentRequest(key=key, value=value), value),
        ]

    def _on_string(self, key: bytes, old: bytes) -> list:
        value = self.unique()
        large = value * (self.chance.choice([10, 1_000, 30_000, 100_000]) // len(value) + 1)
        later = 10_000_000
        return [
            (self.stub.Set, pb.KeyValue(key=key, value=value), value),
            (self.stub.Set, pb.KeyValue(key=key, value=large), large),
            (self.stub.Set, pb.KeyValue(key=key, value=value, ttl_millis=later), value),
            (self.stub.Append, pb.AppendRequest(key=key, value=value), old + value),
            (self.stub.SetRange, pb.SetRangeRequest(key=key, offset=2, value=value),
             old[:2].ljust(2, b"\0") + value + old[2 + len(value):]),
            (self.stub.GetDel, pb.Key(key=key), None),
            (self.stub.Delete, pb.DeleteRequest(key=key), None),
            (self.stub.Delete, pb.DeleteRequest(key=key, if_value=old), None),
            (self.stub.Expire, pb.ExpireRequest(key=key, ttl_millis=later), old),
            (self.stub.Persist, pb.Key(key=key), old),
            (self.stub.GetEx, pb.GetExRequest(key=key, ttl_millis=later), old),
        ]

    def _on_list(self, key: bytes, old: tuple) -> list:
        value, more = self.unique(), self.unique()
        at = self.chance.randrange(len(old))
        first = self.chance.randrange(len(old))
        last = self.chance.randrange(first, len(old))
        pushed = tuple(self.unique() for _ in range(50))
        return [
            (self.stub.RPush, pb.ListInsert(key=key, values=[value, more]), (*old, value, more)),
            (self.stub.LPush, pb.ListInsert(key=key, values=[value, more]), (more, value, *old)),
            (self.stub.RPush, pb.ListInsert(key=key, values=pushed), (*old, *pushed)),
            (self.stub.LSet, pb.ListSetRequest(key=key, index=at, value=value),
             (*old[:at], value, *old[at + 1:])),
            (self.stub.LInsert, pb.ListInsertRequest(key=key, pivot=old[at], value=value),
             (*old[:at], value, *old[at:])),
            (self.stub.LRem, pb.ListRemoveRequest(key=key, count=0, value=old[at]),
             (*old[:at], *old[at + 1:]) or None),
            (self.stub.LTrim, pb.ListRange(key=key, start=first, stop=last),
             old[first:last + 1]),
            (self.stub.LPop, pb.PopRequest(key=key), old[1:] or None),
            (self.stub.RPop, pb.PopRequest(key=key), old[:-1] or None),
            (self.stub.Expire, pb.ExpireRequest(key=key, ttl_millis=10_000_000), old),
            (self.stub.Delete, pb.DeleteRequest(key=key), None),
        ]

    def _read(self, key: bytes, make) -> None:
        outcome, kind = make(self.stub.Type, pb.Key(key=key))
        if outcome != OK:
            return
        if kind.type == pb.VALUE_TYPE_LIST:
            outcome, reply = make(self.stub.LRange, pb.ListRange(key=key, start=0, stop=-1))
            found = tuple(reply.values) if reply else None
        else:
            floor = self.notes.floor((0, key))
            outcome, reply = make(self.stub.Get, pb.Key(key=key))
            found = reply.value if reply and reply.found else ABSENT
            if reply and reply.found:
                self.notes.seen((0, key), reply.version, found, floor)
        if outcome == OK:
            self.states.read(key, found)

    def check(self) -> None:
        for key in self.keys:
            self._read(key, self.made)


class ManyWorker(Worker):
    """MSet and MDelete over all shards: each item has its own outcome."""

    KEYS = 24

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.keys = [b"many-%d-%d" % (self.number, n) for n in range(self.KEYS)]
        self.states = KnownStates(self.notes)

    def step(self) -> None:
        keys = self.chance.sample(self.keys, self.chance.randint(1, self.KEYS))
        if self.chance.random() < 0.3:
            after = dict.fromkeys(keys)
            rpc = self.stub.MDelete
            request = pb.MDeleteRequest(keys=[pb.DeleteRequest(key=key) for key in keys])
        else:
            after = {key: self.unique() for key in keys}
            rpc = self.stub.MSet
            request = pb.MSetRequest(
                items=[pb.KeyValue(key=key, value=value) for key, value in after.items()])
        outcome, reply = self.make(rpc, request)
        for at, key in enumerate(keys):
            ended = outcome
            if reply and reply.items[at].HasField("error"):
                error = reply.items[at].error
                code = CODES.get(error.code, str(error.code))
                ended = self.notes.judge(code, error.reason, f"{self.name} {error.message}")
            self.states.wrote(key, after[key], ended)
        if self.chance.random() < 0.5:
            self._read(self.make)

    def _read(self, make) -> None:
        request = pb.MGetRequest(keys=[pb.Key(key=key) for key in self.keys])
        _, reply = make(self.stub.MGet, request)
        for key, item in zip(self.keys, reply.items if reply else (), strict=False):
            if item.HasField("error"):
                continue
            found = item.value.value if item.value.found else ABSENT
            self.states.read(key, found)
            if item.value.found:
                self.notes.seen((0, key), item.value.version, found)

    def check(self) -> None:
        self._read(self.made)


class EmptyingWorker(Worker):
    """Fills a database of its own, and empties it: what was there before never comes back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.database = 1 + self.number % 15
        self.states = KnownStates(self.notes)

    def step(self) -> None:
        if self.chance.random() < 0.03:
            outcome, _ = self.make(self.stub.Reset, pb.ResetRequest(database=self.database))
            for key in self.states:
                # A shard that is away keeps its part, and the others are emptied.
                self.states.wrote(key, ABSENT, OK if outcome == OK else UNKNOWN)
            if outcome == OK:
                self._compare(self.make)
            return
        key = b"of-a-database-%d" % self.chance.randrange(200)
        value = self.unique()
        outcome, _ = self.make(
            self.stub.Set, pb.KeyValue(key=key, value=value, database=self.database))
        self.states.wrote(key, value, outcome)

    def _compare(self, make) -> None:
        outcome, reply = make(self.stub.Keys, pb.KeysRequest(database=self.database))
        if outcome != OK:
            return
        for key in reply.keys:
            if self.states[key] == {ABSENT}:
                self.notes.fault(f"{key} came back to database {self.database}")

    def check(self) -> None:
        self._compare(self.made)
        for key in self.states:
            reply = self.must(self.stub.Get, pb.Key(key=key, database=self.database))
            self.states.read(key, reply.value if reply.found else ABSENT)


class LongListWorker(Worker):
    """Long lists, which a snapshot holds in parts, changed while it is made."""

    LENGTH = 60_000

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.keys = [b"long-%d-%d" % (self.number, n) for n in range(3)]
        self.states: dict[bytes, list[list[bytes]]] = {key: [[]] for key in self.keys}

    def step(self) -> None:
        key = self.chance.choice(self.keys)
        if len(self.states[key]) > 1:
            self._read(key, self.make)
            return
        (old,) = self.states[key]
        kind = self.chance.random()
        if len(old) < self.LENGTH // 2 or (kind < 0.3 and len(old) < self.LENGTH):
            values = [self.unique() + b"." * 20 for _ in range(2_000)]
            head = self.chance.random() < 0.5
            rpc = self.stub.LPush if head else self.stub.RPush
            new = values[::-1] + old if head else old + values
            self._write(key, rpc, pb.ListInsert(key=key, values=values), new)
        elif kind < 0.6:
            at, value = self.chance.randrange(len(old)), self.unique()
            self._write(key, self.stub.LSet, pb.ListSetRequest(key=key, index=at, value=value),
                        old[:at] + [value] + old[at + 1:])
        elif kind < 0.9:
            at, value = self.chance.randrange(len(old)), self.unique()
            self._write(key, self.stub.LInsert, pb.ListInsertRequest(
                key=key, pivot=old[at], value=value), old[:at] + [value] + old[at:])
        else:
            first, last = self.chance.randrange(900), len(old) - 1 - self.chance.randrange(900)
            self._write(key, self.stub.LTrim, pb.ListRange(key=key, start=first, stop=last),
                        old[first:last + 1])

    def _write(self, key: bytes, rpc, request, new: list[bytes]) -> None:
        outcome, _ = self.make(rpc, request)
        if outcome == OK:
            self.states[key] = [new]
        elif outcome != NOT_DONE:
            self.states[key] = [*self.states[key], new]

    def _read(self, key: bytes, make) -> None:
        outcome, reply = make(self.stub.LRange, pb.ListRange(key=key, start=0, stop=-1))
        if outcome != OK:
            return
        found = list(reply.values)
        if found not in self.states[key]:
            lengths = [len(state) for state in self.states[key]]
            self.notes.fault(f"{key} has {len(found)} elements, may have {lengths}, or others")
        self.states[key] = [found]

    def check(self) -> None:
        for key in self.keys:
            self._read(key, self.made)
