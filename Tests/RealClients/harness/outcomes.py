"""How a call to a cluster under attack may end, and what a checker notes of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
from harness.client import explain

OK, NOT_DONE, UNKNOWN = "ok", "not done", "unknown"

# Reasons of failures that are none of the product's faults while shards are killed.
AWAY = "SHARD_UNAVAILABLE"
LOST = "OUTCOME_UNKNOWN"
# The log takes no more for the moment, where large values come faster than the disk takes them.
STALLED = "LOG_STALLED"
FULL = "DISK_FULL"
# Shards at their memory limit take no more for the moment.
CROWDED = "MEMORY_LIMIT"
FAULTS_SHOWN = 20


@dataclass
class Rules:
    """What else may end a call: the router may be killed, or a caller may be in haste."""

    router_dies: bool = False
    # A shard that leaves in good order replies to what it has received: nothing is unknown.
    shards_leave: bool = True
    shards_die: bool = True
    disk_fills: bool = False
    memory_fills: bool = False


@dataclass
class Notes:
    """What all the workers of one run found: shared, so every method takes the lock."""

    rules: Rules
    faults: list[str] = field(default_factory=list)
    replied: int = 0
    not_done: int = 0
    unknown: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Of each (database, key): version -> what the key held then.
    versions: dict[tuple, dict[int, object]] = field(default_factory=dict)
    newest: dict[tuple, int] = field(default_factory=dict)

    def fault(self, text: str) -> None:
        with self.lock:
            self.faults.append(text)

    def assert_no_fault(self) -> None:
        told = "\n".join(self.faults[:FAULTS_SHOWN])
        assert not told, told

    def progress(self) -> int:
        return self.replied

    def floor(self, key: tuple) -> int:
        """The newest version of the key that was told to anyone before now."""
        with self.lock:
            return self.newest.get(key, 0)

    def seen(self, key: tuple, version: int, content: object, floor: int = 0) -> None:
        """A key was told to hold this at that version, by a call begun when `floor` was known."""
        if isinstance(content, (bytes, tuple)) and len(content) > 32:
            content = hash(content)
        with self.lock:
            known = self.versions.setdefault(key, {})
            if known.setdefault(version, content) != content:
                self.faults.append(
                    f"{key} version {version} held {known[version]!r:.80}, then {content!r:.80}")
            if version < floor:
                self.faults.append(f"{key} went back from version {floor} to {version}")
            self.newest[key] = max(self.newest.get(key, 0), version)

    def judge(self, code: str, reason: str, what: str, hasty: bool = False) -> str:
        """The outcome that a failure stands for; a fault where it must not end so."""
        if code == "UNAVAILABLE" and reason == AWAY and self.rules.shards_leave:
            outcome = NOT_DONE
        elif code == "UNAVAILABLE" and reason == LOST and self.rules.shards_die:
            outcome = UNKNOWN
        elif code == "UNAVAILABLE" and reason == STALLED:
            outcome = NOT_DONE
        elif code == "RESOURCE_EXHAUSTED" and reason == FULL and self.rules.disk_fills:
            outcome = NOT_DONE
        elif code == "RESOURCE_EXHAUSTED" and reason == CROWDED and self.rules.memory_fills:
            outcome = NOT_DONE
        elif code == "DEADLINE_EXCEEDED" and hasty:
            outcome = UNKNOWN
        elif code == "UNAVAILABLE" and not reason and self.rules.router_dies:
            outcome = UNKNOWN
        else:
            self.fault(f"{what} ended with {code} {reason}")
            outcome = UNKNOWN
        with self.lock:
            if outcome == UNKNOWN:
                self.unknown += 1
            else:
                self.not_done += 1
        return outcome

    def count_reply(self) -> None:
        with self.lock:
            self.replied += 1

    def make(self, call: Callable[[], object], what: str, hasty: bool = False):
        """Makes a call: its outcome, and its reply where there is one."""
        try:
            reply = call()
        except grpc.RpcError as error:
            refusal = explain(error)
            text = f"{what} ({refusal.message})"
            return self.judge(refusal.code.name, refusal.reason, text, hasty), None
        self.count_reply()
        return OK, reply
