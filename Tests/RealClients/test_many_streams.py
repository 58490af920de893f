"""Many streams at once on one connection: each gets its own replies, on every shape of server."""

import asyncio

import grpc
from harness.client import CHANNEL_OPTIONS
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

STREAMS = 200
LIMIT_SECONDS = 240


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


def test_200_unary_streams_at_once_on_one_channel_get_their_own_replies(client):
    asyncio.run(_many_streams(client.address))
    assert client.size() == STREAMS


async def _many_pipelines(address: str) -> None:
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)
        # Streams are only used when all of them are open, so all are open at the same time.
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


def test_200_pipelines_at_once_on_one_channel_get_their_own_replies(client):
    asyncio.run(_many_pipelines(client.address))


