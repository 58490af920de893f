"""Calls of another client while a test does something to its nodes."""

import threading
from contextlib import contextmanager

import grpc
from harness.client import Client


@contextmanager
def calls_meanwhile(client: Client, key: bytes):
    """Another client's calls, all of which must succeed."""
    is_over = threading.Event()
    failures: list[Exception] = []
    done: list[int] = []

    def run() -> None:
        while not is_over.is_set():
            try:
                client.exists(key)
                done.append(1)
            except grpc.RpcError as error:
                failures.append(error)

    caller = threading.Thread(target=run)
    caller.start()
    try:
        yield
    finally:
        is_over.set()
        caller.join()
    assert not failures, failures[0]
    assert done
