"""Reflection, v1 and v1alpha: what tools such as grpcurl do, without a .proto file at hand."""

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from harness.client import open_channel
from harness.cluster import start_shard
from ringstore.v1 import keystore_pb2

TIMEOUT_SECONDS = 60.0
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
EVERYWHERE = {
    "KVStore", "KeyStore", "grpc.channelz.v1.Channelz", "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
    "ringstore.v1.Cluster", "ringstore.v1.KeyStore",
}


@pytest.fixture
def channel(served):
    with open_channel(served.address) as opened:
        yield opened


@pytest.fixture(params=["v1", "v1alpha"])
def ask(request, channel):
    """Asks in the service of either name; the messages are the same."""
    call = channel.stream_stream(
        f"/grpc.reflection.{request.param}.ServerReflection/ServerReflectionInfo",
        request_serializer=pb.ServerReflectionRequest.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString)

    def ask_all(*requests):
        replies = list(call(iter(requests), timeout=TIMEOUT_SECONDS))
        assert [reply.original_request for reply in replies] == list(requests)
        return replies if len(requests) > 1 else replies[0]

    return ask_all


def request(**more) -> pb.ServerReflectionRequest:
    return pb.ServerReflectionRequest(**more)


def files(reply) -> list[descriptor_pb2.FileDescriptorProto]:
    encoded = reply.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(each) for each in encoded]


def without_json_names(file) -> descriptor_pb2.FileDescriptorProto:
    """protoc writes them in sets of descriptors, and leaves them out of Python's modules."""
    def walk(messages):
        for message in messages:
            for field in message.field:
                field.ClearField("json_name")
            walk(message.nested_type)

    walk(file.message_type)
    return file


def test_every_service_is_listed(ask):
    reply = ask(request(list_services="", host="somewhere"))
    names = [each.name for each in reply.list_services_response.service]
    assert names == sorted(names)
    assert set(names) - {"ringstore.internal.v1.Link"} == EVERYWHERE
    assert reply.valid_host == "somewhere"


def test_only_a_shard_serves_links():
    shard = start_shard()
    with open_channel(shard.address) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert set(services) == EVERYWHERE | {"ringstore.internal.v1.Link"}
    shard.stop()


def test_a_file_comes_with_all_that_it_imports(ask):
    found = files(ask(request(file_by_filename="grpc/channelz/v1/channelz.proto")))
    assert found[0].name == "grpc/channelz/v1/channelz.proto"
    assert {each.name for each in found} == {
        "grpc/channelz/v1/channelz.proto", "google/protobuf/any.proto",
        "google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto",
    }


@pytest.mark.parametrize(
    "symbol",
    [
        "ringstore.v1.KeyStore", "ringstore.v1.KeyStore.Get", "ringstore.v1.KeyValue",
        "ringstore.v1.KeyValue.key", "ringstore.v1.Method", "ringstore.v1.METHOD_GET",
    ],
)
def test_a_file_is_found_by_what_it_defines(ask, symbol):
    file = files(ask(request(file_containing_symbol=symbol)))[0]
    assert file.name == "ringstore/v1/keystore.proto" and not file.HasField("source_code_info")
    ours = descriptor_pb2.FileDescriptorProto()
    keystore_pb2.DESCRIPTOR.CopyToProto(ours)
    assert without_json_names(file) == without_json_names(ours)


def test_what_is_not_there_is_an_error_in_the_stream_and_not_its_end(ask):
    replies = ask(
        request(file_by_filename="no/such.proto"),
        request(file_containing_symbol="no.Such"),
        request(file_containing_symbol=""),
        request(file_containing_extension=pb.ExtensionRequest(
            containing_type="ringstore.v1.KeyValue", extension_number=7)),
        request(all_extension_numbers_of_type="no.Such"),
        request(),
        request(file_containing_symbol="ringstore.v1.KeyStore"),
    )
    codes = [reply.error_response.error_code for reply in replies[:-1]]
    assert codes == [NOT_FOUND] * 5 + [grpc.StatusCode.INVALID_ARGUMENT.value[0]]
    assert "no.Such not found" in replies[1].error_response.error_message
    assert files(replies[-1])


def test_a_message_without_extensions_has_no_numbers(ask):
    reply = ask(request(all_extension_numbers_of_type="ringstore.v1.KeyValue"))
    numbers = reply.all_extension_numbers_response
    assert numbers.base_type_name == "ringstore.v1.KeyValue"
    assert list(numbers.extension_number) == []


def test_bytes_that_are_no_request_end_the_stream(channel):
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([b"\x0a\xff"]), timeout=TIMEOUT_SECONDS))
    assert caught.value.code() is grpc.StatusCode.INTERNAL


def test_a_client_without_files_can_make_every_call_of_every_service(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    for name in database.get_services():
        service = pool.FindServiceByName(name)
        assert service.methods
        for method in service.methods:
            assert method.input_type.full_name and method.output_type.full_name


def test_a_client_without_files_stores_and_reads_a_key(channel, client):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def call(name: str, **fields):
        method = pool.FindMethodByName(f"ringstore.v1.KeyStore.{name}")
        ask_type = message_factory.GetMessageClass(method.input_type)
        reply_type = message_factory.GetMessageClass(method.output_type)
        unary = channel.unary_unary(
            f"/ringstore.v1.KeyStore/{name}", request_serializer=ask_type.SerializeToString,
            response_deserializer=reply_type.FromString)
        return unary(ask_type(**fields), timeout=TIMEOUT_SECONDS)

    assert call("Set", key=b"reflected", value=b"yes").ok
    assert call("Get", key=b"reflected").value == b"yes"


def test_the_public_stub_reads_a_long_conversation(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [request(file_containing_symbol="ringstore.v1.KeyStore")] * 200
    replies = list(stub.ServerReflectionInfo(iter(asked), timeout=TIMEOUT_SECONDS))
    assert len(replies) == 200 and all(files(reply) for reply in replies)
