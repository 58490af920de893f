"""The checker of histories finds what is planted, and accepts what a plain key would do."""

import random

import pytest
from harness import model
from harness.history import (
    FAILED,
    REFUSED,
    REPLIED,
    UNKNOWN,
    History,
    Operation,
    compact,
    padded,
    wipe,
)
from harness.linearizability import Violation, check, check_key
from harness.seeds import seed

KEY = b"k"


def done(begin: int, end: int, call: str, *arguments, reply: tuple, version: int = 0, **more):
    kind = REFUSED if reply[0] == "refused" else REPLIED
    return Operation("c", KEY, call, arguments, begin, end, kind, reply, version, **more)


def written(begin: int, end: int, value: bytes, version: int = 0, **more) -> Operation:
    return done(begin, end, "SET", value, reply=("ok",), version=version, **more)


def read(begin: int, end: int, value: bytes | None, version: int = 0, **more) -> Operation:
    return done(begin, end, "GET", reply=("value", value), version=version, **more)


def pushed(begin: int, end: int, value: bytes, count: int, **more) -> Operation:
    return done(begin, end, "RPUSH", value, reply=("count", count), **more)


def popped(begin: int, end: int, value: bytes | None, call: str = "LPOP", **more) -> Operation:
    return done(begin, end, call, reply=("value", value), **more)


def counted(begin: int, end: int, value: int, **more) -> Operation:
    return done(begin, end, "INCRBY", 1, reply=("integer", value), **more)


def unknown(begin: int, call: str, *arguments, **more) -> Operation:
    return Operation("c", KEY, call, arguments, begin, begin + 1, UNKNOWN, **more)


def failed(begin: int, call: str, *arguments) -> Operation:
    return Operation("c", KEY, call, arguments, begin, begin + 1, FAILED)


LINEARIZABLE = {
    "nothing": [],
    "one after another": [written(0, 1, b"a"), read(2, 3, b"a"), written(4, 5, b"b")],
    "a read beside a write may see either": [
        written(0, 1, b"a"), written(2, 9, b"b"), read(3, 4, b"a"), read(5, 6, b"b"),
    ],
    "writes beside each other take either order": [
        written(0, 9, b"a"), written(0, 9, b"b"), read(10, 11, b"a"),
    ],
    "an unknown write that happened late": [
        written(0, 1, b"a"), unknown(2, "SET", b"b"), read(5, 6, b"a"), read(7, 8, b"b"),
    ],
    "an unknown write that never happened": [
        written(0, 1, b"a"), unknown(2, "SET", b"b"), read(5, 6, b"a"),
    ],
    "a failed write": [written(0, 1, b"a"), failed(2, "SET", b"b"), read(5, 6, b"a")],
    "a shard that lost its memory": [
        written(0, 1, b"a", 7), wipe(KEY, 2, 5), read(3, 4, None), written(6, 7, b"b", 1),
    ],
    "lists": [
        pushed(0, 1, b"1", 1), pushed(2, 3, b"2", 2), popped(4, 5, b"1"), popped(6, 7, b"2"),
        popped(8, 9, None),
    ],
    "a wrong type at the right time": [
        pushed(0, 1, b"1", 1), done(2, 3, "GET", reply=("refused", "WRONG_TYPE")),
    ],
    "a range": [
        pushed(0, 1, b"1", 1), pushed(2, 3, b"2", 2),
        done(4, 5, "LRANGE", -1, 9, reply=("list", (b"2",), 2)),
    ],
    "a stream's calls in their order": [
        written(0, 9, b"a", stream="s", position=1), written(0, 9, b"b", stream="s", position=2),
        read(10, 11, b"b"),
    ],
}

