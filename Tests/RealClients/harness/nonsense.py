"""Calls that must be refused, made among good ones: each has one right refusal and no effect.

They name the keys of the good load wherever they name a key, so that an effect would be seen.
"""

import random
import socket
import struct

import grpc
from harness.client import explain, open_channel
from harness.jobs import Job, Told
from ringstore.v1 import keystore_pb2 as pb

SERVICE = "/ringstore.v1.KeyStore/"
# Field 1000, varint 1: a field that no message has.
UNKNOWN_FIELD = b"\xc0\x3e\x01"
KEY_LIMIT = 65_536
ITEM_LIMIT = 10_000
MESSAGE_LIMIT = 4 << 20


def _bad_calls(key: bytes) -> list[tuple[int, str, bytes, tuple[str, str]]]:
    """(how often, method, message, what the refusal must say)."""
    write = pb.KeyValue(key=key, value=b"nonsense").SerializeToString()
    push = pb.ListInsert(key=key, values=[b"nonsense"]).SerializeToString()
    long_key = b"k" * (KEY_LIMIT + 1)
    many = pb.MDeleteRequest(keys=[pb.DeleteRequest(key=key)] * (ITEM_LIMIT + 1))
    invalid = "INVALID_ARGUMENT"
    unknown_field = ("UNIMPLEMENTED", "UNKNOWN_FIELD")
    return [
        (4, "Set", pb.KeyValue(value=b"v").SerializeToString(), (invalid, "INVALID_KEY")),
        (4, "Get", b"", (invalid, "INVALID_KEY")),
        (2, "LPush", pb.ListInsert(key=long_key).SerializeToString(), (invalid, "INVALID_KEY")),
        (2, "Get", pb.Key(key=long_key).SerializeToString(), (invalid, "INVALID_KEY")),
        (4, "Set", write + UNKNOWN_FIELD, unknown_field),
        (4, "RPush", push + UNKNOWN_FIELD, unknown_field),
        (4, "LPop", pb.Key(key=key).SerializeToString() + UNKNOWN_FIELD, unknown_field),
        (2, "Reset", pb.ResetRequest().SerializeToString() + UNKNOWN_FIELD, unknown_field),
        (4, "Set", write + pb.KeyValue(condition=9).SerializeToString(), unknown_field),
        (4, "Set", write + b"\x0a\xff", ("INTERNAL", "")),
        (4, "Delete", b"\xff" * 11, ("INTERNAL", "")),
        (4, "Set", write + b"\x18\x10", (invalid, "NO_SUCH_DATABASE")),
        (2, "Reset", b"\x08\x10", (invalid, "NO_SUCH_DATABASE")),
        (2, "Keys", pb.KeysRequest(pattern=pb.Pattern(regex=b"(")).SerializeToString(),
         (invalid, "BAD_PATTERN")),
        (4, "Sett", write, ("UNIMPLEMENTED", "")),
        (1, "MDelete", many.SerializeToString(), (invalid, "TOO_MANY_ITEMS")),
        (1, "Set", b"v" * (MESSAGE_LIMIT + 1), ("RESOURCE_EXHAUSTED", "")),
    ]


class Talker:
    """A client that says nothing right."""

    def __init__(self, job: Job, source: random.Random, bell):
        self.job, self.source, self.bell = job, source, bell
        self.keys = [key for keys, _ in job.groups for key in keys]
        self.channel = open_channel(job.address)
        grpc.channel_ready_future(self.channel).result(timeout=job.timeout)

    def run(self, told: Told) -> None:
        calls = {key: _bad_calls(key) for key in self.keys}
        try:
            while not self.bell.rings():
                if self.source.random() < 0.1:
                    self._break_a_connection()
                    told.counts["broken connection"] = told.counts.get("broken connection", 0) + 1
                elif self.source.random() < 0.1:
                    self._break_a_pipeline(told)
                else:
                    table = calls[self.source.choice(self.keys)]
                    self._call(*self.source.choices(table, [row[0] for row in table])[0][1:], told)
        finally:
            self.channel.close()

    def _call(self, method: str, message: bytes, wanted: tuple[str, str], told: Told) -> None:
        self._refused(
            lambda: self.channel.unary_unary(SERVICE + method)(message, timeout=self.job.timeout),
            f"{method} of {message[:40]!r}", wanted, told,
        )

    def _break_a_pipeline(self, told: Told) -> None:
        """One batch that is no message: none of its calls may run."""
        one = pb.Call(
            id=1, method=pb.METHOD_DELETE,
            request=pb.Key(key=self.source.choice(self.keys)).SerializeToString(),
        )
        batch = pb.CallBatch(calls=[one]).SerializeToString() + b"\x0a\xff"
        raw = self.channel.stream_stream(SERVICE + "Pipeline")
        self._refused(
            lambda: list(raw(iter([batch]), timeout=self.job.timeout)), "a broken batch",
            ("INTERNAL", ""), told,
        )

    def _refused(self, attempt, name: str, wanted: tuple[str, str], told: Told) -> None:
        try:
            attempt()
            told.complaints.append(f"{name} succeeded")
        except grpc.RpcError as error:
            refusal = explain(error)
            got = (refusal.code.name, refusal.reason)
            told.counts[got[1] or got[0]] = told.counts.get(got[1] or got[0], 0) + 1
            if got != wanted or not refusal.message:
                told.complaints.append(f"{name} was refused with {refusal}, not {wanted}")

    def _break_a_connection(self) -> None:
        """Bytes that are no HTTP/2, or the begin of a frame; then gone without a goodbye."""
        host, _, port = self.job.address.rpartition(":")
        with socket.create_connection((host, int(port)), self.job.timeout) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sendall(
                self.source.choice([
                    b"GET / HTTP/1.1\r\n\r\n",
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00",
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.source.randbytes(200),
                    self.source.randbytes(64),
                ])
            )
