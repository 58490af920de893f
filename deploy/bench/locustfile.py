"""A load like an application's, for Locust (https://locust.io): users that read, write, count and
queue through a router. `deploy/bench/locust` runs it.

Each user checks what it is told: a value is one that was written, a counter that one user owns
grows by one, an element comes out of a queue at most once. A wrong reply counts as a failed
request, with what was wrong.
"""

import os
import random
import time
from collections.abc import Callable

import grpc
import grpc.experimental.gevent as grpc_gevent
from locust import User, between, events, task
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

grpc_gevent.init_gevent()

KEYS = 10_000
VALUE_BYTES = 64
QUEUES = 8
SECONDS = 10.0
# Queues of an earlier run must not be mistaken for this one's.
RUN = os.urandom(4).hex().encode()


class Wrong(Exception):
    """A reply that can't be right."""


class GrpcUser(User):
    """A user with a channel of its own, whose calls Locust counts."""

    abstract = True
    wait_time = between(0.001, 0.01)

    def on_start(self) -> None:
        # Without the option channels of one process share a connection.
        self._channel = grpc.insecure_channel(
            self.host or "127.0.0.1:50051", [("grpc.use_local_subchannel_pool", 1)]
        )
        self.store = keystore_pb2_grpc.KeyStoreStub(self._channel)

    def on_stop(self) -> None:
        self._channel.close()

    def call(self, name: str, request, check: Callable[[object], object] = lambda reply: None):
        """Makes a call, checks the reply and has Locust count it. Returns the reply, or None."""
        began, reply, failure = time.perf_counter(), None, None
        try:
            reply = getattr(self.store, name)(request, timeout=SECONDS)
            check(reply)
        except (grpc.RpcError, Wrong) as error:
            failure = error
        events.request.fire(
            request_type="gRPC",
            name=name,
            response_time=(time.perf_counter() - began) * 1_000,
            response_length=reply.ByteSize() if reply is not None else 0,
            exception=failure,
            context={},
        )
        return reply if failure is None else None


def key() -> bytes:
    return b"locust:%d" % random.randrange(KEYS)


def value_of(name: bytes) -> bytes:
    return (name + b"=").ljust(VALUE_BYTES, b".")


def check_value(name: bytes, value: pb.Value) -> None:
    if value.found and value.value != value_of(name):
        raise Wrong(f"the value of {name!r} is {value.value!r}")


class Reader(GrpcUser):
    weight = 6

    @task(5)
    def get(self) -> None:
        name = key()
        self.call("Get", pb.Key(key=name), lambda value: check_value(name, value))

    @task
    def many(self) -> None:
        names = [key() for _ in range(20)]

        def check(reply: pb.MGetResponse) -> None:
            for name, item in zip(names, reply.items, strict=True):
                if item.HasField("error"):
                    raise Wrong(f"{name!r}: {item.error.reason} {item.error.message}")
                check_value(name, item.value)

        self.call("MGet", pb.MGetRequest(keys=[pb.Key(key=name) for name in names]), check)


class Writer(GrpcUser):
    weight = 2

    @task(9)
    def set(self) -> None:
        name = key()
        self.call("Set", pb.KeyValue(key=name, value=value_of(name)))

    @task
    def delete(self) -> None:
        self.call("Delete", pb.Key(key=key()))


class Counter(GrpcUser):
    """Counts on a key of its own, so that it knows what comes next."""

    def on_start(self) -> None:
        super().on_start()
        self._key = b"locust:counter:%s:%s" % (RUN, os.urandom(8).hex().encode())
        self._count: int | None = 0

    @task
    def count(self) -> None:
        def check(reply: pb.IncrByResponse) -> None:
            if self._count is not None and reply.value != self._count + 1:
                raise Wrong(f"{reply.value} after {self._count}")

        reply = self.call("IncrBy", pb.IncrByRequest(key=self._key, delta=1), check)
        # After a failure it is not known whether the call took effect.
        self._count = reply.value if reply is not None else None


class Queue(GrpcUser):
    """Puts work into queues and takes work out of them."""

    taken: set[bytes] = set()

    @task
    def put(self) -> None:
        work = os.urandom(16)
        self.call("LPush", pb.ListInsert(key=self._queue(), values=[work]))

    @task
    def take(self) -> None:
        def check(work: pb.Value) -> None:
            if work.found and work.value in self.taken:
                raise Wrong("an element came out of a queue twice")
            if work.found:
                self.taken.add(work.value)

        self.call("RPop", pb.Key(key=self._queue()), check)

    def _queue(self) -> bytes:
        return b"locust:queue:%s:%d" % (RUN, random.randrange(QUEUES))
