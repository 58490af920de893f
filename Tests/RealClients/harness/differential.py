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
    if b"must be a whole number of 64 bits" in line:
        return Failure("NOT_AN_INTEGER")
    reason = line[1:].split(b" ")[0].decode()
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
    """Of MGET, whose lines are replies in themselves. Of a list Redis says nothing is there."""
    if isinstance(reply, bytes):
        return _failed(reply)
    told = [value(line) for line in reply]
    return [None if each == Failure("WRONG_TYPE") else each for each in told]


def removed(reply: bytes | list[bytes]) -> Meaning:
    """DEL of one key, which is told in words, or of several, which are counted."""
    if reply[1:].isdigit():
        return number(reply)
    if reply.startswith(MISSING):
        return 0
    return 1 if reply == b"+OK" else _failed(reply)


def popped(reply: bytes | list[bytes]) -> Meaning:
    """One value, or several where a count was given."""
    return value(reply) if isinstance(reply, bytes) else reply


def found(reply: bytes | list[bytes]) -> Meaning:
    """Of LPOS: an index, or several where a count was given."""
    if isinstance(reply, list):
        return [int(index) for index in reply]
    return None if reply.startswith(MISSING) else number(reply)


def before(reply: bytes) -> Meaning:
    """What a write tells of the value that it replaces, or whether its condition was met."""
    if reply in (b"-no value before", b"-condition not met"):
        return None
    return value(reply)


def same(reply: object) -> object:
    return reply


class Near(int):
    """A time: the two sides don't ask, and don't count, from one moment."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and abs(self - other) <= (20_000 if self > 0 else 0)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


def near(reply: bytes) -> Meaning:
    told = number(reply)
    return Near(told) if isinstance(told, int) else told


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
        self._made = 0
        # Some share a slot, others don't.
        self.keys = [b"{same}:%d" % n if n % 3 == 0 else b"key:%d" % n for n in range(keys)]

    def key(self) -> bytes:
        return self.chance.choice(self.keys)

    def integer(self) -> bytes:
        most = self.chance.choice((3, 100, 2**63 - 1))
        return b"%d" % self.chance.randint(-most - 1, most)

    def index(self) -> bytes:
        if self.chance.random() < 0.03:
            return self.chance.choice((b"05", b"one", b"", b"1.0"))
        return self.place()

    def place(self) -> bytes:
        """An index that is a number: where it isn't, Redis looks at the key first."""
        if self.chance.random() < 0.03:
            return self.chance.choice((b"%d" % -(2**63), b"%d" % (2**63 - 1)))
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

    def seconds(self) -> bytes:
        """Days from now, or no time to live at all."""
        if self.chance.random() < 0.1:
            return self.chance.choice((b"0", b"-1", b"%d" % -(2**63), b"%d" % (2**63 - 1), b"soon"))
        return self.days()

    def days(self) -> bytes:
        """Never twice the same, so that which of two is later doesn't hang on a millisecond."""
        self._made += 1
        return b"%d" % (86_400 * self.chance.randint(1, 9) + 60 * self._made)

    def millis(self) -> bytes:
        return self.days() + b"000" if self.chance.random() < 0.9 else b"-5"

    def moment(self) -> bytes:
        """In seconds since 1970: in the past, or far in the future."""
        return b"%d" % (self.chance.choice((1, 3_000_000_000)) * self.chance.randint(1, 2))

    def options(self) -> Words:
        """Of SET; now and then some that exclude each other."""
        pick = self.chance.random
        return (
            *((b"EX", self.seconds()) if pick() < 0.3 else ()),
            *((b"KEEPTTL",) if pick() < 0.15 else ()),
            *((self.chance.choice((b"NX", b"xx")),) if pick() < 0.4 else ()),
            *((b"GET",) if pick() < 0.2 else ()),
        )

    def count(self) -> Words:
        """Of a pop, mostly none."""
        return (b"%d" % self.chance.randint(-1, 4),) if self.chance.random() < 0.3 else ()

    def two_keys(self) -> Words:
        """Of one slot; now and then one key."""
        same_slot = self.keys[::3]
        first = self.chance.choice(same_slot)
        return first, first if self.chance.random() < 0.2 else self.chance.choice(same_slot)

    def side(self) -> bytes:
        return self.chance.choice((b"BEFORE", b"after"))

    def end(self) -> bytes:
        return self.chance.choice((b"LEFT", b"right"))

    def search(self) -> Words:
        """Options of LPOS."""
        pick = self.chance.random
        return (
            *((b"RANK", self.chance.choice((b"1", b"2", b"-1", b"-3"))) if pick() < 0.4 else ()),
            *((b"COUNT", self.chance.choice((b"0", b"1", b"3"))) if pick() < 0.4 else ()),
            *((b"maxlen", self.chance.choice((b"0", b"1", b"5"))) if pick() < 0.3 else ()),
        )

    def condition(self) -> Words:
        """Of EXPIRE."""
        return self.chance.choice(((), (), (b"NX",), (b"XX",), (b"GT",), (b"LT",)))

    def values(self) -> Words:
        return tuple(self.value() for _ in range(self.chance.choice((1, 1, 2, 5))))

    def some_keys(self) -> Words:
        """Mostly one; some may come twice."""
        return tuple(self.key() for _ in range(self.chance.choice((1, 1, 2, 4))))

    def new_key(self) -> bytes:
        """One that only MSETNX makes."""
        return b"{same}:new:%d" % self.chance.randrange(6)

    def pairs_of_a_slot(self) -> Words:
        """Of keys that mostly aren't there."""
        count = self.chance.choice((1, 2, 3))
        keys = [
            self.chance.choice((self.new_key(), self.chance.choice(self.keys[::3])))
            for _ in range(count)
        ]
        return tuple(word for key in keys for word in (key, self.value()))

    def pairs(self) -> Words:
        return tuple(word for _ in range(3) for word in (self.key(), self.value()))