VIOLATIONS = {
    "a stale read": [written(0, 1, b"a"), written(2, 3, b"b"), read(4, 5, b"a")],
    "a value that was never written": [written(0, 1, b"a"), read(2, 3, b"x")],
    "reads that go back": [
        written(0, 1, b"a"), written(2, 9, b"b"), read(3, 4, b"b"), read(5, 6, b"a"),
    ],
    "a lost update": [counted(0, 1, 1), counted(2, 3, 2), counted(4, 5, 2)],
    "a lost write": [written(0, 1, b"a"), read(2, 3, None)],
    "an increment that was done twice": [counted(0, 1, 1), read(2, 3, b"2")],
    "a push that was done twice": [
        pushed(0, 1, b"1", 1), popped(2, 3, b"1"), popped(4, 5, b"1"),
    ],
    "an unknown push that happened twice": [
        unknown(0, "RPUSH", b"1"), popped(2, 3, b"1"), popped(4, 5, b"1"),
    ],
    "a failed write that happened": [failed(0, "SET", b"a"), read(2, 3, b"a")],
    "a refused call that happened": [
        pushed(0, 1, b"1", 1), done(2, 3, "INCRBY", 1, reply=("refused", "WRONG_TYPE")),
        read(4, 5, b"1"),
    ],
    "pops in the wrong order": [
        pushed(0, 1, b"1", 1), pushed(2, 3, b"2", 2), popped(4, 5, b"2"),
    ],
    "a lost element": [
        pushed(0, 1, b"1", 1), pushed(2, 3, b"2", 2), popped(4, 5, b"1"), popped(6, 7, None),
    ],
    "an element popped by two": [pushed(0, 1, b"1", 1), popped(2, 9, b"1"), popped(2, 9, b"1")],
    "a range of two states": [
        pushed(0, 1, b"1", 1), popped(2, 3, b"1"), pushed(4, 5, b"2", 1),
        done(6, 7, "LRANGE", 0, -1, reply=("list", (b"1", b"2"), 2)),
    ],
    "memory that came back": [
        written(0, 1, b"a"), wipe(KEY, 2, 3), read(4, 5, None), read(6, 7, b"a"),
    ],
    "memory that was not lost": [written(0, 1, b"a"), wipe(KEY, 2, 3), read(4, 5, b"a")],
    "a stream out of order": [
        written(0, 9, b"a", stream="s", position=1), written(0, 9, b"b", stream="s", position=2),
        read(10, 11, b"a"),
    ],
    "a later call of a stream that ran while an earlier one came after": [
        unknown(0, "SET", b"a", stream="s", position=1),
        written(0, 9, b"b", stream="s", position=2), read(10, 11, b"a"),
    ],
    "versions against the order": [written(0, 1, b"a", 2), written(2, 3, b"b", 1)],
    "one version twice": [written(0, 1, b"a", 1), written(2, 3, b"b", 1)],
    "a read with another write's version": [
        written(0, 1, b"a", 1), written(2, 3, b"b", 2), read(4, 5, b"b", 1),
    ],
    "a torn value": [written(0, 1, compact(padded(b"a", 9))), read(2, 3, compact(b"a..b..."))],
}


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_what_one_order_explains_is_accepted(name):
    check_key(LINEARIZABLE[name])


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_no_order_explains_is_found(name):
    with pytest.raises(Violation):
        check_key(VIOLATIONS[name])


def run_of_a_plain_key(
    source: random.Random, clients: int, calls: int, doubt: float
) -> list[Operation]:
    """A history with `clients` calls at a time; of a share of them the outcome is unknown."""
    held, version, clock = None, 0, 0
    open_calls: list[Operation] = []
    history: list[Operation] = []
    choices = {
        "SET": lambda: (b"%d" % source.randrange(9),), "GET": tuple, "DELETE": tuple,
        "INCRBY": lambda: (1,), "RPUSH": lambda: (b"%d" % clock,), "LPOP": tuple, "RPOP": tuple,
        "LLEN": tuple,
    }
    while len(history) < calls or open_calls:
        clock += 1
        if len(history) < calls and len(open_calls) < clients and source.random() < 0.6:
            call = source.choice(list(choices))
            one = Operation(f"c{len(history)}", KEY, call, choices[call](), clock)
            history.append(one)
            open_calls.append(one)
        elif open_calls:
            one = open_calls.pop(source.randrange(len(open_calls)))
            before = held
            held, one.reply = model.apply(held, one.call, one.arguments)
            if before is not held or (one.call == "SET" and one.reply == ("ok",)):
                version += 1
                one.version = version
            clock += 1
            one.returned = clock
            one.kind = REFUSED if one.reply[0] == "refused" else REPLIED
            if source.random() < doubt:
                one.kind, one.version, one.reply = UNKNOWN, 0, ()
    return history


@pytest.mark.parametrize("round_number", range(20))
def test_runs_of_a_plain_key_are_accepted(round_number):
    source = random.Random(seed() + round_number)
    history = run_of_a_plain_key(source, source.randint(1, 16), 300, 0.05)
    check_key(history)


@pytest.mark.parametrize("round_number", range(20))
def test_one_reply_changed_in_a_run_is_found(round_number):
    source = random.Random(seed() + round_number)
    history = run_of_a_plain_key(source, 6, 150, 0.01)
    told = [one for one in history if one.kind == REPLIED and one.call in ("LLEN", "LPOP", "RPOP")]
    liar = source.choice(told)
    liar.reply = ("count", -1) if liar.call == "LLEN" else ("value", b"invented")
    with pytest.raises(Violation):
        check_key(history)


def test_every_key_is_checked_for_itself_and_the_bad_one_is_named():
    good = [written(0, 1, b"a"), read(2, 3, b"a")]
    bad = [Operation("c", b"bad", "GET", (), 0, 1, REPLIED, ("value", b"x"))]
    assert check(History(good)) == 1
    with pytest.raises(Violation, match="bad"):
        check(History(good + bad))


def test_padded_values_are_known_again():
    assert compact(padded(b"name", 10)) == b"name~10"
    assert compact(b"name") == b"name"
    assert compact(b"one..two..").startswith(b"TORN")
