"""Many streams on one channel and many client processes at once, on every shape of server."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
from harness.client import CHANNEL_OPTIONS
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

STREAMS = 200
PROCESSES = 16
ROUNDS = 250
LIMIT_SECONDS = 90


async def _many_streams(address: str) -> None:
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)

        async def one(number: int) -> None:
            key, value = b"stream-%d" % number, b"%d" % number * (number + 1)
            for _ in range(10):
                await stub.Set(pb.KeyValue(key=key, value=value), timeout=LIMIT_SECONDS)
                reply = await stub.Get(pb.Key(key=key), timeout=LIMIT_SECONDS)
                assert reply.value == value
                missing = await stub.Get(pb.Key(key=key + b"x"), timeout=LIMIT_SECONDS)
                assert not missing.found

        await asyncio.gather(*(one(number) for number in range(STREAMS)))


def test_200_unary_streams_at_once_on_one_channel_get_their_own_answers(client):
    asyncio.run(_many_streams(client.address))
    assert client.size() == STREAMS


async def _many_pipelines(address: str) -> None:
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)
        # Nobody reads or writes on until every stream is open, so all are open at once.
        all_open = asyncio.Event()
        opened = 0

        async def one(number: int) -> None:
            nonlocal opened
            stream = stub.Pipeline(timeout=LIMIT_SECONDS)
            for turn in range(5):
                request = pb.IncrByRequest(key=b"own-%d" % number, delta=number)
                one_call = pb.Call(
                    id=turn, method=pb.METHOD_INCR_BY, request=request.SerializeToString()
                )
                await stream.write(pb.CallBatch(calls=[one_call]))
                reply = (await stream.read()).replies[0]
                assert reply.id == turn
                value = pb.IncrByResponse.FromString(reply.response).value
                assert value == number * (turn + 1)
                if turn == 0:
                    opened += 1
                    if opened == STREAMS:
                        all_open.set()
                    await all_open.wait()
            await stream.done_writing()
            assert await stream.read() == grpc.aio.EOF

        await asyncio.gather(*(one(number) for number in range(STREAMS)))


def test_200_pipelines_at_once_on_one_channel_get_their_own_answers(client):
    asyncio.run(_many_pipelines(client.address))


def in_processes(address: str, jobs: list[str], rounds: int = ROUNDS) -> list[list]:
    """Runs the jobs of harness/worker.py, a process each, and gives what each one saw."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "harness.worker", address, job, str(number), str(rounds)],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, job in enumerate(jobs)
    ]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [json.loads(worker.communicate(timeout=LIMIT_SECONDS)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_16_processes_count_together_and_the_sums_are_exact(client):
    seen = in_processes(client.address, ["count"] * PROCESSES)
    values: dict[str, list[int]] = {}
    for worker in seen:
        for key, value in worker:
            values.setdefault(key, []).append(value)
    # Every count was seen by exactly one process: nothing lost, nothing counted twice.
    for key, counted in values.items():
        assert sorted(counted) == list(range(1, len(counted) + 1)), key
        assert client.get(key.encode()).value == b"%d" % len(counted)
    assert sum(len(counted) for counted in values.values()) == PROCESSES * ROUNDS
    # One process alone never sees a count go back.
    for worker in seen:
        for key in values:
            own = [value for name, value in worker if name == key]
            assert own == sorted(own)


def test_16_processes_push_and_pop_and_every_element_is_popped_exactly_once(client):
    pushers = PROCESSES // 2
    seen = in_processes(client.address, ["push"] * pushers + ["pop"] * pushers)
    left = [
        value.decode()
        for number in range(3)
        for value in client.lrange(b"list-%d" % number, 0, -1).values
    ]
    popped = [value for worker in seen for value in worker]
    pushed = [f"{number}:{turn}" for number in range(pushers) for turn in range(ROUNDS)]
    assert Counter(popped + left) == Counter(pushed)
    for number in range(3):
        rest = [v.decode() for v in client.lrange(b"list-%d" % number, 0, -1).values]
        for pusher in range(pushers):
            turns = [int(v.split(":")[1]) for v in rest if v.startswith(f"{pusher}:")]
            assert turns == sorted(turns), "one pusher's elements changed places"


def test_16_processes_overwrite_the_same_keys_and_no_value_is_torn(client):
    assert in_processes(client.address, ["overwrite"] * PROCESSES) == [[]] * PROCESSES
