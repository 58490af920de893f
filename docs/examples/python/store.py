"""The common parts of the examples: a channel, and the handling of errors.

Copy it, and change what you need. It takes grpcio, grpcio-status and the generated stubs.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from ringstore.v1 import keystore_pb2_grpc

# A reply may be as long as the node's max_message_bytes, by default 4 MiB, and grpcio refuses
# longer ones by default. Use the cluster's setting.
MESSAGE_BYTES_MAX = int(os.environ.get("RINGSTORE_MAX_MESSAGE_BYTES", 4 << 20))

OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX + 1024),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX + 1024),
    # No call is sent again automatically: see `repeated` below.
    ("grpc.enable_retries", 0),
    # A router that has vanished is detected while a call waits, after six minutes. A node closes
    # the connection of a client that pings more often than its min_ping_seconds, by default 300:
    # lower that first if you need less.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

Reply = TypeVar("Reply")


def connect() -> keystore_pb2_grpc.KeyStoreStub:
    """A stub for a router (or a shard on its own), whose address is the program's argument. Share
    it: it may be used by many threads."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} HOST:PORT")
    return keystore_pb2_grpc.KeyStoreStub(channel(sys.argv[1]))


def channel(address: str) -> grpc.Channel:
    """Encrypted if the environment names a file with the authority's certificates, or a token."""
    authority = os.environ.get("RINGSTORE_CLIENT_TLS_CA")
    token = os.environ.get("RINGSTORE_TOKEN")
    if not authority and not token:
        return grpc.insecure_channel(address, options=OPTIONS)
    # Without a file, the authorities that the machine trusts.
    roots = Path(authority).read_bytes() if authority else None
    credentials = grpc.ssl_channel_credentials(roots)
    if token:
        # Sent with each call. grpcio sends it over TLS only.
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.access_token_call_credentials(token))
    return grpc.secure_channel(address, credentials, options=OPTIONS)


class Failure:
    """The error of a call. The code is its kind, the reason its exact cause."""

    def __init__(self, error: grpc.RpcError):
        self.code: grpc.StatusCode = error.code()
        self.reason = ""
        self.retry_seconds = 0.0
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                self.reason = info.reason
            elif detail.Unpack(retry):
                self.retry_seconds = retry.retry_delay.ToMicroseconds() / 1e6

    @property
    def did_not_happen(self) -> bool:
        """Whether a write that failed this way has surely changed nothing."""
        return bool(self.reason) and self.reason != "OUTCOME_UNKNOWN"

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def repeated(call: Callable[[], Reply], *, idempotent: bool, seconds: float = 10.0) -> Reply:
    """Makes a call again, while that is safe, until it succeeds or the time has passed.

    A call that is idempotent may be repeated although it may have been executed: a read, or a write
    that does the same once and twice. Any other write is repeated only if it certainly was not
    executed: if the outcome is unknown, the caller must read before it decides.
    """
    end = time.monotonic() + seconds
    pause = 0.05
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            failure = Failure(error)
            safe = idempotent or failure.did_not_happen
            if not (safe and failure.may_pass) or time.monotonic() + pause > end:
                raise
            # Many clients that fail at once should not come back at once.
            time.sleep(max(failure.retry_seconds, pause * random.uniform(0.8, 1.2)))
            pause = min(pause * 2, 1.0)
