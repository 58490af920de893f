"""Writes what the clients of the benchmarks send, to standard output.

    bodies.py get|set  --count N [--first I] [--among K] [--value BYTES [--value-max BYTES]]
                       [--expire-at UNIX_MILLIS [--over MILLIS]] [--batch B] [--resp]
    bodies.py delete   --count N [--first I] [--keep-every K] [--batch B] [--resp]
    bodies.py push     --count N --element BYTES [--lists L] [--batch B] [--resp]
    bodies.py call     MESSAGE [FIELD=VALUE]...
    bodies.py prefix get|set [--value BYTES]

get and set: Gets or Sets of N keys, key:000000000000 and so on from number I; with --among, N keys
drawn from the first K, always the same ones. With --value-max, values have from --value to that
many bytes, as many between 8 and 16 as between 1024 and 2048. With --expire-at, keys expire at that
time or up to MILLIS later. delete: Deletes of such keys, leaving out one in K. push: RPushes of N
elements in all, dealt out to L lists, list:000000000000 and so on. As gRPC-framed CallBatch messages of B calls, whose ids count
from 1; with --resp as Redis commands, for redis-cli --pipe. A push has at most 1000 elements.

call: one framed request, a MESSAGE of keystore.proto. A VALUE that looks like a number is one, @N
stands for N bytes, any other text for itself; a.b=VALUE sets field b of the message in field a.

prefix: what the response of each such Get or Set begins with.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator

from harness.raw_http2 import message
from ringstore.v1 import keystore_pb2 as pb

SEED = 1
ELEMENTS_OF_A_PUSH = 1000

# A command for either side: the method's number, the request, and the same for Redis.
Command = tuple[int, bytes, list[bytes]]


def value(size: int) -> bytes:
    return b"v" * size


def numbers(arguments: argparse.Namespace) -> Iterable[int]:
    if not arguments.among:
        return range(arguments.first, arguments.first + arguments.count)
    draw = random.Random(SEED)
    return (draw.randrange(arguments.among) for _ in range(arguments.count))


def gets(arguments: argparse.Namespace) -> Iterator[Command]:
    for number in numbers(arguments):
        key = b"key:%012d" % number
        request = pb.Key(key=key, database=arguments.database)
        yield pb.METHOD_GET, request.SerializeToString(), [b"GET", key]


def sets(arguments: argparse.Namespace) -> Iterator[Command]:
    # Another one for each portion of keys.
    draw = random.Random(SEED + arguments.first)
    least, most = arguments.value, arguments.value_max or arguments.value
    held = value(most)
    for number in numbers(arguments):
        key = b"key:%012d" % number
        size = least if least == most else round(least * (most / least) ** draw.random())
        request = pb.KeyValue(key=key, value=held[:size], database=arguments.database)
        words = [b"SET", key, held[:size]]
        if arguments.expire_at:
            due = arguments.expire_at + draw.randrange(arguments.over)
            request.expire_at_unix_millis = due
            words += [b"PXAT", b"%d" % due]
        yield pb.METHOD_SET, request.SerializeToString(), words


def deletes(arguments: argparse.Namespace) -> Iterator[Command]:
    for number in numbers(arguments):
        if arguments.keep_every and number % arguments.keep_every == 0:
            continue
        key = b"key:%012d" % number
        request = pb.Key(key=key, database=arguments.database)
        yield pb.METHOD_DELETE, request.SerializeToString(), [b"DEL", key]


def pushes(arguments: argparse.Namespace) -> Iterator[Command]:
    each = arguments.count // arguments.lists
    for number in range(arguments.lists):
        key = b"list:%012d" % number
        for first in range(0, each, ELEMENTS_OF_A_PUSH):
            last = min(each, first + ELEMENTS_OF_A_PUSH)
            values = [b"%0*d" % (arguments.element, index) for index in range(first, last)]
            request = pb.ListInsert(key=key, values=values, database=arguments.database)
            yield pb.METHOD_R_PUSH, request.SerializeToString(), [b"RPUSH", key, *values]


def framed(commands: Iterator[Command], batch: int) -> Iterator[bytes]:
    calls: list[pb.Call] = []
    for number, (method, request, _) in enumerate(commands, 1):
        calls.append(pb.Call(id=number, method=method, request=request))
        if len(calls) == batch:
            yield message(pb.CallBatch(calls=calls).SerializeToString())
            calls.clear()
    if calls:
        yield message(pb.CallBatch(calls=calls).SerializeToString())


def resp(commands: Iterator[Command]) -> Iterator[bytes]:
    for _, _, words in commands:
        lines = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        yield b"*%d\r\n%b" % (len(words), lines)


def field(text: str) -> int | bytes:
    if text.startswith("@"):
        return value(int(text[1:]))
    return int(text) if text.removeprefix("-").isdigit() else text.encode()


def request(arguments: argparse.Namespace) -> bytes:
    fields: dict[str, object] = {}
    for pair in arguments.fields:
        name, _, text = pair.partition("=")
        outer, _, inner = name.partition(".")
        fields[outer] = {inner: field(text)} if inner else field(text)
    return message(getattr(pb, arguments.message)(**fields).SerializeToString())


def prefix(arguments: argparse.Namespace) -> bytes:
    if arguments.of == "set":
        return pb.Status(ok=True).SerializeToString()
    return pb.Value(value=value(arguments.value), found=True).SerializeToString()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("get", "set", "delete", "push"):
        one = kinds.add_parser(kind)
        one.add_argument("--count", type=int, required=True)
        one.add_argument("--first", type=int, default=0)
        one.add_argument("--among", type=int, default=0)
        one.add_argument("--value", type=int, default=64)
        one.add_argument("--value-max", type=int, default=0)
        one.add_argument("--expire-at", type=int, default=0)
        one.add_argument("--over", type=int, default=1)
        one.add_argument("--keep-every", type=int, default=0)
        one.add_argument("--lists", type=int, default=1)
        one.add_argument("--element", type=int, default=10)
        one.add_argument("--batch", type=int, default=100)
        one.add_argument("--database", type=int, default=0)
        one.add_argument("--resp", action="store_true")
    one = kinds.add_parser("call")
    one.add_argument("message")
    one.add_argument("fields", nargs="*")
    one = kinds.add_parser("prefix")
    one.add_argument("of", choices=("get", "set"))
    one.add_argument("--value", type=int, default=64)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    out = sys.stdout.buffer
    if arguments.kind == "call":
        out.write(request(arguments))
    elif arguments.kind == "prefix":
        out.write(prefix(arguments))
    else:
        kinds = {"get": gets, "set": sets, "delete": deletes, "push": pushes}
        made = kinds[arguments.kind](arguments)
        out.writelines(resp(made) if arguments.resp else framed(made, arguments.batch))


if __name__ == "__main__":
    main()
