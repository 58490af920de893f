"""Decides whether what clients saw of one key can be explained by one order of their calls.

The search is Wing and Gong's with Lowe's memory of what was tried ("Testing for linearizability",
2017): take any call that began before every call still to be placed has ended, see whether a plain
key would have replied the same, continue, and turn back where nothing fits. Calls whose outcome is
unknown may be placed at any time after they began, or never.

Versions are checked as well: each write's is higher than all before it, and a read gives that of
the write it saw.
"""

from dataclasses import dataclass
from typing import NamedTuple

from harness import model
from harness.history import FAILED, READS, REPLIED, UNKNOWN, History, Operation

STEP_LIMIT = 3_000_000
SHOWN = 12


class State(NamedTuple):
    """What the key holds, and what is known of its version: the least it can be, or exactly it."""

    held: model.Held = None
    version: int = 0
    exact: bool = False


class Violation(AssertionError):
    """No order of the calls explains the replies."""


class Undecided(AssertionError):
    """The search gave up at its limit."""


def step(state: State, operation: Operation) -> State | None:
    """The state after the operation, or None if its reply does not fit."""
    held, reply = model.apply(state.held, operation.call, operation.arguments)
    if operation.kind != UNKNOWN and reply != operation.reply:
        return None
    if operation.call == "WIPE":
        return State()
    version = operation.version
    if held is state.held and (operation.call != "SET" or reply[0] == "refused"):
        return _seen(state, version)
    if version:
        return State(held, version, True) if version > state.version else None
    return State(held, state.version + 1, False)


def _seen(state: State, version: int) -> State | None:
    """Nothing was changed, and the reply may have had the version."""
    if not version:
        return state
    fits = version == state.version if state.exact else version >= state.version
    return State(state.held, version, True) if fits else None


@dataclass(slots=True)
class _Entry:
    """One operation in the search, with its rules as sets of operations (bits of a number)."""

    operation: Operation
    bit: int
    # These must have been placed before; and if one of these has been, it is too late.
    needs: int = 0
    excludes: int = 0


class _Search:
    def __init__(self, operations: list[Operation], initial: State):
        relevant = [one for one in operations if self._matters(one)]
        relevant.sort(key=lambda one: one.invoked)
        self.entries = [_Entry(one, 1 << at) for at, one in enumerate(relevant)]
        self.initial = initial
        self.mandatory = sum(e.bit for e in self.entries if e.operation.kind != UNKNOWN)
        self._order_streams()
        self._order_versions()
        self._link()
        self.deepest: tuple[int, State] = (0, initial)
        self.deepest_count = -1

    @staticmethod
    def _matters(operation: Operation) -> bool:
        """Failed calls are left out, and reads whose reply was not received."""
        return operation.kind != FAILED and not (
            operation.kind == UNKNOWN and operation.call in READS
        )

    def _order_streams(self) -> None:
        streams: dict[str, list[_Entry]] = {}
        for entry in self.entries:
            if entry.operation.stream:
                streams.setdefault(entry.operation.stream, []).append(entry)
        for stream in streams.values():
            stream.sort(key=lambda entry: entry.operation.position)
            every, before = sum(entry.bit for entry in stream), 0
            for entry in stream:
                entry.needs |= before & self.mandatory
                entry.excludes |= every & ~before & ~entry.bit
                before |= entry.bit

    def _order_versions(self) -> None:
        """Writes happened in the order of their versions; but a shard that lost its memory counts
        again."""
        if any(entry.operation.call == "WIPE" for entry in self.entries):
            return
        writes = [
            e for e in self.entries
            if e.operation.version and e.operation.kind == REPLIED
            and e.operation.call not in READS
        ]
        writes.sort(key=lambda entry: entry.operation.version)
        before = 0
        for entry in writes:
            entry.needs |= before
            before |= entry.bit

    def _link(self) -> None:
        """Calls and returns as a doubly linked list in the order of time; -1 stands at its head."""
        events = [(e.operation.invoked, 0, at) for at, e in enumerate(self.entries)]
        events += [
            (e.operation.returned, 1, at)
            for at, e in enumerate(self.entries)
            if e.operation.kind != UNKNOWN
        ]
        events.sort()
        count = len(self.entries)
        # Event `at` is the call of entry `at`; event `count + at` its return.
        order = [at + count * kind for _, kind, at in events]
        self.next = [-1] * (2 * count + 1)
        self.previous = [-1] * (2 * count + 1)
        before = 2 * count  # the head
        for event in order:
            self.next[before] = event
            self.previous[event] = before
            before = event
        self.next[before] = -1

    def _lift(self, at: int) -> None:
        for event in self._events(at):
            before, after = self.previous[event], self.next[event]
            self.next[before] = after
            if after >= 0:
                self.previous[after] = before

    def _put_back(self, at: int) -> None:
        for event in reversed(self._events(at)):
            before, after = self.previous[event], self.next[event]
            self.next[before] = event
            if after >= 0:
                self.previous[after] = event

    def _events(self, at: int) -> list[int]:
        if self.entries[at].operation.kind == UNKNOWN:
            return [at]
        return [at, at + len(self.entries)]

    def run(self) -> bool:
        entries, count = self.entries, len(self.entries)
        head = 2 * count
        state, placed = self.initial, 0
        tried: set[tuple[int, State]] = set()
        stack: list[tuple[int, State]] = []
        event, steps = self.next[head], 0
        while placed & self.mandatory != self.mandatory:
            advanced = False
            if 0 <= event < count:
                entry = entries[event]
                allowed = entry.needs & placed == entry.needs and not entry.excludes & placed
                after = step(state, entry.operation) if allowed else None
                if after is not None and (placed | entry.bit, after) not in tried:
                    tried.add((placed | entry.bit, after))
                    stack.append((event, state))
                    state, placed = after, placed | entry.bit
                    self._lift(event)
                    self._note(len(stack), placed, state)
                    advanced = True
                    steps += 1
                    if steps > STEP_LIMIT:
                        raise Undecided(f"gave up after {steps} steps")
                event = self.next[head] if advanced else self.next[event]
                continue
            # A return of what is not placed, or the end: nothing further may come before it.
            if not stack:
                return False
            at, state = stack.pop()
            placed &= ~entries[at].bit
            self._put_back(at)
            event = self.next[at]
        return True

    def _note(self, depth: int, placed: int, state: State) -> None:
        if depth > self.deepest_count:
            self.deepest_count, self.deepest = depth, (placed, state)

    def explanation(self) -> str:
        """The state that could be reached, and the first calls that could not follow it."""
        placed, state = self.deepest
        open_calls = [str(e.operation) for e in self.entries if not e.bit & placed]
        done = [e.operation for e in self.entries if e.bit & placed]
        done.sort(key=lambda one: one.returned)
        lines = [f"{self.deepest_count} of {len(self.entries)} calls could be explained."]
        lines += ["The last of them:", *(f"  {one}" for one in done[-SHOWN:])]
        lines += [f"The key then held {state}.", "What could not follow:"]
        lines += [f"  {one}" for one in open_calls[:SHOWN]]
        return "\n".join(lines)


def check_key(operations: list[Operation], initial: State = State()) -> None:
    """Raises Violation with an explanation unless one key's operations are linearizable."""
    search = _Search(operations, initial)
    if not search.run():
        raise Violation(search.explanation())


def check(history: History) -> int:
    """Checks every key for itself (linearizability is local); gives the number of keys."""
    keys = history.by_key()
    for key, operations in sorted(keys.items()):
        try:
            check_key(operations)
        except AssertionError as error:
            raise type(error)(f"key {key!r}: {error}") from None
    return len(keys)
