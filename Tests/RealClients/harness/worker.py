"""One client process among many: `python -m harness.worker ADDRESS JOB NUMBER ROUNDS`.

Says "ready" once it is connected, starts at the first line on stdin, so that all begin together,
and prints what it saw as one line of JSON.
"""

import json
import sys

import grpc
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

TIMEOUT_SECONDS = 30.0


def count(stub, number: int, rounds: int) -> list:
    """Counts up shared keys; gives the values that it saw, by key."""
    seen = []
    for turn in range(rounds):
        key = b"counter-%d" % ((turn + number) % 4)
        reply = stub.IncrBy(pb.IncrByRequest(key=key, delta=1), timeout=TIMEOUT_SECONDS)
        seen.append([key.decode(), reply.value])
    return seen


def push(stub, number: int, rounds: int) -> list:
    """Pushes numbered elements to shared lists."""
    for turn in range(rounds):
        values = [b"%d:%d" % (number, turn)]
        request = pb.ListInsert(key=b"list-%d" % (turn % 3), values=values)
        stub.RPush(request, timeout=TIMEOUT_SECONDS)
    return []


def pop(stub, number: int, rounds: int) -> list:
    """Pops from either end of the shared lists; gives the elements that it got."""
    got = []
    for turn in range(rounds):
        method = stub.LPop if (turn + number) % 2 else stub.RPop
        reply = method(pb.Key(key=b"list-%d" % (turn % 3)), timeout=TIMEOUT_SECONDS)
        if reply.found:
            got.append(reply.value.decode())
    return got


def overwrite(stub, number: int, rounds: int) -> list:
    """Sets shared keys and reads them back; a value must be one that somebody wrote, whole."""
    torn = []
    for turn in range(rounds):
        key = b"shared-%d" % (turn % 5)
        value = b"%02d" % number * (1 + turn * 37 % 3000)
        stub.Set(pb.KeyValue(key=key, value=value), timeout=TIMEOUT_SECONDS)
        read = stub.Get(pb.Key(key=key), timeout=TIMEOUT_SECONDS).value
        if read != read[:2] * (len(read) // 2) or not read:
            torn.append(read[:40].decode(errors="replace"))
    return torn


def main() -> None:
    address, job, number, rounds = sys.argv[1:]
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    grpc.channel_ready_future(channel).result(timeout=TIMEOUT_SECONDS)
    print("ready", flush=True)
    sys.stdin.readline()
    stub = keystore_pb2_grpc.KeyStoreStub(channel)
    jobs = {"count": count, "push": push, "pop": pop, "overwrite": overwrite}
    print(json.dumps(jobs[job](stub, int(number), int(rounds))), flush=True)
    channel.close()


if __name__ == "__main__":
    main()
