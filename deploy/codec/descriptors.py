"""Writes the replies of reflection: the descriptors of our .proto files and of those they import,
each with the names that it defines."""

import base64
import textwrap

from google.protobuf import descriptor_pb2

from messages import Text


def prefix_of(proto):
    return f"{proto.package}." if proto.package else ""


def messages(proto):
    """Full names of the file's messages."""
    def walk(message, outer):
        name = f"{outer}{message.name}"
        yield name
        for nested in message.nested_type:
            yield from walk(nested, f"{name}.")

    for message in proto.message_type:
        yield from walk(message, prefix_of(proto))


def others(proto):
    """Full names of all else that the file defines."""
    prefix = prefix_of(proto)

    def of_enum(enum, outer):
        yield f"{outer}{enum.name}"
        # As in C++, the values of an enum are its neighbours.
        yield from (f"{outer}{value.name}" for value in enum.value)

    def of_message(message, outer):
        name = f"{outer}{message.name}"
        yield from (f"{name}.{each.name}" for each in message.field)
        yield from (f"{name}.{each.name}" for each in message.oneof_decl)
        yield from (f"{name}.{each.name}" for each in message.extension)
        for enum in message.enum_type:
            yield from of_enum(enum, f"{name}.")
        for nested in message.nested_type:
            yield from of_message(nested, f"{name}.")

    for message in proto.message_type:
        yield from of_message(message, prefix)
    for enum in proto.enum_type:
        yield from of_enum(enum, prefix)
    for service in proto.service:
        yield f"{prefix}{service.name}"
        yield from (f"{prefix}{service.name}.{each.name}" for each in service.method)
    yield from (f"{prefix}{each.name}" for each in proto.extension)


def extensions(proto):
    """The extensions that the file defines: the full name of what they extend, and their number."""
    def of_message(message):
        yield from message.extension
        for nested in message.nested_type:
            yield from of_message(nested)

    yield from proto.extension
    for message in proto.message_type:
        yield from of_message(message)


def literal(name, words):
    """A property whose value is text in lines; a line's end is no part of it."""
    lines = textwrap.wrap(words, 88, break_on_hyphens=False) or [""]
    return [f'{name}: """', *lines, '"""']


def write_descriptors(descriptor_set, header, target):
    text = Text()
    text.add(header, "extension ProtoFile {")
    text.doc("Our .proto files and those they import; each comes behind what it imports.")
    text.add("package static let all: [ProtoFile] = [")
    for proto in descriptor_set.file:
        plain = descriptor_pb2.FileDescriptorProto()
        plain.CopyFrom(proto)
        plain.ClearField("source_code_info")
        encoded = base64.b64encode(plain.SerializeToString(deterministic=True)).decode()
        imports = ", ".join(f'"{each}"' for each in proto.dependency)
        extended = ", ".join(
            f'("{each.extendee[1:]}", {each.number})' for each in extensions(proto))
        text.add("ProtoFile(", f'name: "{proto.name}",', f"imports: [{imports}],",
                 f"extensions: [{extended}],",
                 *literal("messageLines", " ".join(messages(proto))), ",",
                 *literal("otherLines", " ".join(others(proto))), ",",
                 *literal("encodedLines", encoded), "),")
    text.add("]", "}")
    target.write_text(str(text), encoding="utf-8")
