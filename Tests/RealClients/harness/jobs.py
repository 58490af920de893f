"""What a client process is told to do: plain values, sent to it through a pipe."""

from dataclasses import dataclass, field

# Which client makes the calls.
UNARY, PIPELINE, CLI, MANY, NONSENSE = "unary", "pipeline", "cli", "many", "nonsense"
# The legacy KeyStore service, which has some of the calls.
LEGACY = "legacy"

# Shares of calls by name; see harness/model.py for the names.
STRINGS = {"SET": 3, "GET": 4, "DELETE": 1, "EXISTS": 1}
COUNTERS = {"INCRBY": 5, "GET": 2, "DELETE": 1}
LISTS = {"LPUSH": 2, "RPUSH": 2, "LPOP": 2, "RPOP": 2, "LLEN": 1, "LRANGE": 1}
MIXED = {"SET": 1, "GET": 3, "DELETE": 2, "INCRBY": 2, "RPUSH": 2, "LPOP": 2, "TYPE": 1}


@dataclass(frozen=True)
class Job:
    """Calls on keys of its groups: each group is keys and the mix of calls for them."""

    address: str
    groups: tuple[tuple[tuple[bytes, ...], dict[str, int]], ...]
    # So many calls; None: until told to stop.
    calls: int | None
    seed: int
    client: str = UNARY
    # Shares of values of 0 to 2 KiB, and of values past what links carry among small calls.
    medium: float = 0.1
    large: float = 0.0
    timeout: float = 90.0
    # Calls in flight of a Pipeline.
    window: int = 16


@dataclass
class Told:
    """What a client process reports at the end of a job."""

    operations: list = field(default_factory=list)
    # Sentences on what was not as it must be, beyond what a history shows.
    complaints: list[str] = field(default_factory=list)
    # What was tried, by name, where that is not in the operations.
    counts: dict[str, int] = field(default_factory=dict)
