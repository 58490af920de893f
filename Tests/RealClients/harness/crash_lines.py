"""A worker that uses the line protocol, and whose oracles are those of the counting workers."""

from harness.crash_counts import SHARED_COUNTERS, STRING_BYTES_MAX, AppendingWorker, tally
from harness.crash_load import PAUSE_SECONDS
from harness.lines import Lines
from harness.outcomes import OK

COMMANDS_MAX = 20


class LineWorker(AppendingWorker):
    """Appends to strings of its own and adds to shared counters, several commands in flight.

    Reads its strings back over lines as well, which have no line break.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lines: Lines | None = None

    def step(self) -> None:
        commands = []
        for _ in range(self.chance.randint(1, COMMANDS_MAX)):
            commands.append((b"APPEND", self.key, self.unique() + b";"))
            if self.chance.random() < 0.3:
                commands.append((b"INCR", self.chance.choice(SHARED_COUNTERS)))
        for command, (outcome, reply) in zip(commands, self._exchange(commands), strict=True):
            if command[0] == b"APPEND":
                self.note(command[2], outcome)
            else:
                tally(self).note(self, command[1], outcome, int(reply) if outcome == OK else None)
        if self.length > STRING_BYTES_MAX:
            self._begin()

    def _exchange(self, commands: list[tuple[bytes, ...]]) -> list[tuple[str, bytes]]:
        """Sends all of them, then reads the replies: an outcome for each, and what was replied."""
        told: list[tuple[str, bytes]] = []
        try:
            if self.lines is None:
                self.lines = Lines(self.cluster.router.line_port)
            for command in commands:
                self.lines.request(*command)
            while len(told) < len(commands):
                told.append(self._outcome(self.lines.reply()))
        except (OSError, EOFError) as error:
            self._disconnect()
            what = f"{self.name} lost its connection ({error!r})"
            while len(told) < len(commands):
                told.append((self.notes.judge("UNAVAILABLE", "", what), b""))
        self.ending.wait(PAUSE_SECONDS * sum(outcome != OK for outcome, _ in told))
        return told

    def _outcome(self, reply: bytes) -> tuple[str, bytes]:
        if reply.startswith(b"+"):
            self.notes.count_reply()
            return OK, reply[1:]
        # All reasons that may be are of this code; others are faults with any.
        reason, _, sentence = reply.removeprefix(b"-").decode().partition(" ")
        what = f"{self.name} of the line protocol ({sentence})"
        return self.notes.judge("UNAVAILABLE", reason, what), b""

    def check(self) -> None:
        super().check()
        self._disconnect()
        key, words = self.strings[-1]
        with Lines(self.cluster.router.line_port) as lines:
            reply = lines.ask(b"GET", key)
        if reply.startswith(b"+"):
            self._check_one(key, words, reply[1:])
        elif any(acknowledged for _, acknowledged in words):
            self.notes.fault(f"{key} is {reply!r}")

    def _disconnect(self) -> None:
        if self.lines:
            self.lines.close()
        self.lines = None

    def close(self) -> None:
        self._disconnect()
        super().close()
