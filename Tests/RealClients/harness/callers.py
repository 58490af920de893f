"""Making one call as a user would, with grpcio or `ringstore cli`, and reading what it told."""

import subprocess

import grpc
from google.rpc import error_details_pb2, status_pb2
from harness.client import explain, open_channel
from harness.history import FAILED, READS, REFUSED, REPLIED, UNKNOWN, Operation, compact, now
from harness.legacy import key_store
from harness.process import binary, clean_environment
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

# Reasons that tell what the key held.
OBSERVATIONS = frozenset({"WRONG_TYPE", "NOT_AN_INTEGER", "INTEGER_OVERFLOW"})
# Refusals after which nothing has happened.
NOT_DONE = frozenset({"SHARD_UNAVAILABLE", "OVERLOADED"})
# What grpcio and our client say of a call that never left them.
NEVER_SENT = ("failed to connect to all addresses", "Could not connect to ringstore")
# Codes without a reason that leave a call's outcome open.
OPEN_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})

# Names of gRPC's codes by number.
CODES = {code.value[0]: code.name for code in grpc.StatusCode}

METHODS = {
    "SET": "Set", "GET": "Get", "DELETE": "Delete", "EXISTS": "Exists", "TYPE": "Type",
    "INCRBY": "IncrBy", "LPUSH": "LPush", "RPUSH": "RPush", "LPOP": "LPop", "RPOP": "RPop",
    "LLEN": "LLen", "LRANGE": "LRange",
}
NUMBERS = {
    "SET": pb.METHOD_SET, "GET": pb.METHOD_GET, "DELETE": pb.METHOD_DELETE,
    "EXISTS": pb.METHOD_EXISTS, "TYPE": pb.METHOD_TYPE, "INCRBY": pb.METHOD_INCR_BY,
    "LPUSH": pb.METHOD_L_PUSH, "RPUSH": pb.METHOD_R_PUSH, "LPOP": pb.METHOD_L_POP,
    "RPOP": pb.METHOD_R_POP, "LLEN": pb.METHOD_L_LEN, "LRANGE": pb.METHOD_L_RANGE,
}
REPLIES = {
    "SET": pb.Status, "GET": pb.Value, "DELETE": pb.Status, "EXISTS": pb.Status,
    "TYPE": pb.TypeResponse, "INCRBY": pb.IncrByResponse, "LPUSH": pb.Status, "RPUSH": pb.Status,
    "LPOP": pb.Value, "RPOP": pb.Value, "LLEN": pb.Status, "LRANGE": pb.ListValues,
}


def request(call: str, key: bytes, arguments: tuple):
    """The request message of a call."""
    if call == "SET":
        return pb.KeyValue(key=key, value=arguments[0])
    if call == "INCRBY":
        return pb.IncrByRequest(key=key, delta=arguments[0])
    if call in ("LPUSH", "RPUSH"):
        return pb.ListInsert(key=key, values=arguments)
    if call == "LRANGE":
        return pb.ListRange(key=key, start=arguments[0], stop=arguments[1])
    if call == "DELETE":
        return pb.DeleteRequest(key=key)
    return pb.Key(key=key)


def short(arguments: tuple) -> tuple:
    """Arguments as a history holds them."""
    return tuple(compact(one) if isinstance(one, bytes) else one for one in arguments)


def take_reply(operation: Operation, reply) -> None:
    """Writes down a reply message."""
    call = operation.call
    operation.kind = REPLIED
    operation.version = getattr(reply, "version", 0)
    if call == "SET":
        operation.reply = ("ok",)
    elif call in ("GET", "LPOP", "RPOP"):
        operation.reply = ("value", compact(reply.value) if reply.found else None)
    elif call == "INCRBY":
        operation.reply = ("integer", reply.value)
    elif call == "TYPE":
        operation.reply = ("type", reply.type)
    elif call == "LRANGE":
        operation.reply = ("list", tuple(compact(one) for one in reply.values), reply.length)
    else:
        operation.reply = ("count", reply.count)


def take_error(operation: Operation, code: str, reason: str, sentence: str = "") -> None:
    """Writes down a failure: what it says about the call is docs/CONSISTENCY.md's table."""
    operation.error = (code, reason)
    if reason in OBSERVATIONS:
        operation.kind, operation.reply = REFUSED, ("refused", reason)
    elif reason in NOT_DONE or operation.call in READS or sentence.startswith(NEVER_SENT):
        operation.kind = FAILED
    elif reason == "OUTCOME_UNKNOWN" or (not reason and code in OPEN_CODES):
        operation.kind = UNKNOWN
    else:
        operation.kind = FAILED


