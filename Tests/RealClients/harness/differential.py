"""Random commands that Ringstore's lines and Redis both have, and what their replies mean.

A command is here once for both: its words, and how each side's reply is read. Where the two are
meant to differ, PROTOCOL.md says so, and the command is not made with such words.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from harness.redis import RedisError

Words = tuple[bytes, ...]
Meaning = object


@dataclass(frozen=True)
class Failure:
    """An error, as far as both sides tell them apart."""

    kind: str


# Behind the first word of ours, the beginning of Redis's.
ERRORS = {
    "WRONG_TYPE": "WRONGTYPE",
    "NOT_AN_INTEGER": "ERR value is not an integer",
    "INTEGER_OVERFLOW": "ERR increment or decrement would overflow",
    "NO_SUCH_KEY": "ERR no such key",
    "INDEX_OUT_OF_RANGE": "ERR index out of range",
}
MISSING = (b"-invalid key ", b"-not found")


def _failed(line: bytes) -> Failure:
    reason = line[1:].split(b" ")[0].decode()
    # An argument; Redis says it of values alike.
    if b"must be a whole number of 64 bits" in line:
        return Failure("NOT_AN_INTEGER")
    return Failure(reason if reason in ERRORS else "other")


def redis_failed(error: RedisError) -> Failure:
    for reason, beginning in ERRORS.items():
        if error.startswith(beginning):
            return Failure(reason)
    return Failure("other")


# How a reply of ours is read as Redis would have said it.


def value(reply: bytes) -> Meaning:
    if reply.startswith(MISSING):
        return None
    return reply[1:] if reply[:1] == b"+" else _failed(reply)


def number(reply: bytes) -> Meaning:
    return int(reply[1:]) if reply[:1] == b"+" else _failed(reply)


def items(reply: bytes | list[bytes]) -> Meaning:
    return _failed(reply) if isinstance(reply, bytes) else reply


def values(reply: bytes | list[bytes]) -> Meaning:
    """A list whose lines are replies in themselves."""
    return _failed(reply) if isinstance(reply, bytes) else [value(line) for line in reply]


def missing_is_empty(reply: object) -> object:
    """Of Redis, which tells a missing list from an empty one here."""
    return [] if reply is None else reply


def removed(reply: bytes) -> Meaning:
    """DEL of one key."""
    if reply.startswith(MISSING):
        return 0
    return 1 if reply == b"+OK" else _failed(reply)


def place(reply: bytes) -> Meaning:
    """An index, or none."""
    if reply.startswith(MISSING):
        return None
    return number(reply)


def taken(reply: bytes | list[bytes]) -> Meaning:
    """One value, or several where a count was given."""
    return reply if isinstance(reply, list) else value(reply)


def places(reply: bytes | list[bytes]) -> Meaning:
    if isinstance(reply, list):
        return [int(index) for index in reply]
    return place(reply)


def same(reply: object) -> object:
    return reply


@dataclass(frozen=True)
class Kind:
    """A command: how often it is made, its arguments, how the replies are read."""

    weight: int
    arguments: Callable[["Maker"], Words]
    ours: Callable = value
    redis: Callable = same


class Maker:
    """Words from a seed."""

    def __init__(self, seed: int, keys: int = 24):
        self.chance = random.Random(seed)
        # Some share a slot, others don't.
        self.keys = [b"{same}:%d" % n if n % 3 == 0 else b"key:%d" % n for n in range(keys)]

    def key(self) -> bytes:
        return self.chance.choice(self.keys)

    def integer(self) -> bytes:
        most = self.chance.choice((3, 100, 2**63 - 1))
        return b"%d" % self.chance.randint(-most - 1, most)

    def index(self) -> bytes:
        if self.chance.random() < 0.03:
            return self.chance.choice((b"%d" % -(2**63), b"%d" % (2**63 - 1), b"05", b"one", b""))
        return b"%d" % self.chance.randint(-12, 12)

    def value(self) -> bytes:
        kind = self.chance.random()
        if kind < 0.3:
            return self.integer()
        if kind < 0.8:
            return b"v%d" % self.chance.randrange(10)
        if kind < 0.9:
            return self.chance.choice((b"", b"05", b"-0", b"two words", b"*3", b"$5", b"\0\xff"))
        return b"long" * self.chance.choice((20, 600, 3_000))

    def values(self) -> Words:
        return tuple(self.value() for _ in range(self.chance.choice((1, 1, 2, 5))))

    def count(self) -> Words:
        """Perhaps how many to pop."""
        if self.chance.random() < 0.7:
            return ()
        return (b"%d" % self.chance.choice((0, 1, 2, 5, 100)),)

    def side(self) -> bytes:
        return self.chance.choice((b"BEFORE", b"after"))

    def end(self) -> bytes:
        return self.chance.choice((b"LEFT", b"RIGHT", b"left", b"right"))

    def two_keys(self) -> Words:
        """Of one slot; often one key."""
        first = self.chance.choice(self.keys[::3])
        return first, first if self.chance.random() < 0.2 else self.chance.choice(self.keys[::3])

    def options(self) -> Words:
        """Of LPOS."""
        words: list[bytes] = []
        if self.chance.random() < 0.4:
            words += b"RANK", self.chance.choice((b"1", b"2", b"-1", b"-3", b"0", b"x"))
        if self.chance.random() < 0.4:
            words += b"COUNT", self.chance.choice((b"0", b"1", b"3", b"-1"))
        if self.chance.random() < 0.3:
            words += b"maxlen", self.chance.choice((b"0", b"1", b"5", b"-1"))
        return tuple(words)

    def pairs(self) -> Words:
        return tuple(word for _ in range(3) for word in (self.key(), self.value()))


COMMANDS: dict[bytes, Kind] = {
    b"GET": Kind(6, lambda m: (m.key(),)),
    b"SET": Kind(6, lambda m: (m.key(), m.value())),
    b"DEL": Kind(4, lambda m: (m.key(),), removed),
    b"EXISTS": Kind(2, lambda m: (m.key(),), number),
    b"TYPE": Kind(2, lambda m: (m.key(),)),
    b"INCR": Kind(2, lambda m: (m.key(),), number),
    b"DECR": Kind(1, lambda m: (m.key(),), number),
    b"INCRBY": Kind(2, lambda m: (m.key(), m.integer()), number),
    b"DECRBY": Kind(1, lambda m: (m.key(), m.integer()), number),
    b"APPEND": Kind(3, lambda m: (m.key(), m.value()), number),
    b"STRLEN": Kind(2, lambda m: (m.key(),), number),
    b"LPUSH": Kind(6, lambda m: (m.key(), *m.values()), number),
    b"RPUSH": Kind(6, lambda m: (m.key(), *m.values()), number),
    b"LPOP": Kind(4, lambda m: (m.key(), *m.count()), taken),
    b"RPOP": Kind(4, lambda m: (m.key(), *m.count()), taken),
    b"LREM": Kind(3, lambda m: (m.key(), m.index(), m.value()), number),
    b"LINSERT": Kind(3, lambda m: (m.key(), m.side(), m.value(), m.value()), number),
    b"LPOS": Kind(3, lambda m: (m.key(), m.value(), *m.options()), places),
    b"LMOVE": Kind(3, lambda m: (*m.two_keys(), m.end(), m.end())),
    b"RPOPLPUSH": Kind(2, lambda m: m.two_keys()),
    b"LLEN": Kind(2, lambda m: (m.key(),), number),
    b"LRANGE": Kind(4, lambda m: (m.key(), m.index(), m.index()), items),
    b"MGET": Kind(1, lambda m: tuple(m.key() for _ in range(4)), values),
    b"MSET": Kind(1, lambda m: m.pairs()),
    b"LPUSHX": Kind(2, lambda m: (m.key(), *m.values()), number),
    b"RPUSHX": Kind(2, lambda m: (m.key(), *m.values()), number),
    b"LINDEX": Kind(3, lambda m: (m.key(), m.index())),
    b"LSET": Kind(3, lambda m: (m.key(), m.index(), m.value())),
    b"LTRIM": Kind(1, lambda m: (m.key(), m.index(), m.index())),
}
