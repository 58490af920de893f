"""A server in front of a node that passes calls on, except those for which a test has planned
something else: an error before they are executed, the loss of their reply, or no end.

Its calls run on threads of their own.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from harness.client import ERROR_DOMAIN, TIMEOUT_SECONDS, open_channel

# More than calls that wait at the same time.
THREADS = 32


@dataclass
class Plan:
    """What happens to a call of a method, once: the call that `when` is true for, after `skip`
    others of which it is true as well. `when` gets the request; where the call is executed, the
    reply too, else None."""

    method: str
    reason: str
    is_executed: bool
    when: Callable[[bytes, bytes | None], bool]
    skip: int = 0
    # RetryInfo, if it isn't 0.
    retry_millis: int = 0
    is_done: bool = False


class Intermediary(grpc.GenericRpcHandler):
    """A context manager; `address` is where it listens."""

    def __init__(self, node: str):
        self._channel = open_channel(node, ("grpc.max_send_message_length", -1))
        self._lock = threading.Lock()
        self._plans: list[Plan] = []
        self._held: set[str] = set()
        self._is_over = threading.Event()
        # The calls that came, with their requests.
        self.seen: list[tuple[str, bytes]] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(THREADS))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> "Intermediary":
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.stop(None).wait()
        self._channel.close()

    # What is planned

    def refuses(
        self, method: str, reason: str = "SHARD_UNAVAILABLE", *, skip: int = 0, times: int = 1,
        retry_millis: int = 0,
    ) -> None:
        """The next calls end with this reason and are not executed."""
        for _ in range(times):
            self._plans.append(
                Plan(method, reason, False, lambda *_: True, skip, retry_millis))

    def loses_reply(
        self, method: str, when: Callable[[bytes, bytes | None], bool] = lambda *_: True, *,
        skip: int = 0,
    ) -> Plan:
        """The next such call is executed, and ends with OUTCOME_UNKNOWN."""
        plan = Plan(method, "OUTCOME_UNKNOWN", True, when, skip)
        self._plans.append(plan)
        return plan

    def breaks(self, method: str) -> None:
        """The next stream of this method ends with an error after its first message."""
        self._plans.append(Plan(method, "SHARD_UNAVAILABLE", True, lambda *_: True))

    def holds(self, method: str) -> None:
        """No call of this method is executed any more, and none ends."""
        self._held.add(method)

    def requests(self, method: str) -> list[bytes]:
        with self._lock:
            return [request for name, request in self.seen if name == method]

    # Calls

    def service(self, details):
        path = details.method
        name = path.rpartition("/")[2]
        if name == "Scan":
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._stream(path, name, request, context))
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._call(path, name, request, context))

    def _planned(self, method: str, request: bytes, reply: bytes | None) -> Plan | None:
        is_executed = reply is not None
        with self._lock:
            for plan in self._plans:
                if plan.is_done or (plan.method, plan.is_executed) != (method, is_executed):
                    continue
                if not plan.when(request, reply):
                    continue
                if plan.skip:
                    plan.skip -= 1
                    return None
                plan.is_done = True
                return plan
        return None

    def _arrives(self, method: str, request: bytes, context: grpc.ServicerContext) -> None:
        with self._lock:
            self.seen.append((method, request))
        if method in self._held:
            self._is_over.wait()
            context.abort(grpc.StatusCode.CANCELLED, "The test is over.")
        if plan := self._planned(method, request, None):
            abort(context, plan)

    def _call(self, path: str, method: str, request: bytes, context) -> bytes:
        self._arrives(method, request, context)
        try:
            reply = self._channel.unary_unary(path)(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            passed_on(context, error)
        if plan := self._planned(method, request, reply):
            abort(context, plan)
        return reply

    def _stream(self, path: str, method: str, request: bytes, context) -> Iterator[bytes]:
        self._arrives(method, request, context)
        try:
            for reply in self._channel.unary_stream(path)(request, timeout=TIMEOUT_SECONDS):
                yield reply
                if plan := self._planned(method, request, reply):
                    abort(context, plan)
        except grpc.RpcError as error:
            passed_on(context, error)


def abort(context: grpc.ServicerContext, plan: Plan) -> None:
    """Ends a call as a router does."""
    info = error_details_pb2.ErrorInfo(reason=plan.reason, domain=ERROR_DOMAIN)
    details = [any_pb2.Any()]
    details[0].Pack(info)
    if plan.retry_millis:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(plan.retry_millis)
        details.append(any_pb2.Any())
        details[1].Pack(retry)
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="Planned.", details=details)
    context.abort_with_status(rpc_status.to_status(status))


def passed_on(context: grpc.ServicerContext, error: grpc.RpcError) -> None:
    status = rpc_status.from_call(error)
    if status is None:
        context.abort(error.code(), error.details())
    context.abort_with_status(rpc_status.to_status(status))
