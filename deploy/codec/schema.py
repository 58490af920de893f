"""The messages, enums and services of our .proto files, as the generator sees them: read from the
FileDescriptorSet that protoc writes, with Swift names."""

import re
from dataclasses import dataclass, field

from google.protobuf import descriptor_pb2

TYPE = descriptor_pb2.FieldDescriptorProto

# The Swift namespace of each package. A new package needs a line here.
NAMESPACES = {
    "ringstore.v1": "V1",
    "ringstore.internal.v1": "LinkV1",
    "": "Legacy",
    "google.rpc": "GoogleRPC",
    "google.protobuf": "GoogleProtobuf",
    "grpc.health.v1": "GRPCHealth",
    "grpc.reflection.v1": "GRPCReflection",
    "grpc.reflection.v1alpha": "GRPCReflectionAlpha",
    "grpc.channelz.v1": "GRPCChannelz",
}

# Packages of which only the names, paths and field numbers are written: their calls are rare, and
# their services read and write messages field by field.
OUTLINED = {
    "grpc.health.v1", "grpc.reflection.v1", "grpc.reflection.v1alpha", "grpc.channelz.v1",
}

# Packages whose strings are checked for UTF-8. Strings of the others come from our own nodes only,
# and a bad one is shown with replacement characters instead of losing the message.
CHECKED_TEXT = {""}

# Only the messages of google.protobuf that our own files use.
WELL_KNOWN = {"google/protobuf/any.proto", "google/protobuf/duration.proto"}

KINDS = {
    TYPE.TYPE_BYTES: "bytes", TYPE.TYPE_STRING: "string", TYPE.TYPE_MESSAGE: "message",
    TYPE.TYPE_ENUM: "enum", TYPE.TYPE_BOOL: "bool", TYPE.TYPE_UINT32: "uint32",
    TYPE.TYPE_UINT64: "uint64", TYPE.TYPE_INT32: "int32", TYPE.TYPE_INT64: "int64",
    TYPE.TYPE_SINT32: "sint32", TYPE.TYPE_SINT64: "sint64", TYPE.TYPE_FIXED64: "fixed64",
    TYPE.TYPE_DOUBLE: "double",
}

# Named as by protoc-gen-swift, so that both codecs have the same names.
ACRONYMS = {"url": "URL", "http": "HTTP", "https": "HTTPS", "id": "ID"}
TYPE_NAMES = {"Any": "AnyMessage"}
KEYWORDS = {"protocol", "internal", "default", "repeat", "operator", "extension", "import"}


class Unsupported(Exception):
    """A .proto uses what the generator doesn't know."""


def camel(name):
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_")
    return words[0] + "".join(ACRONYMS.get(word, word.capitalize()) for word in words[1:])


def quoted(name):
    return f"`{name}`" if name in KEYWORDS else name


@dataclass
class Field:
    name: str  # as the .proto has it
    number: int
    kind: str
    repeated: bool
    optional: bool
    oneof: str | None
    type_name: str | None  # full name of the message or enum
    comment: list
    type: object = None

    @property
    def swift(self):
        return camel(self.name)

    @property
    def wire(self):
        if self.kind in ("bytes", "string", "message"):
            return 2
        return 1 if self.kind in ("fixed64", "double") else 0

    @property
    def tag(self):
        return self.number << 3 | self.wire


@dataclass
class Message:
    full_name: str
    swift: str  # with its namespace: V1.MGetResponse.Item
    file: str
    fields: list
    oneofs: list
    nested: list
    enums: list
    is_map_entry: bool
    checks_text: bool
    comment: list
    uses: set = field(default_factory=set)

    @property
    def name(self):
        return self.swift.rsplit(".", 1)[1]

    def members(self, oneof):
        return [each for each in self.fields if each.oneof == oneof]

    @property
    def has_lists(self):
        """Whether it holds repeated fields at any level: such a message lies in one piece."""
        return any(f.repeated or f.kind == "message" and f.type.has_lists for f in self.fields)

    @property
    def has_elements(self):
        """Whether it holds repeated messages at any level, which can be left unchecked."""
        return any(
            f.kind == "message" and (f.repeated or f.type.has_elements) for f in self.fields)


@dataclass
class Enum:
    full_name: str
    swift: str
    values: list  # (name, number, comment)
    comment: list

    @property
    def name(self):
        return self.swift.rsplit(".", 1)[1]


@dataclass
class RPC:
    name: str
    request: Message
    reply: Message
    streams_requests: bool
    streams_replies: bool
    is_read_only: bool
    comment: list


@dataclass
class Service:
    full_name: str
    swift: str
    rpcs: list
    comment: list


@dataclass
class File:
    path: str
    is_outlined: bool
    messages: list
    enums: list
    services: list
    namespace: str


def trimmed(lines):
    """Without blanks around them, and without empty ones."""
    return [line.strip() for line in lines if line.strip()]


class Comments:
    """The comments of a file's declarations.

    A comment behind a declaration may continue in the lines below, where it begins in the same
    column. For protoc these lines are the comment before the next declaration, so they are looked
    up in the file itself.
    """

    def __init__(self, proto, source):
        """`source`: the file's lines; none for a file that isn't ours."""
        self.locations = {tuple(each.path): each for each in proto.source_code_info.location}
        self.source = source

    def of(self, path):
        """The comment that stands before a declaration, or else behind it."""
        found = self.locations.get(tuple(path))
        if found is None:
            return []
        line = found.span[0]
        before = found.leading_comments.splitlines()
        above = line - len(before) - 1
        before = trimmed(before[len(self.continuation(above)):])
        if before:
            return before
        end = found.span[2] if len(found.span) == 4 else line
        # Of a message the comment behind its opening brace.
        last = line if self.source and self.source[end].strip() == "}" else end
        return trimmed(found.trailing_comments.splitlines() + self.continuation(last))

    def continuation(self, line):
        """The lines below one with a declaration and a comment that continue this comment."""
        if not self.source or not 0 <= line < len(self.source):
            return []
        column = self.source[line].find("//")
        if column < 0 or not self.source[line][:column].strip():
            return []
        found = []
        for below in self.source[line + 1:]:
            if below.find("//") != column or below[:column].strip():
                break
            found.append(below[column + 2:])
        return found


