"""One client process among many: takes jobs from a pipe, works, and tells what it saw.

The pipe carries a Job, "ready" back, "go", perhaps "stop", and a Told (or an exception) back.
"""

import random
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from harness.callers import CliCaller, OlderCaller, UnaryCaller
from harness.history import FAILED, UNKNOWN, padded
from harness.jobs import CLI, MANY, NONSENSE, LEGACY, PIPELINE, UNARY, Job, Told
from harness.many import ManyRun
from harness.nonsense import Talker
from harness.pipelining import PipelineRun

LARGE_BYTES = (70_000, 300_000)
CALLERS = {UNARY: UnaryCaller, CLI: CliCaller, LEGACY: OlderCaller}
# A client that was refused doesn't come back at once; RetryInfo asks for no less.
PAUSE_SECONDS = 0.01


class Plan:
    """The calls of a job, drawn from its seed: (key, call, arguments)."""

    def __init__(self, job: Job, name: str):
        self.job = job
        self.name = name
        self.source = random.Random(job.seed)
        self.made = 0

    def next(self) -> tuple[bytes, str, tuple]:
        keys, mix = self.source.choice(self.job.groups)
        call = self.source.choices(list(mix), list(mix.values()))[0]
        self.made += 1
        return self.source.choice(keys), call, self._arguments(call)

    def _arguments(self, call: str) -> tuple:
        if call == "SET":
            return (self.value(),)
        if call in ("LPUSH", "RPUSH"):
            count = 1 if self.job.client == LEGACY else self.source.choice([1, 1, 3])
            return tuple(self.value(b"/%d" % at) for at in range(count))
        if call == "INCRBY":
            return (self.source.choice([1, 1, 1, 2, -1]),)
        return (0, -1) if call == "LRANGE" else ()

    def value(self, suffix: bytes = b"") -> bytes:
        """A value that no other client writes."""
        name = b"%s:%d%s" % (self.name.encode(), self.made, suffix)
        if self.source.random() < self.job.large:
            return padded(name, self.source.randint(*LARGE_BYTES))
        if self.source.random() < self.job.medium:
            return padded(name, self.source.randint(0, 2048))
        return name


class Bell:
    """Tells whether the job is over: so many calls were made, or the word "stop" has come."""

    def __init__(self, pipe: Connection, calls: int | None):
        self._pipe = pipe
        self._left = calls
        self._stopped = False

    def rings(self) -> bool:
        if self._left is not None:
            self._left -= 1
            return self._left < 0
        if not self._stopped and self._pipe.poll():
            said = self._pipe.recv()
            assert said == "stop", said
            self._stopped = True
        return self._stopped

    def await_stop(self) -> None:
        """Hears the word "stop" that is still to come, if it is."""
        while self._left is None and not self.rings():
            self._pipe.poll(None)


def one_by_one(caller, plan: Plan, bell: Bell, told: Told) -> None:
    """Calls one after another."""
    while not bell.rings():
        key, call, arguments = plan.next()
        operation = caller.make(plan.name, key, call, arguments)
        told.operations.append(operation)
        if operation.kind in (FAILED, UNKNOWN):
            time.sleep(PAUSE_SECONDS)


def prepare(job: Job, name: str, bell: Bell):
    """Connects; gives what is to be called at the word "go"."""
    plan = Plan(job, name)
    if job.client == PIPELINE:
        return PipelineRun(job, name, lambda: None if bell.rings() else plan.next()).run
    if job.client == MANY:
        return ManyRun(job, name, plan, bell).run
    if job.client == NONSENSE:
        return Talker(job, plan.source, bell).run
    caller = CALLERS[job.client](job.address, job.timeout)

    def run(told: Told) -> None:
        try:
            one_by_one(caller, plan, bell, told)
        finally:
            caller.close()

    return run


def jobs(pipe: Connection) -> Iterator[Job]:
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


def work(pipe: Connection, number: int) -> None:
    """The process's main function."""
    for turn, job in enumerate(jobs(pipe)):
        try:
            bell = Bell(pipe, job.calls)
            run = prepare(job, f"w{number}", bell)
            pipe.send("ready")
            assert pipe.recv() == "go"
            told = Told()
            run(told)
            bell.await_stop()
            pipe.send(told)
        except Exception as error:  # shown by the test that gave the job
            pipe.send(AssertionError(f"job {turn} of process {number}: {error!r}"))
