"""One key as a sequential object: what each call does to it and what it replies.

Written from docs/PROTOCOL.md for plainness. A key holds None (nothing), bytes, or a tuple of bytes.
"""

from collections.abc import Callable

Held = None | bytes | tuple
Effect = tuple[Held, tuple]

INTEGER_MIN, INTEGER_MAX = -(1 << 63), (1 << 63) - 1
TYPES = {type(None): 0, bytes: 1, tuple: 2}

WRONG_TYPE = ("refused", "WRONG_TYPE")
NOT_AN_INTEGER = ("refused", "NOT_AN_INTEGER")
INTEGER_OVERFLOW = ("refused", "INTEGER_OVERFLOW")


def _set(held: Held, value: bytes) -> Effect:
    return value, ("ok",)


def _get(held: Held) -> Effect:
    return held, WRONG_TYPE if isinstance(held, tuple) else ("value", held)


def _delete(held: Held) -> Effect:
    return None, ("count", 0 if held is None else 1)


def _exists(held: Held) -> Effect:
    return held, ("count", 0 if held is None else 1)


def _type(held: Held) -> Effect:
    return held, ("type", TYPES[type(held)])


def _incr(held: Held, delta: int) -> Effect:
    if isinstance(held, tuple):
        return held, WRONG_TYPE
    text = b"0" if held is None else held
    try:
        number = int(text)
    except ValueError:
        return held, NOT_AN_INTEGER
    if b"%d" % number != text or not INTEGER_MIN <= number <= INTEGER_MAX:
        return held, NOT_AN_INTEGER
    if not INTEGER_MIN <= number + delta <= INTEGER_MAX:
        return held, INTEGER_OVERFLOW
    return b"%d" % (number + delta), ("integer", number + delta)


def _push(held: Held, add: Callable[[tuple], tuple]) -> Effect:
    if isinstance(held, bytes):
        return held, WRONG_TYPE
    longer = add(held or ())
    return longer or None, ("count", len(longer))


def _pop(held: Held, at: int) -> Effect:
    if isinstance(held, bytes):
        return held, WRONG_TYPE
    if held is None:
        return None, ("value", None)
    rest = held[1:] if at == 0 else held[:-1]
    return rest or None, ("value", held[at])


def _llen(held: Held) -> Effect:
    return held, WRONG_TYPE if isinstance(held, bytes) else ("count", len(held or ()))


def _lrange(held: Held, start: int, stop: int) -> Effect:
    if isinstance(held, bytes):
        return held, WRONG_TYPE
    values = held or ()
    first = max(0, start + len(values) if start < 0 else start)
    last = min(len(values) - 1, stop + len(values) if stop < 0 else stop)
    return held, ("list", values[first : last + 1] if first <= last else (), len(values))


CALLS: dict[str, Callable[..., Effect]] = {
    "SET": _set,
    "GET": _get,
    "DELETE": _delete,
    "EXISTS": _exists,
    "TYPE": _type,
    "INCRBY": _incr,
    "LPUSH": lambda held, *values: _push(held, lambda old: values[::-1] + old),
    "RPUSH": lambda held, *values: _push(held, lambda old: old + values),
    "LPOP": lambda held: _pop(held, 0),
    "RPOP": lambda held: _pop(held, -1),
    "LLEN": _llen,
    "LRANGE": _lrange,
    "WIPE": lambda held: (None, ("ok",)),
}


def apply(held: Held, call: str, arguments: tuple) -> Effect:
    """What the key holds after the call, and the call's reply."""
    return CALLS[call](held, *arguments)
