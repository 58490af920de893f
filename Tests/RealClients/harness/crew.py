"""Client processes that work side by side: hired once, given jobs, started and stopped together."""

import multiprocessing
from collections import Counter
from multiprocessing.connection import Connection

from harness.history import History
from harness.jobs import Job, Told
from harness.worker import work

SIZE = 8
READY_SECONDS = 120.0
DONE_SECONDS = 240.0


class Crew:
    """`report = crew.do(jobs)`, or `shift = crew.begin(jobs)` and later `shift.stop()`."""

    def __init__(self, size: int = SIZE):
        self.size = size
        self._busy = False
        self._hire()

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes: list = []
        for number in range(self.size):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, number), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def dismiss(self) -> None:
        for process in self.processes:
            process.kill()
        for process, pipe in zip(self.processes, self.pipes, strict=True):
            process.join()
            pipe.close()

    def do(self, jobs: list[Job]) -> "Report":
        """Does jobs that have a number of calls, all at once."""
        return self.begin(jobs).join()

    def begin(self, jobs: list[Job]) -> "Shift":
        """Every process is connected before the first one makes a call."""
        assert len(jobs) <= self.size, "more jobs than processes"
        if self._busy:
            # A test has failed in the midst of its work; its processes are of no use any more.
            self.dismiss()
            self._hire()
        self._busy = True
        pipes = self.pipes[: len(jobs)]
        for pipe, job in zip(pipes, jobs, strict=True):
            pipe.send(job)
        for pipe in pipes:
            _expect(pipe, "ready", READY_SECONDS)
        for pipe in pipes:
            pipe.send("go")
        return Shift(self, pipes)

    def is_free(self) -> None:
        """Told by a shift that has come to a good end."""
        self._busy = False

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()


class Report:
    """What all processes of a shift told."""

    def __init__(self, told: list[Told]):
        self.told = told
        self.history = History([one for each in told for one in each.operations])
        self.complaints = [sentence for each in told for sentence in each.complaints]
        self.counts = sum((Counter(each.counts) for each in told), Counter())


class Shift:
    """Jobs that are being done."""

    def __init__(self, crew: Crew, pipes: list[Connection]):
        self._crew = crew
        self._pipes = pipes

    def stop(self) -> Report:
        """Ends jobs without a number of calls."""
        for pipe in self._pipes:
            pipe.send("stop")
        return self.join()

    def join(self) -> Report:
        report = Report([_expect(pipe, Told, DONE_SECONDS) for pipe in self._pipes])
        self._crew.is_free()
        return report


def _expect(pipe: Connection, wanted: object, seconds: float):
    assert pipe.poll(seconds), f"a client process said nothing for {seconds} s"
    said = pipe.recv()
    if isinstance(said, BaseException):
        raise AssertionError("a client process failed") from said
    assert said == wanted or isinstance(wanted, type) and isinstance(said, wanted), said
    return said
