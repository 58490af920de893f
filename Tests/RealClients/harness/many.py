"""The job of a client process that makes calls on many keys at once.

Each item is written down as a call of its own on its key, as long as the whole; items of one call
that name the same key take effect in their order, like calls of a stream.
"""

import grpc
from harness.callers import CODES, request, short, take_error, take_reply
from harness.client import explain, open_channel
from harness.history import UNKNOWN, Operation, now
from harness.jobs import Job, Told
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

# For each call: the call on many keys, its request's field, and where an item has its result.
CALLS = {
    "SET": ("MSet", pb.MSetRequest, "items", "status"),
    "GET": ("MGet", pb.MGetRequest, "keys", "value"),
    "DELETE": ("MDelete", pb.MDeleteRequest, "keys", "status"),
    "LRANGE": ("MLRange", pb.MLRangeRequest, "ranges", "list"),
}
WEIGHTS = {"SET": 3, "GET": 4, "DELETE": 1, "LRANGE": 2}
ITEMS_MAX = 8


class ManyRun:
    """`plan` has the job's dice and makes values; `bell` tells when to stop."""

    def __init__(self, job: Job, name: str, plan, bell):
        self.job, self.name, self.plan, self.bell = job, name, plan, bell
        self.source = plan.source
        self.keys = [key for keys, _ in job.groups for key in keys]
        self.channel = open_channel(job.address)
        grpc.channel_ready_future(self.channel).result(timeout=job.timeout)
        self.stub = keystore_pb2_grpc.KeyStoreStub(self.channel)
        self.turn = 0

    def run(self, told: Told) -> None:
        try:
            while not self.bell.rings():
                told.operations += self._call()
        finally:
            self.channel.close()

    def _call(self) -> list[Operation]:
        self.turn += 1
        self.plan.made += 1
        call = self.source.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        items, operations = [], []
        for position in range(self.source.randint(1, ITEMS_MAX)):
            key = self.source.choice(self.keys)
            given = self._arguments(call, position)
            items.append(request(call, key, given))
            operations.append(
                Operation(
                    self.name, key, call, short(given), kind=UNKNOWN,
                    stream=f"{self.name}/{self.turn}", position=position,
                )
            )
        self._make(call, items, operations)
        return operations

    def _arguments(self, call: str, position: int) -> tuple:
        if call == "SET":
            return (self.plan.value(b"/%d" % position),)
        return (0, -1) if call == "LRANGE" else ()

    def _make(self, call: str, items: list, operations: list[Operation]) -> None:
        method, message, field, outcome = CALLS[call]
        begun, failure, reply = now(), None, None
        try:
            asked = message(**{field: items})
            reply = getattr(self.stub, method)(asked, timeout=self.job.timeout)
        except grpc.RpcError as error:
            failure = explain(error)
        ended = now()
        if reply is not None:
            assert len(reply.items) == len(items)
        for at, operation in enumerate(operations):
            operation.invoked, operation.returned = begun, ended
            if failure is not None:
                take_error(operation, failure.code.name, failure.reason, failure.message)
            elif reply.items[at].WhichOneof("outcome") == "error":
                told = reply.items[at].error
                take_error(operation, CODES[told.code], told.reason)
            else:
                take_reply(operation, getattr(reply.items[at], outcome))
