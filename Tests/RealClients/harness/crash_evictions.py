"""Keys that shards may evict, while these are killed: what was gone for a reader stays gone."""

import grpc
from harness.crash_load import ABSENT, PAUSE_SECONDS, KnownStates, Worker
from harness.filling import FAR
from harness.outcomes import OK
from ringstore.v1 import keystore_pb2 as pb


class EvictedWorker(Worker):
    """Writes and reads keys of its own, many in a call. `states` has what each of them may hold.

    A key that was found absent may hold nothing else until it is written again. The keys expire,
    but far in the future, so that both eviction policies may choose them.
    """

    KEYS, BYTES, ITEMS = 2_000, 4_000, 40
    MAY_GO = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.states = KnownStates(self.notes, may_go=self.MAY_GO)

    def step(self) -> None:
        numbers = self.chance.sample(range(self.KEYS), self.ITEMS)
        keys = [b"%s-%d" % (self.name.encode(), number) for number in numbers]
        if self.chance.random() < 0.6:
            self._write(keys)
        else:
            self._read(keys, self.make)

    def _write(self, keys: list[bytes]) -> None:
        items = []
        for key in keys:
            item = pb.KeyValue(key=key, value=self.unique().ljust(self.BYTES, b"."))
            if self.MAY_GO:
                item.expire_at_unix_millis = FAR
            items.append(item)
        outcome, reply = self.make(self.stub.MSet, pb.MSetRequest(items=items))
        for number, item in enumerate(items):
            told = reply.items[number] if reply else None
            one = self._judge(told.error) if told and told.HasField("error") else outcome
            if one == OK:
                self.notes.seen((0, item.key), told.status.version, item.value)
            self.states.wrote(item.key, item.value, one)

    def _judge(self, error: pb.Error) -> str:
        code = {one.value[0]: one.name for one in grpc.StatusCode}[error.code]
        self.ending.wait(PAUSE_SECONDS / self.ITEMS)
        return self.notes.judge(code, error.reason, f"{self.name} item ({error.message})")

    def _read(self, keys: list[bytes], make) -> None:
        request = pb.MGetRequest(keys=[pb.Key(key=key) for key in keys])
        _, reply = make(self.stub.MGet, request)
        for key, told in zip(keys, reply.items if reply else ()):
            if told.HasField("error"):
                self._judge(told.error)
                continue
            self.states.read(key, told.value.value if told.value.found else ABSENT)

    def check(self) -> None:
        keys = list(self.states)
        for first in range(0, len(keys), self.ITEMS):
            self._read(keys[first : first + self.ITEMS], self.made)


class LastingWorker(EvictedWorker):
    """The same for keys that don't expire: `volatile-lru` may not evict them."""

    KEYS = 100
    MAY_GO = False