COMMANDS: dict[bytes, Kind] = {
    b"GET": Kind(6, lambda m: (m.key(),)),
    b"SET": Kind(9, lambda m: (m.key(), m.value(), *m.options()), before),
    b"DEL": Kind(4, lambda m: m.some_keys(), removed),
    b"UNLINK": Kind(1, lambda m: (*m.some_keys(), m.new_key()), number),
    b"EXISTS": Kind(2, lambda m: m.some_keys(), number),
    b"TOUCH": Kind(2, lambda m: m.some_keys(), number),
    b"TYPE": Kind(2, lambda m: (m.key(),)),
    b"INCR": Kind(2, lambda m: (m.key(),), number),
    b"DECR": Kind(1, lambda m: (m.key(),), number),
    b"INCRBY": Kind(2, lambda m: (m.key(), m.integer()), number),
    b"DECRBY": Kind(1, lambda m: (m.key(), m.integer()), number),
    b"APPEND": Kind(3, lambda m: (m.key(), m.value()), number),
    b"STRLEN": Kind(2, lambda m: (m.key(),), number),
    b"LPUSH": Kind(6, lambda m: (m.key(), *m.values()), number),
    b"RPUSH": Kind(6, lambda m: (m.key(), *m.values()), number),
    b"LPOP": Kind(4, lambda m: (m.key(), *m.count()), popped),
    b"RPOP": Kind(4, lambda m: (m.key(), *m.count()), popped),
    b"LLEN": Kind(2, lambda m: (m.key(),), number),
    b"LRANGE": Kind(4, lambda m: (m.key(), m.index(), m.index()), items),
    b"MGET": Kind(1, lambda m: tuple(m.key() for _ in range(4)), values),
    b"MSET": Kind(1, lambda m: m.pairs()),
    b"MSETNX": Kind(3, lambda m: m.pairs_of_a_slot(), number),
    b"LPUSHX": Kind(2, lambda m: (m.key(), *m.values()), number),
    b"RPUSHX": Kind(2, lambda m: (m.key(), *m.values()), number),
    b"LINDEX": Kind(3, lambda m: (m.key(), m.place())),
    b"LSET": Kind(3, lambda m: (m.key(), m.place(), m.value())),
    b"LTRIM": Kind(1, lambda m: (m.key(), m.index(), m.index())),
    b"SETEX": Kind(1, lambda m: (m.key(), m.seconds(), m.value())),
    b"SETNX": Kind(2, lambda m: (m.key(), m.value()), number),
    b"GETSET": Kind(1, lambda m: (m.key(), m.value()), before),
    b"GETDEL": Kind(1, lambda m: (m.key(),)),
    b"GETEX": Kind(2, lambda m: (m.key(), *m.chance.choice(((b"EX", m.days()), (b"PERSIST",))))),
    b"GETRANGE": Kind(2, lambda m: (m.key(), m.index(), m.index())),
    b"SETRANGE": Kind(2, lambda m: (m.key(), b"%d" % m.chance.randint(-1, 99), m.value()), number),
    b"EXPIRE": Kind(4, lambda m: (m.key(), m.seconds(), *m.condition()), number),
    b"PERSIST": Kind(1, lambda m: (m.key(),), number),
    b"PTTL": Kind(3, lambda m: (m.key(),), near),
    b"PSETEX": Kind(1, lambda m: (m.key(), m.millis(), m.value())),
    b"PEXPIRE": Kind(1, lambda m: (m.key(), m.millis(), *m.condition()), number),
    b"EXPIREAT": Kind(1, lambda m: (m.key(), m.moment(), *m.condition()), number),
    b"PEXPIREAT": Kind(1, lambda m: (m.key(), m.moment() + b"000", *m.condition()), number),
    b"TTL": Kind(1, lambda m: (m.key(),), near),
    b"EXPIRETIME": Kind(1, lambda m: (m.key(),), near),
    b"PEXPIRETIME": Kind(1, lambda m: (m.key(),), near),
    b"LREM": Kind(3, lambda m: (m.key(), m.index(), m.value()), number),
    b"LINSERT": Kind(3, lambda m: (m.key(), m.side(), m.value(), m.value()), number),
    b"LPOS": Kind(3, lambda m: (m.key(), m.value(), *m.search()), found),
    b"LMOVE": Kind(3, lambda m: (*m.two_keys(), m.end(), m.end())),
    b"RPOPLPUSH": Kind(2, lambda m: m.two_keys()),
}