def reason_of(details: bytes) -> str:
    """The reason inside a google.rpc.Status as a Pipeline's reply carries it."""
    for detail in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


class UnaryCaller:
    """grpcio, a connection of its own."""

    def __init__(self, address: str, timeout: float):
        self.channel = open_channel(address)
        self.timeout = timeout
        stub = self._stub(self.channel)
        self._methods = {
            call: getattr(stub, method) for call, method in METHODS.items()
            if hasattr(stub, method)
        }
        grpc.channel_ready_future(self.channel).result(timeout=timeout)

    # What another service with the same calls has instead.
    _stub = staticmethod(keystore_pb2_grpc.KeyStoreStub)
    _request = staticmethod(request)
    _take = staticmethod(take_reply)

    def make(self, client: str, key: bytes, call: str, arguments: tuple) -> Operation:
        operation = Operation(client, key, call, short(arguments))
        message = self._request(call, key, arguments)
        operation.invoked = now()
        try:
            reply = self._methods[call](message, timeout=self.timeout)
            operation.returned = now()
            self._take(operation, reply)
        except grpc.RpcError as error:
            operation.returned = now()
            told = explain(error)
            take_error(operation, told.code.name, told.reason, told.message)
        return operation

    def close(self) -> None:
        self.channel.close()


class OlderCaller(UnaryCaller):
    """The legacy KeyStore service through grpcio. Its LRANGE reads whole lists."""

    _stub = staticmethod(key_store.stub)
    _request = staticmethod(key_store.request)

    @staticmethod
    def _take(operation: Operation, reply) -> None:
        call = operation.call
        operation.kind = REPLIED
        if call == "SET":
            assert reply.result == "OK", reply
            operation.reply = ("ok",)
        elif call in ("GET", "LPOP"):
            text = key_store.value(reply)
            operation.reply = ("value", None if text is None else compact(text.encode()))
        elif call == "LRANGE":
            values = tuple(compact(one.encode()) for one in reply.data)
            operation.reply = ("list", values, len(values))
        else:
            operation.reply = ("count", key_store.count(reply))


class CliCaller:
    """`ringstore cli`, a process for each call: our Swift client as users have it."""

    def __init__(self, address: str, timeout: float):
        self._command = [binary(), "cli", "--server", address, "--timeout", str(timeout)]
        self._environment = clean_environment()

    def make(self, client: str, key: bytes, call: str, arguments: tuple) -> Operation:
        operation = Operation(client, key, call, short(arguments))
        words = [one if isinstance(one, bytes) else b"%d" % one for one in arguments]
        operation.invoked = now()
        ended = subprocess.run(
            [*self._command, call, key, *words], stdin=subprocess.DEVNULL, capture_output=True,
            env=self._environment, check=False,
        )
        operation.returned = now()
        if ended.returncode == 0:
            self._take(operation, ended.stdout.decode())
        else:
            self._take_error(operation, (ended.stdout + ended.stderr).decode())
        return operation

    @staticmethod
    def _take(operation: Operation, text: str) -> None:
        call, lines = operation.call, text.splitlines()
        operation.kind = REPLIED

        def value(line: str) -> bytes:
            assert line[0] == line[-1] == '"' and "\\" not in line, line
            return compact(line[1:-1].encode())

        if call == "SET":
            assert lines == ["OK"], text
            operation.reply = ("ok",)
        elif call in ("GET", "LPOP", "RPOP"):
            operation.reply = ("value", None if lines == ["(nil)"] else value(lines[0]))
        elif call == "TYPE":
            operation.reply = ("type", ["none", "string", "list"].index(lines[0]))
        elif call == "LRANGE":
            # The whole list, or its length would not be known.
            assert operation.arguments == (0, -1)
            got = () if lines == ["(empty array)"] else lines
            values = tuple(value(line.split(") ", 1)[1]) for line in got)
            operation.reply = ("list", values, len(values))
        else:
            word, number = lines[0].split(" ")
            assert word == "(integer)", text
            operation.reply = ("integer" if call == "INCRBY" else "count", int(number))

    @staticmethod
    def _take_error(operation: Operation, text: str) -> None:
        """`(error) WRONG_TYPE: The key ...`, or `(error) UNAVAILABLE: ...` without a reason."""
        if text.startswith(NEVER_SENT):
            take_error(operation, "UNAVAILABLE", "", text)
            return
        _, _, told = text.partition("(error) ")
        word = told.split(maxsplit=1)[0].rstrip(":") if told else text
        is_code = word in grpc.StatusCode.__members__
        take_error(operation, word if is_code else "", "" if is_code else word)

    def close(self) -> None:
        pass
