"""A queue whose workers wait for work, and that loses nothing when a worker crashes.

A job moves from the queue to its worker's own list in one step, and leaves that list when it is
done. Who finds jobs in the list of a worker that is gone moves them back. The braces put all of the
queue's lists into one slot: LMove is for lists of the same slot.
"""

import threading

import grpc
from ringstore.v1 import keystore_pb2 as pb
from store import Failure, connect, repeated

QUEUE = b"{jobs}"
WAIT_MILLIS = 1_000


def next_job(store, worker: bytes) -> bytes | None:
    """Waits for a job; None: none arrived in time, or it isn't known whether one was taken."""
    move = pb.ListMoveRequest(
        key=QUEUE, destination=QUEUE + worker, wait_millis=WAIT_MILLIS,
        **{"from": pb.LIST_END_HEAD}, to=pb.LIST_END_TAIL,
    )
    try:
        # The deadline is later than the end of the wait, so that the store ends the call, not the
        # client.
        reply = store.LMove(move, timeout=WAIT_MILLIS / 1000 + 5)
        return reply.value if reply.found else None
    except grpc.RpcError as error:
        if not Failure(error).may_pass:
            raise
        return None


def done(store, worker: bytes, job: bytes) -> None:
    remove = pb.ListRemoveRequest(key=QUEUE + worker, count=1, value=job)
    repeated(lambda: store.LRem(remove, timeout=5), idempotent=False)


def take_back(store, worker: bytes) -> int:
    """The unfinished jobs of a worker go to the head of the queue."""
    move = pb.ListMoveRequest(
        key=QUEUE + worker, destination=QUEUE, **{"from": pb.LIST_END_TAIL}, to=pb.LIST_END_HEAD)
    moved = 0
    # One move more is as good: all of them are moved.
    while repeated(lambda: store.LMove(move, timeout=5), idempotent=True).found:
        moved += 1
    return moved


store = connect()
finished = []


def work(name: bytes) -> None:
    job = None
    while job != b"stop":
        if job is None:
            # What a worker of this name left when it crashed, and what a call took whose reply
            # didn't arrive.
            take_back(store, name)
        job = next_job(store, name)
        if job is not None:
            if job != b"stop":
                finished.append(job)
            done(store, name, job)


workers = [threading.Thread(target=work, args=(b":worker-%d" % number,)) for number in range(3)]
for worker in workers:
    worker.start()
jobs = [b"job %d" % number for number in range(20)]
store.RPush(pb.ListInsert(key=QUEUE, values=jobs + [b"stop"] * len(workers)), timeout=5)
for worker in workers:
    worker.join()
print(sorted(finished) == sorted(jobs))
