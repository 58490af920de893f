"""What clients saw: one record for each call, on a clock that all processes share.

Workers write records, the checker in harness/linearizability.py reads them once a run is over.
"""

import time
from dataclasses import dataclass, field

# Values are written as a short name and padding, so that a record need not hold a large value.
PADDING = b"."
TORN = b"TORN:"

# How a call ended for the one who made it.
REPLIED = "replied"  # it happened, once
REFUSED = "refused"  # it did not happen, and the refusal tells something about the key
FAILED = "failed"  # it did not happen
UNKNOWN = "unknown"  # it may have happened, then or later

READS = frozenset({"GET", "LLEN", "LRANGE", "EXISTS", "TYPE"})


def now() -> int:
    """Nanoseconds of the system's monotonic clock: one clock for all processes of a machine."""
    return time.monotonic_ns()


def padded(name: bytes, length: int) -> bytes:
    """A value of that length (or as long as the name) that `compact` knows again."""
    return name + PADDING * (length - len(name))


def compact(value: bytes) -> bytes:
    """The name of a padded value and its length; what was not written whole is called torn."""
    name = value.rstrip(PADDING)
    if len(name) == len(value):
        return value
    return b"%s~%d" % (name, len(value)) if PADDING not in name else TORN + value[:64]


@dataclass(slots=True)
class Operation:
    """One call on one key. `reply` is the reply of the model in harness/model.py."""

    client: str
    key: bytes
    call: str
    arguments: tuple = ()
    invoked: int = 0
    returned: int = 0
    kind: str = REPLIED
    reply: tuple = ()
    # The version that the reply carried; 0 where it carried none.
    version: int = 0
    # Code and reason of what failed.
    error: tuple = ()
    # Calls of one stream took effect in the order of their positions.
    stream: str = ""
    position: int = 0

    def __str__(self) -> str:
        ended = f"{self.returned}" if self.kind != UNKNOWN else "?"
        told = self.reply if self.kind in (REPLIED, REFUSED) else (self.kind, *self.error)
        version = f" v{self.version}" if self.version else ""
        where = f" {self.stream}[{self.position}]" if self.stream else ""
        arguments = " ".join(repr(one) for one in self.arguments)
        return f"[{self.invoked}..{ended}] {self.client}{where}: {self.call} {arguments} -> " + (
            f"{told}{version}"
        )


def wipe(key: bytes, begun: int, over: int) -> Operation:
    """The key's shard lost its memory at some moment between the two."""
    return Operation("the test", key, "WIPE", (), begun, over, REPLIED, ("ok",))


@dataclass
class History:
    """Everything that happened in a run."""

    operations: list[Operation] = field(default_factory=list)

    def by_key(self) -> dict[bytes, list[Operation]]:
        sorted_out: dict[bytes, list[Operation]] = {}
        for operation in self.operations:
            sorted_out.setdefault(operation.key, []).append(operation)
        return sorted_out

    def of(self, *calls: str, kind: str = REPLIED) -> list[Operation]:
        """The operations of those calls that ended so."""
        return [one for one in self.operations if one.call in calls and one.kind == kind]

    def errors(self) -> set[tuple]:
        """(kind, code, reason) of everything without a reply."""
        return {(one.kind, *one.error) for one in self.operations if one.kind != REPLIED}