class Schema:
    def __init__(self, descriptor_set, protos):
        """`protos`: the folder of the .proto files."""
        self.protos = protos
        self.messages, self.enums, self.files = {}, {}, []
        outlined = {each.name for each in descriptor_set.file if each.package in OUTLINED}
        for proto in descriptor_set.file:
            if not proto.name.startswith("google/protobuf/") or proto.name in WELL_KNOWN:
                self.files.append(self.read_file(proto))
        for message in self.messages.values():
            for each in message.fields:
                if each.type_name and message.file not in outlined:
                    each.type = self.messages.get(each.type_name) or self.enums[each.type_name]
        for message in self.coded_messages():
            self.refuse_recursion(message, [])
        for file in self.files:
            for service in [] if file.is_outlined else file.services:
                for rpc in service.rpcs:
                    rpc.request = self.messages[rpc.request]
                    rpc.reply = self.messages[rpc.reply]

    def coded_messages(self):
        """The messages that are read and written as a whole, entries of maps among them."""
        outlined = {file.path for file in self.files if file.is_outlined}
        return [each for each in self.messages.values() if each.file not in outlined]

    def all_messages(self):
        """Every message but the entries of maps, in the order of the files; without those that are
        outlined."""
        def walk(messages):
            for message in messages:
                if not message.is_map_entry:
                    yield message
                yield from walk(message.nested)

        for file in self.files:
            if not file.is_outlined:
                yield from walk(file.messages)

    def refuse_recursion(self, message, above):
        if message in above:
            raise Unsupported(f"{message.full_name} holds itself")
        for each in message.fields:
            if each.kind == "message":
                self.refuse_recursion(each.type, [*above, message])

    def read_file(self, proto):
        if proto.package not in NAMESPACES:
            raise Unsupported(f"package {proto.package} has no namespace in schema.py")
        path = self.protos / proto.name
        source = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        comments = Comments(proto, source)
        namespace = NAMESPACES[proto.package]
        prefix = f".{proto.package}" if proto.package else ""
        messages = [
            self.read_message(each, prefix, namespace, proto, comments, [4, index])
            for index, each in enumerate(proto.message_type)]
        enums = [
            self.read_enum(each, prefix, namespace, comments, [5, index])
            for index, each in enumerate(proto.enum_type)]
        services = [
            Service(
                f"{prefix}.{each.name}"[1:], f"{namespace}.{each.name}",
                [
                    RPC(
                        rpc.name, rpc.input_type, rpc.output_type, rpc.client_streaming,
                        rpc.server_streaming,
                        rpc.options.idempotency_level 
                        == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
                        comments.of([6, index, 2, place]))
                    for place, rpc in enumerate(each.method)],
                comments.of([6, index]))
            for index, each in enumerate(proto.service)]
        return File(proto.name, proto.package in OUTLINED, messages, enums, services, namespace)

    def read_message(self, proto, prefix, outer, file, comments, path):
        full_name = f"{prefix}.{proto.name}"
        swift = f"{outer}.{TYPE_NAMES.get(proto.name, proto.name)}"
        message = Message(
            full_name, swift, file.name, [], [each.name for each in proto.oneof_decl],
            [
                self.read_message(each, full_name, swift, file, comments, [*path, 3, index])
                for index, each in enumerate(proto.nested_type)],
            [
                self.read_enum(each, full_name, swift, comments, [*path, 4, index])
                for index, each in enumerate(proto.enum_type)],
            proto.options.map_entry, file.package in CHECKED_TEXT, comments.of(path))
        for index, each in enumerate(proto.field):
            place = [*path, 2, index]
            message.fields.append(self.read_field(each, message, file, comments, place))
        real = {each.oneof for each in message.fields if each.oneof}
        message.oneofs = [each for each in message.oneofs if each in real]
        message.fields.sort(key=lambda each: each.number)
        self.messages[full_name] = message
        return message

    def read_field(self, proto, message, file, comments, path):
        if proto.type not in KINDS:
            raise Unsupported(f"{message.full_name}.{proto.name}: its type")
        kind = KINDS[proto.type]
        repeated = proto.label == TYPE.LABEL_REPEATED
        is_read = file.package not in OUTLINED
        lists = ("bytes", "string", "message", "uint64", "fixed64")
        if is_read and repeated and kind not in lists:
            raise Unsupported(f"{message.full_name}.{proto.name}: repeated {kind}")
        oneof = None
        if proto.HasField("oneof_index") and not proto.proto3_optional:
            oneof = message.oneofs[proto.oneof_index]
        if proto.proto3_optional and kind == "message":
            raise Unsupported(f"{message.full_name}.{proto.name}: optional message")
        return Field(
            proto.name, proto.number, kind, repeated, proto.proto3_optional, oneof,
            proto.type_name or None, comments.of(path))

    def read_enum(self, proto, prefix, outer, comments, path):
        full_name = f"{prefix}.{proto.name}"
        start = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", proto.name).upper() + "_"
        values = [
            (camel(each.name.removeprefix(start)), each.number,
             comments.of([*path, 2, index]))
            for index, each in enumerate(proto.value)]
        enum = Enum(full_name, f"{outer}.{proto.name}", values, comments.of(path))
        self.enums[full_name] = enum
        return enum
