"""A program in a terminal of its own: a pseudo-terminal that a test types into and reads from."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from harness.process import binary, clean_environment

# Generous, because other work may have the cores: where it passes, something hangs.
WAIT_SECONDS = 60.0
ROWS, COLUMNS = 40, 120

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
CTRL_A, CTRL_C, CTRL_D, CTRL_R, TAB, ENTER = "\x01", "\x03", "\x04", "\x12", "\t", "\r"


class Terminal:
    """`Terminal("cli", ...)` runs the executable in a terminal. A context manager."""

    def __init__(self, *arguments: str, environment: dict[str, str]):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._slave = slave
        self.seen = ""
        self.process = subprocess.Popen(
            # The child's stdin becomes the terminal from which it gets its signals.
            ["setsid", "--ctty", binary(), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=clean_environment({"TERM": "xterm"} | environment),
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def expect(self, text: str) -> str:
        """Reads until the text has come; gives what came before it and forgets both."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come; there is {self.seen!r}"
            if select.select([self._master], [], [], left)[0]:
                self.seen += os.read(self._master, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def edits_by_line(self) -> bool:
        """Whether the terminal is as a shell leaves it to its programs, not as an editor has it."""
        flags = termios.tcgetattr(self._slave)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit status. What is still written is read, or the program could not end."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it has not ended; there is {self.seen!r}"
            if select.select([self._master], [], [], 0.05)[0]:
                self.seen += os.read(self._master, 65536).decode(errors="replace")
        return self.process.returncode
