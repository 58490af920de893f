"""Writes what the property tests need of each message: what our struct and SwiftProtobuf's say of
it, in the same words, and what random messages of its kind are made of."""

import re

from messages import Text
from schema import camel, quoted

SOUP = {"bytes": "bytes", "string": "text", "fixed64": "fixed64", "double": "fixed64"}
PREFIXES = {
    "V1": "Ringstore_V1_", "LinkV1": "Ringstore_Internal_V1_", "Legacy": "Legacy_",
    "GoogleRPC": "Google_Rpc_", "GoogleProtobuf": "Google_Protobuf_",
}


def theirs(message):
    namespace, _, name = message.swift.partition(".")
    return PREFIXES[namespace] + name.replace("AnyMessage", "Any")


def schema_name(message):
    name = message.swift.replace(".", "")
    return re.sub(r"^[A-Z0-9]+?(?=[A-Z][a-z]|[0-9])|^[A-Z]", lambda m: m.group().lower(), name)


def capital(name):
    return name[0].upper() + name[1:]


def ours_text(each, name):
    if each.kind in ("bytes", "string"):
        return f"hex({name})"
    if each.kind == "enum":
        return f'"\\({name}.rawValue)"'
    if each.kind == "double":
        return f'"\\({name}.bitPattern)"'
    return f"try {name}.facts()" if each.kind == "message" else f'"\\({name})"'


def theirs_text(each, name):
    return f"hex({name}.utf8)" if each.kind == "string" else ours_text(each, name)


def is_map(each):
    return each.kind == "message" and each.repeated and each.type.is_map_entry


def write_facts(message, text, side):
    variable = "var" if message.fields else "let"
    text.add("package func facts() throws -> String {", f"{variable} facts = Facts()")
    seen = set()
    said = ours_text if side == "ours" else theirs_text
    for each in message.fields:
        name = each.swift
        if each.oneof:
            if each.oneof not in seen:
                seen.add(each.oneof)
                text.add(f"switch {camel(each.oneof)} {{")
                for member in message.members(each.oneof):
                    text.add(f"case .{member.swift}(let value):"
                             f' facts.add("{member.name}", {said(member, "value")})')
                text.add("case nil: break", "}")
        elif is_map(each):
            if side == "ours":
                key, value = each.type.fields
                text.add(
                    f'facts.add("{each.name}", try entries({name}) '
                    f"{{ ({ours_text(key, '$0.key')}, {ours_text(value, '$0.value')}) }})")
            else:
                key, value = each.type.fields
                text.add(
                    f'facts.add("{each.name}", {name}.map '
                    f"{{ ({theirs_text(key, '$0.key')}, {theirs_text(value, '$0.value')}) }})")
        elif each.repeated:
            text.add(f'facts.add("{each.name}", try {name}.map {{ {said(each, "$0")} }})'
                     if each.kind == "message" else
                     f'facts.add("{each.name}", {name}.map {{ {said(each, "$0")} }})')
            if side == "ours":
                text.add(f'facts.check("{each.name}", {name}.count)')
        elif each.kind == "message" or each.optional:
            if side == "ours":
                text.add(f"if let {name} {{ facts.add(\"{each.name}\", {said(each, name)}) }}")
            else:
                text.add(f"if has{capital(name)} "
                         f"{{ facts.add(\"{each.name}\", {said(each, name)}) }}")
        else:
            text.add(f'facts.add("{each.name}", {said(each, quoted(name))})')
    text.add("return facts.text", "}", "")


def write_ours(message, text):
    text.add(f"extension {message.swift}: ReadByUs {{")
    write_facts(message, text, "ours")
    arguments, seen = [], set()
    for each in message.fields:
        name = each.swift
        if each.oneof:
            if each.oneof not in seen:
                seen.add(each.oneof)
                arguments.append(f"{camel(each.oneof)}: {camel(each.oneof)}")
        elif each.repeated:
            arguments.append(f"{name}: arena.keep({quoted(name)})")
        elif each.kind == "message":
            arguments.append(f"{name}: {name}?.remade(in: arena)")
        else:
            arguments.append(f"{name}: {quoted(name)}")
    text.add("package func remade(in arena: Arena) -> Self {",
             f"Self({', '.join(arguments)})", "}", "}", "")


