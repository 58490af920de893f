"""Calls that are cancelled: cancels.py ADDRESS COUNT DATABASE. Half of them are pops that wait on a
shard, half are Gets that are cancelled at once; over 16 connections, at most 64 at a time on each.

Prints when they were in progress, as client/repeat.c does. Ends with status 1 if a link was lost, a
call ended in another way than by its cancellation or its reply, or a cancelled pop took a value.
"""

import sys
import time

import grpc
from ringstore.v1 import cluster_pb2, cluster_pb2_grpc, keystore_pb2, keystore_pb2_grpc

CONNECTIONS, AT_ONCE, KEYS = 16, 64, 16
WAIT_MILLIS = 600_000


def losses(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        stats = cluster_pb2_grpc.ClusterStub(channel).Stats(cluster_pb2.StatsRequest(), timeout=60)
    return sorted(
        f"{name} {value}" for name, value in stats.counters.items() if "reconnect" in name
    )


def ended(calls: list[grpc.Future]) -> None:
    for call in calls:
        call.cancel()
    for call in calls:
        # Both are waited for; a Get may have been faster than its cancellation.
        if call.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.OK):
            raise SystemExit(f"a cancelled call ended with {call.code()}: {call.details()}")


def main() -> None:
    address, count, database = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    stubs = [keystore_pb2_grpc.KeyStoreStub(channel) for channel in channels]
    before = losses(address)
    keys = [b"cancelled:%d" % number for number in range(KEYS)]
    begin, made = time.monotonic_ns(), 0
    while made < count:
        calls = []
        for stub in stubs:
            for number in range(AT_ONCE // 2):
                key = keys[number % KEYS]
                waiting = keystore_pb2.PopRequest(
                    key=key, database=database, wait_millis=WAIT_MILLIS
                )
                calls.append(stub.LPop.future(waiting, timeout=600))
                calls.append(
                    stub.Get.future(keystore_pb2.Key(key=key, database=database), timeout=600)
                )
        ended(calls)
        made += len(calls)
    print(begin, time.monotonic_ns(), "cancels", 0, made)
    for key in keys:
        push = keystore_pb2.ListInsert(key=key, values=[b"left"], database=database)
        stubs[0].RPush(push, timeout=60)
        length = stubs[0].LLen(keystore_pb2.Key(key=key, database=database), timeout=60)
        if length.count != 1:
            raise SystemExit(f"a cancelled pop took a value of {key!r}")
    if losses(address) != before:
        raise SystemExit("a link was lost")


if __name__ == "__main__":
    main()
