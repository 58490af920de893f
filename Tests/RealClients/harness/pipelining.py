"""The job of a client process that makes its calls on one Pipeline, some in flight at a time."""

import queue
import time
from collections.abc import Callable

import grpc
from harness.callers import (
    CODES,
    NUMBERS,
    REPLIES,
    reason_of,
    request,
    short,
    take_error,
    take_reply,
)
from harness.client import open_channel
from harness.history import UNKNOWN, Operation, now
from harness.jobs import Job, Told
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc


# After a stream has broken, before the next one is tried.
PAUSE_SECONDS = 0.01


class PipelineRun:
    """One Pipeline after another, should they break.

    `draw` gives the next call as (key, call, arguments), or None when the job is over.
    """

    def __init__(self, job: Job, name: str, draw: Callable[[], tuple[bytes, str, tuple] | None]):
        self.job, self.name, self.draw = job, name, draw
        self.channel = open_channel(job.address)
        grpc.channel_ready_future(self.channel).result(timeout=job.timeout)
        self.stub = keystore_pb2_grpc.KeyStoreStub(self.channel)
        self.operations: list[Operation] = []
        self.waiting: dict[int, Operation] = {}
        self.streams = 0
        self.over = False

    def run(self, told: Told) -> None:
        try:
            while not self.over:
                self._run_stream(told)
        finally:
            told.operations += self.operations
            self.channel.close()

    def _run_stream(self, told: Told) -> None:
        self.streams += 1
        self.outgoing: queue.SimpleQueue = queue.SimpleQueue()
        self._send()
        stream = self.stub.Pipeline(iter(self.outgoing.get, None), timeout=self.job.timeout)
        try:
            for batch in stream:
                for reply in batch.replies:
                    self._take(reply, told)
                self._send()
            if self.waiting:
                told.complaints.append(f"the stream ended with {len(self.waiting)} calls open")
        except grpc.RpcError as error:
            self._break(error)
            time.sleep(PAUSE_SECONDS)
        finally:
            self.outgoing.put(None)

    def _break(self, error: grpc.RpcError) -> None:
        for operation in self.waiting.values():
            operation.returned = now()
            take_error(operation, error.code().name, "", error.details() or "")
        self.waiting = {}

    def _send(self) -> None:
        """As many further calls as there is room for, in one batch; ends the stream after all."""
        batch = []
        while not self.over and len(self.waiting) < self.job.window:
            drawn = self.draw()
            if drawn is None:
                self.over = True
                break
            batch.append(self._write(*drawn))
        begun = now()
        for one in batch:
            self.waiting[one.id].invoked = begun
        if batch:
            self.outgoing.put(pb.CallBatch(calls=batch))
        if self.over and not self.waiting:
            self.outgoing.put(None)

    def _write(self, key: bytes, call: str, arguments: tuple) -> pb.Call:
        number = len(self.operations) + 1
        operation = Operation(
            self.name, key, call, short(arguments), kind=UNKNOWN,
            stream=f"{self.name}/{self.streams}", position=number,
        )
        self.operations.append(operation)
        self.waiting[number] = operation
        message = request(call, key, arguments).SerializeToString()
        return pb.Call(id=number, method=NUMBERS[call], request=message)

    def _take(self, reply: pb.Reply, told: Told) -> None:
        operation = self.waiting.pop(reply.id, None)
        if operation is None:
            told.complaints.append(f"a reply to {reply.id}, which was not open")
            return
        operation.returned = now()
        if reply.code == 0:
            take_reply(operation, REPLIES[operation.call].FromString(reply.response))
        else:
            take_error(operation, CODES[reply.code], reason_of(reply.details))