def write_theirs(message, text):
    text.add(f"extension {theirs(message)}: ReadBySwiftProtobuf {{")
    write_facts(message, text, "theirs")
    text.add("package var hasUnknownField: Bool {",
             "if !unknownFields.data.isEmpty { return true }")
    seen = set()
    for each in message.fields:
        if each.kind != "message" or is_map(each):
            continue
        name = each.swift
        if each.oneof:
            if each.oneof not in seen:
                seen.add(each.oneof)
                members = [m for m in message.members(each.oneof) if m.kind == "message"]
                for member in members:
                    text.add(f"if case .{member.swift}(let value) = {camel(each.oneof)}, "
                             "value.hasUnknownField { return true }")
        elif each.repeated:
            text.add(f"if {name}.contains(where: \\.hasUnknownField) {{ return true }}")
        else:
            text.add(f"if has{capital(name)}, {name}.hasUnknownField {{ return true }}")
    text.add("return false", "}", "}", "")


def soup_field(each):
    if each.repeated and each.kind == "fixed64":
        return f".packedFixed64({each.number})"
    if each.repeated and each.kind == "uint64":
        return f".packed({each.number})"
    if each.kind == "message":
        return f".message({each.number}, {schema_name(each.type)})"
    return f".{SOUP.get(each.kind, 'varint')}({each.number})"


def replaces_members(message):
    """Whether a oneof of it, at any level, has a message that another member may replace."""
    return any(
        each.kind == "message" and (each.oneof or replaces_members(each.type))
        for each in message.fields)


def write_schema(message, text):
    fields = []
    for each in message.fields:
        fields.append(soup_field(each))
        if each.repeated and each.kind in ("uint64", "fixed64"):
            fields.append(f".{'varint' if each.wire == 0 else 'fixed64'}({each.number})")
        elif each.repeated:
            fields.append(soup_field(each))
    text.add(f"package static let {schema_name(message)}: [MessageSoup.Field] = ["
             f"{', '.join(fields)}]")


def write_comparisons(schema, header, folder):
    folder.mkdir(parents=True, exist_ok=True)
    messages = list(schema.all_messages())
    text = Text()
    text.add(header, "import RingstoreAPI", "")
    for message in messages:
        write_ours(message, text)
    (folder / "OurFacts.swift").write_text(str(text), encoding="utf-8")
    text = Text()
    text.add(header, "import ProtobufMessages", "import SwiftProtobuf", "")
    for message in messages:
        write_theirs(message, text)
    (folder / "SwiftProtobufFacts.swift").write_text(str(text), encoding="utf-8")
    text = Text()
    text.add(header, "import ProtobufMessages", "import RingstoreAPI", "import SwiftProtobuf", "")
    text.doc("What random messages are made of.")
    text.add("package enum Schemas {")
    for message in schema.coded_messages():
        write_schema(message, text)
    text.add("}", "", "extension TwoReaders {")
    text.doc("Every message of our .proto files, as both codecs have it.")
    text.add("package static let all: [TwoReaders] = [")
    for message in messages:
        checks = ", checksText: true" if message.checks_text else ""
        checks += ", replacesMembers: true" if replaces_members(message) else ""
        maps = ", ".join(str(each.number) for each in message.fields if is_map(each))
        checks += f", maps: [{maps}]" if maps else ""
        text.add(f"TwoReaders({message.swift}.self, {theirs(message)}.self, "
                 f"schema: Schemas.{schema_name(message)}{checks}),")
    text.add("]", "}")
    (folder / "TwoReaders+All.swift").write_text(str(text), encoding="utf-8")
