"""A Watch of grpc.health.v1 that is read in a thread."""

import threading

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness.client import open_channel


class Watcher:
    """Reads every status that a Watch tells, and the code with which it ends."""

    def __init__(self, address: str, service: str = "", waits: bool = False):
        """`waits`: until the node accepts connections."""
        self._channel = open_channel(address)
        self.statuses: list[int] = []
        self.end: grpc.StatusCode | None = None
        self._call = health_pb2_grpc.HealthStub(self._channel).Watch(
            health_pb2.HealthCheckRequest(service=service), wait_for_ready=waits)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for response in self._call:
                self.statuses.append(response.status)
        except grpc.RpcError as error:
            self.end = error.code()

    def close(self) -> None:
        self._call.cancel()
        self._thread.join()
        self._channel.close()
