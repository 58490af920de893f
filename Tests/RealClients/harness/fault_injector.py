"""A KeyStore in Python with an injected fault, which the suite must find."""

import itertools
import threading
from collections import defaultdict
from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from harness import model
from harness.callers import METHODS, REPLIES
from ringstore.v1 import keystore_pb2 as pb

REQUESTS = {
    "SET": pb.KeyValue, "INCRBY": pb.IncrByRequest, "LPUSH": pb.ListInsert,
    "RPUSH": pb.ListInsert, "LRANGE": pb.ListRange,
}
CORRECT = "nothing"
FAULTS = (
    "stale read", "lost update", "double execution", "reordered pops", "element popped twice",
    "refused but done", "acknowledged but not done",
)
# It has its effect at every tenth opportunity.
CHANCES = 10


def arguments(call: str, message) -> tuple:
    if call == "SET":
        return (message.value,)
    if call == "INCRBY":
        return (message.delta,)
    if call in ("LPUSH", "RPUSH"):
        return tuple(message.values)
    return (message.start, message.stop) if call == "LRANGE" else ()


def reply(call: str, content: tuple):
    """The reply message with that content, without a version."""
    kind, *told = content
    if kind == "ok":
        return pb.Status(ok=True)
    if kind == "value":
        return pb.Value(found=told[0] is not None, value=told[0] or b"")
    if kind == "list":
        return pb.ListValues(values=told[0], found=bool(told[1]), length=told[1])
    field = {"integer": "value", "type": "type", "count": "count"}[kind]
    return REPLIES[call](**{field: told[0]})


class FaultInjector(grpc.GenericRpcHandler):
    """`with FaultInjector("stale read") as address: ...`"""

    def __init__(self, fault: str):
        self.fault = fault
        self.held: dict[bytes, model.Held] = {}
        # What each key held at times before.
        self.past: dict[bytes, list] = defaultdict(list)
        self.lock = threading.Lock()
        self.chances = itertools.count(1)
        self.calls = {f"/ringstore.v1.KeyStore/{path}": call for call, path in METHODS.items()}

    def service(self, details: grpc.HandlerCallDetails):
        call = self.calls.get(details.method)
        if call is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: self._serve(call, message, context),
            request_deserializer=REQUESTS.get(call, pb.Key).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _serve(self, call: str, message, context: grpc.ServicerContext):
        with self.lock:
            content = self._execute(message.key, call, arguments(call, message))
        if content[0] == "refused" or content is _OVERLOADED:
            context.abort_with_status(_status(content[1]))
        return reply(call, content)

    def _execute(self, key: bytes, call: str, given: tuple) -> tuple:
        before = self.held.get(key)
        effect = self._faulty(key, call, given)
        if effect is not None and next(self.chances) % CHANCES == 0:
            after, content = effect
        else:
            after, content = model.apply(before, call, given)
        if before != after:
            self.past[key] = [*self.past[key], before][-3:]
        self.held[key] = after
        return content

    def _faulty(self, key: bytes, call: str, given: tuple) -> model.Effect | None:
        """The state and the reply with the fault; None: it can have no effect here."""
        before = self.held.get(key)
        after, content = model.apply(before, call, given)
        changes = after != before
        several = isinstance(before, tuple) and len(before) > 1
        match self.fault:
            case "stale read" if call == "GET" and self.past[key]:
                return before, model.apply(self.past[key][0], call, given)[1]
            case "lost update" if call == "INCRBY" and changes:
                return before, content
            case "acknowledged but not done" if call in ("SET", "RPUSH") and changes:
                return before, content
            case "double execution" if call in ("INCRBY", "LPUSH", "RPUSH") and changes:
                return model.apply(after, call, given)[0], content
            case "reordered pops" if call == "LPOP" and several:
                return model.apply(before, "RPOP", ())
            case "element popped twice" if call in ("LPOP", "RPOP") and changes:
                return before, content
            case "refused but done" if call in ("SET", "INCRBY") and changes:
                return after, _OVERLOADED
        return None

    def __enter__(self) -> str:
        self.server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[self])
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        return f"127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self.server.stop(None).wait()


_OVERLOADED = ("overloaded", "OVERLOADED")


def _status(reason: str):
    """A refusal with its reason as our nodes send it."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="ringstore"))
    code = {
        "OVERLOADED": code_pb2.RESOURCE_EXHAUSTED, "INTEGER_OVERFLOW": code_pb2.OUT_OF_RANGE,
    }.get(reason, code_pb2.FAILED_PRECONDITION)
    return rpc_status.to_status(
        status_pb2.Status(code=code, message=f"refused: {reason}", details=[detail])
    )
