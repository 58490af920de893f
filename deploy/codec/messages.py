"""Writes the Swift structs of messages: read in place, made from fields, written in place."""

import textwrap

from schema import camel, quoted

TYPES = {
    "bytes": "UnsafeRawBufferPointer", "string": "UnsafeRawBufferPointer", "bool": "Bool",
    "uint32": "UInt32", "uint64": "UInt64", "int32": "Int32", "int64": "Int64",
    "sint64": "Int64", "fixed64": "UInt64", "double": "Double",
}
READS = {
    "bytes": "readBytes()", "string": "readBytes()", "bool": "readBool()",
    "uint32": "readUInt32()", "uint64": "readVarint()", "int32": "readInt32()",
    "int64": "readInt64()", "sint64": "readSInt()", "fixed64": "readFixed64()",
}
# A field's constant, for code that writes field by field.
CONSTANTS = {
    "bytes": "BytesField", "string": "BytesField", "message": "BytesField", "bool": "BoolField",
    "uint32": "UIntField", "uint64": "UIntField", "int32": "IntField", "int64": "IntField",
    "enum": "IntField", "sint64": "SIntField", "fixed64": "Fixed64Field",
    "double": "Fixed64Field",
}

# The most bytes of a number; 10 by default.
MOST_BYTES = {"bool": 1, "uint32": 5, "fixed64": 8, "double": 8}

# Of all that inlinable code uses: without it, nothing of a package type is inlined elsewhere.
VISIBLE = "@usableFromInline package"

# Rows of parts that are read one by one as they come, not as a whole.
IN_PARTS = {"ringstore.internal.v1.RouterFrame", "ringstore.internal.v1.ShardFrame"}


class Text:
    """Lines under construction. Indentation follows the braces; swift-format does the rest."""

    def __init__(self):
        self.lines = []

    def add(self, *lines):
        self.lines += lines

    def doc(self, *paragraphs):
        for paragraph in paragraphs:
            self.lines += [f"/// {line}" for line in textwrap.wrap(paragraph, 88)]

    def __str__(self):
        return "\n".join(self.lines) + "\n"


def wide(each, value):
    """The number that a varint or fixed field carries."""
    if each.kind == "bool":
        return f"({value} ? 1 : 0)"
    if each.kind in ("uint64", "fixed64"):
        return value
    if each.kind == "uint32":
        return f"UInt64({value})"
    if each.kind == "int64":
        return f"UInt64(bitPattern: {value})"
    if each.kind == "int32":
        return f"UInt64(bitPattern: Int64({value}))"
    if each.kind == "enum":
        return f"UInt64(bitPattern: Int64({value}.rawValue))"
    if each.kind == "sint64":
        return f"zigZag({value})"
    return f"{value}.bitPattern"


def swift_type(each):
    if each.repeated:
        if each.kind == "message":
            return f"RepeatedMessages<{each.type.swift}>"
        return "RepeatedBytes" if each.wire == 2 else "RepeatedNumbers"
    if each.kind == "message":
        return f"{each.type.swift}?"
    plain = each.type.swift if each.kind == "enum" else TYPES[each.kind]
    return plain + ("?" if each.optional else "")


def default(each):
    if each.repeated:
        return f"{swift_type(each)}()"
    if each.kind == "message" or each.optional:
        return "nil"
    if each.kind == "enum":
        return f"{each.type.swift}(rawValue: 0)"
    return {"bytes": "noBytes", "string": "noBytes", "bool": "false"}.get(each.kind, "0")


class MessageWriter:
    def __init__(self, message, unserved, rare, text):
        self.message = message
        self.unserved = unserved
        self.rare = rare
        self.text = text

    # Fields and oneofs as properties, in the order of their first numbers.
    def properties(self):
        seen = set()
        for each in self.message.fields:
            if not each.oneof:
                yield each.swift, swift_type(each), default(each), each.comment, each
            elif each.oneof not in seen:
                seen.add(each.oneof)
                name = camel(each.oneof)
                yield name, f"{self.oneof_type(each.oneof)}?", "nil", [], None

    @staticmethod
    def oneof_type(oneof):
        name = camel(oneof)
        return name[0].upper() + name[1:]

    def write(self):
        message, text = self.message, self.text
        text.doc(" ".join(message.comment) or f"`{message.full_name[1:]}`.")
        keyed = self.key_fields()
        text.add(
            f"{VISIBLE} struct {message.name}: {'KeyedMessage' if keyed else 'WireMessage'} {{",
            f'{VISIBLE} static let name = "{message.full_name[1:]}"')
        if keyed:
            text.add(
                "@inlinable", "package static var keyFields: KeyFields {",
                f"KeyFields(key: {keyed[0].tag}, database: {keyed[1].tag})", "}")
        for name, type_name, value, comment, _ in self.properties():
            if comment:
                text.doc(" ".join(comment))
            text.add(f"{VISIBLE} var {quoted(name)}: {type_name} = {value}")
        text.doc("Whether the message carried a field, at any level, that is not in the contract.")
        text.add(f"{VISIBLE} private(set) var hasUnknownField = false", "")
        self.write_init()
        self.write_reading()
        self.write_unserved()
        self.write_writing()
        self.write_constants()
        if message.full_name[1:] in IN_PARTS:
            self.write_parts_reader()
        for oneof in message.oneofs:
            self.write_oneof(oneof)
        for enum in message.enums:
            write_enum(enum, text)
        for nested in message.nested:
            MessageWriter(nested, self.unserved, self.rare, text).write()
        text.add("}", "")

    def key_fields(self):
        by_name = {each.name: each for each in self.message.fields}
        key, database = by_name.get("key"), by_name.get("database")
        if key and database and key.kind == "bytes" and database.kind == "uint32":
            return key, database
        return None

    def write_init(self):
        parameters = [
            f"{quoted(name)}: {type_name} = {value}"
            for name, type_name, value, _, _ in self.properties()]
        self.text.add("@inlinable", "package init() {}", "")
        if not parameters:
            return
        self.text.add("@inlinable", f"package init({', '.join(parameters)}) {{")
        for name, *_ in self.properties():
            self.text.add(f"self.{name} = {quoted(name)}")
        self.text.add("}", "")

    # MARK: - Reading

    def write_reading(self):
        message, text = self.message, self.text
        if message.has_elements:
            text.add(
                f"{VISIBLE} init(_ encoded: UnsafeRawBufferPointer) throws(WireError) {{",
                "try self.init(encoded, checkingElements: true)", "}", "")
            text.doc("- Parameter checkingElements: whether repeated messages are read as well. "
                     "Where not, they are to be read one by one from their `encoded` form.")
            text.add(f"{VISIBLE} init(_ encoded: UnsafeRawBufferPointer, checkingElements: Bool) "
                     "throws(WireError) {")
        elif message.has_lists:
            text.add(f"{VISIBLE} init(_ encoded: UnsafeRawBufferPointer) throws(WireError) {{")
        else:
            text.add(
                f"{VISIBLE} init(_ encoded: UnsafeRawBufferPointer) throws(WireError) {{",
                "self.init()", "try merge(encoded)", "}", "")
            text.doc("Reads a message on top of what was read before.")
            text.add("@inline(__always)")
            text.add(f"{VISIBLE} mutating func merge(_ encoded: UnsafeRawBufferPointer) "
                     "throws(WireError) {")
        if message.has_lists:
            for each in message.fields:
                if each.repeated:
                    encoding = self.encoding(each)
                    tag = each.number if encoding else each.tag
                    text.add(f"self.{each.swift} = {swift_type(each)}("
                             f"in: encoded, {tag}{encoding})")
        rare = [each for each in message.fields if self.is_rare(each)]
        text.add("var reader = WireReader(encoded)", "while let tag = try reader.nextTag() {",
                 "switch tag.rawValue {")
        for each in message.fields:
            if each not in rare:
                self.write_case(each)
        skip = ["try reader.skip(tag)", "hasUnknownField = true"]
        if rare:
            text.add("default: try readRare(tag, from: &reader)", "}", "}", "}", "")
            text.add("private mutating func readRare(_ tag: WireTag, "
                     "from reader: inout WireReader) throws(WireError) {", "switch tag.rawValue {")
            for each in rare:
                self.write_case(each)
            text.add("default:", *skip, "}", "}", "")
        else:
            text.add("default:", *skip, "}", "}", "}", "")

    def is_rare(self, each):
        name = f"{self.message.full_name[1:]}.{each.name}"
        return name in self.rare or self.unserved.get(name) == "set"

    def write_case(self, each):
        text, name = self.text, each.swift
        if each.repeated:
            self.write_repeated_case(each)
        elif each.kind == "message":
            self.write_message_case(each)
        else:
            read = READS.get(each.kind)
            if each.kind == "string" and self.message.checks_text:
                read = "readText()"
            value = f"try reader.{read}"
            if each.kind == "enum":
                value = f"{each.type.swift}(rawValue: try reader.readInt32())"
            elif each.kind == "double":
                value = "Double(bitPattern: try reader.readFixed64())"
            target = camel(each.oneof) if each.oneof else name
            value = f".{name}({value})" if each.oneof else value
            text.add(f"case {each.tag}: self.{target} = {value}")

    def write_repeated_case(self, each):
        text, name = self.text, each.swift
        if each.kind == "message":
            inner = ", checkingElements: true" if each.type.has_elements else ""
            text.add(
                f"case {each.tag}:", "let next = try reader.readBytes()",
                "if checkingElements {",
                f"let element = try {each.type.swift}(next{inner})",
                "if element.hasUnknownField { hasUnknownField = true }", "}",
                f"self.{name}.count &+= 1")
        elif each.wire == 2:
            read = ("readText" if each.kind == "string" and self.message.checks_text
                    else "readBytes")
            text.add(f"case {each.tag}:", f"_ = try reader.{read}()", f"self.{name}.count &+= 1")
        else:
            read = "readVarint" if each.wire == 0 else "readFixed64"
            text.add(
                f"case {each.tag}:", f"_ = try reader.{read}()", f"self.{name}.count &+= 1",
                f"case {each.number << 3 | 2}: try self.{name}.notePacked(try reader.readBytes())")

    def write_message_case(self, each):
        """As protobuf has it, a message that comes twice is merged."""
        text, name, type_name = self.text, each.swift, each.type.swift
        inner = ", checkingElements: checkingElements" if each.type.has_elements else ""
        if each.oneof:
            target = camel(each.oneof)
            if each.type.has_lists:
                text.add(
                    f"case {each.tag}:",
                    f"if case .{name} = self.{target} {{ throw .messageInPieces }}",
                    f"let part = try {type_name}(try reader.readBytes(){inner})",
                    f"self.{target} = .{name}(part)")
            else:
                text.add(
                    f"case {each.tag}:", f"var part = {type_name}()",
                    f"if case .{name}(let before) = self.{target} {{ part = before }}",
                    "try part.merge(try reader.readBytes())", f"self.{target} = .{name}(part)")
        elif each.type.has_lists:
            text.add(
                f"case {each.tag}:", f"guard self.{name} == nil else {{ throw .messageInPieces }}",
                f"let part = try {type_name}(try reader.readBytes(){inner})", f"self.{name} = part")
        else:
            text.add(
                f"case {each.tag}:", f"var part = self.{name} ?? {type_name}()",
                "try part.merge(try reader.readBytes())", f"self.{name} = part")
        text.add("if part.hasUnknownField { hasUnknownField = true }")

    # MARK: - Fields that are not served

    def has_unserved(self, message):
        return any(
            f"{message.full_name[1:]}.{each.name}" in self.unserved
            or each.kind == "message" and self.has_unserved(each.type)
            for each in message.fields)

    def write_unserved(self):
        if not self.has_unserved(self.message):
            return
        text = self.text
        text.doc("The contract's name of a field that was set and that this version does not "
                 "serve; nil: there is none.")
        text.add(f"{VISIBLE} var unservedField: String? {{")
        for each in self.message.fields:
            mode = self.unserved.get(f"{self.message.full_name[1:]}.{each.name}")
            name = f"self.{each.swift}"
            if mode == "unknown":
                text.add(f'if !{name}.isKnown {{ return "{each.name}" }}')
            elif mode and each.oneof:
                text.add(f"if case .{each.swift} = self.{camel(each.oneof)} "
                         f'{{ return "{each.name}" }}')
            elif mode:
                test = {
                    "bytes": f"!{name}.isEmpty", "string": f"!{name}.isEmpty", "bool": name,
                    "enum": f"{name}.rawValue != 0", "message": f"{name} != nil",
                }.get(each.kind, f"{name} != {'nil' if each.optional else '0'}")
                text.add(f'if {test} {{ return "{each.name}" }}')
            elif each.kind == "message" and self.has_unserved(each.type):
                if each.repeated:
                    text.add(f"for element in {name} {{",
                             "if let field = element.unservedField { return field }", "}")
                else:
                    text.add(f"if let field = {name}?.unservedField {{ return field }}")
        text.add("return nil", "}", "")

    # MARK: - Writing

    def write_writing(self):
        text = self.text
        fields = self.message.fields
        if not fields:
            text.add(f"{VISIBLE} var byteCount: Int {{ 0 }}",
                     f"{VISIBLE} func write(to cursor: inout WireCursor) {{}}",
                     f"{VISIBLE} func write(into buffer: inout ByteBuffer) {{}}", "")
            return
        text.add("@inline(__always)", f"{VISIBLE} var byteCount: Int {{", "var size = 0")
        self.write_parts(self.size_of)
        text.add("return size", "}", "")
        text.add("@inline(__always)", f"{VISIBLE} func write(to cursor: inout WireCursor) {{")
        self.write_parts(self.put_of)
        text.add("}", "")
        text.add(f"{VISIBLE} func write(into buffer: inout ByteBuffer) {{",
                 f"buffer.writeFields(size: {self.size_bound() or 'byteCount'}) "
                 "{ write(to: &$0) }", "}", "")

    def size_bound(self):
        """What a message of plain fields can't be longer than: cheaper than its size. None where a
        field is repeated, a message, or bytes that need not be there."""
        constant, counts = 0, ""
        for each in self.message.fields:
            if each.repeated or each.kind == "message":
                return None
            if each.wire == 2 and (each.oneof or each.optional):
                return None
            constant += 1 if each.number < 16 else 2
            if each.wire == 2:
                constant += 10
                counts += f" &+ self.{each.swift}.count"
            else:
                constant += MOST_BYTES.get(each.kind, 10)
        return f"{constant}{counts}"

    def write_parts(self, part):
        seen = set()
        for each in self.message.fields:
            if not each.oneof:
                self.text.add(*part(each))
            elif each.oneof not in seen:
                seen.add(each.oneof)
                self.text.add(f"switch self.{camel(each.oneof)} {{")
                for member in self.message.members(each.oneof):
                    self.text.add(f"case .{member.swift}(let value):")
                    self.text.add(*part(member, "value"))
                self.text.add("case nil: break", "}")

    @staticmethod
    def encoding(each):
        """How a field's numbers are encoded; nothing for other fields."""
        return {"uint64": ", .varint", "fixed64": ", .fixed64"}.get(each.kind, "")

    def size_of(self, each, value=None):
        number, explicit = each.number, value is not None
        shown = "value" if explicit or each.optional else f"self.{each.swift}"
        name = value or f"self.{each.swift}"
        if each.repeated:
            return [f"size &+= {name}.byteCount(field: {number}{self.encoding(each)})"]
        if each.kind == "message":
            size = f"size &+= WireSize.bytesField({number}, count: value.byteCount)"
            return [size] if explicit else [f"if let value = {name} {{ {size} }}"]
        if each.wire == 2:
            form = "bytesField" if explicit else "optionalBytesField"
            argument = f"count: {shown}.count"
        else:
            base = "varintField" if each.wire == 0 else "fixed64Field"
            form = base if explicit or each.optional else f"optional{base[0].upper()}{base[1:]}"
            argument = wide(each, shown)
        size = f"size &+= WireSize.{form}({number}, {argument})"
        if each.optional:
            form = {0: "varintField", 1: "fixed64Field"}.get(each.wire, "bytesField")
            return [f"if let value = {name} {{ {size} }}"]
        return [size]

    def put_of(self, each, value=None):
        number, explicit = each.number, value is not None
        shown = "value" if explicit or each.optional else f"self.{each.swift}"
        name = value or f"self.{each.swift}"
        if each.repeated:
            return [f"{name}.write(field: {number}{self.encoding(each)}, to: &cursor)"]
        if each.kind == "message":
            put = f"cursor.put({number}, message: value)"
            return [put] if explicit else [f"if let value = {name} {{ {put} }}"]
        always = explicit or each.optional
        if each.wire == 2:
            put = f"cursor.put({number}, {'bytes' if always else 'optionalBytes'}: {shown})"
        else:
            base = "varint" if each.wire == 0 else "fixed64"
            label = base if always else f"optional{base[0].upper()}{base[1:]}"
            put = f"cursor.put({number}, {label}: {wide(each, shown)})"
        return [f"if let value = {name} {{ {put} }}"] if each.optional else [put]

    # MARK: - Constants and nested types

    def write_constants(self):
        if not self.message.fields:
            return
        self.text.doc("The message's fields, for code that writes them one by one.")
        self.text.add(f"{VISIBLE} enum Field {{")
        for each in self.message.fields:
            kind = CONSTANTS[each.kind]
            self.text.add(
                "@inlinable",
                f"package static var {quoted(each.swift)}: {kind} {{ {kind}({each.number}) }}")
        self.text.add("}", "")

    def write_parts_reader(self):
        text = self.text
        packed = [each for each in self.message.fields if each.repeated and each.wire != 2]
        text.doc("One value of a field, as it comes. Messages within are left encoded.")
        text.add("package enum Part {")
        for each in self.message.fields:
            kind = "UnsafeRawBufferPointer" if each.kind == "message" else TYPES[each.kind]
            text.add(f"case {quoted(each.swift)}({kind})")
        text.add("}", "")
        text.doc("Reads the message part by part, in the order of the bytes.")
        text.add("package struct Parts {", "private var reader: WireReader")
        for each in packed:
            text.add(f"private var {each.swift}Run = WireReader(noBytes)")
        text.add("", "package init(_ encoded: UnsafeRawBufferPointer) {",
                 "reader = WireReader(encoded)", "}", "")
        text.doc("Bytes of the message that were read: where the next part begins.")
        text.add("package var position: Int { reader.position }", "")
        text.doc("The next part, or nil at the end. Unknown fields are skipped.")
        text.add("package mutating func next() throws(WireError) -> Part? {")
        for each in packed:
            text.add(f"if !{each.swift}Run.isAtEnd {{",
                     f"return .{each.swift}(try {each.swift}Run.{READS[each.kind]})", "}")
        text.add("while let tag = try reader.nextTag() {", "switch tag.rawValue {")
        for each in self.message.fields:
            read = "readBytes()" if each.kind == "message" else READS[each.kind]
            text.add(f"case {each.tag}: return .{each.swift}(try reader.{read})")
            if each in packed:
                run = f"{each.swift}Run"
                text.add(f"case {each.number << 3 | 2}:",
                         f"{run} = WireReader(try reader.readBytes())",
                         f"if !{run}.isAtEnd {{ return .{each.swift}(try {run}.{read}) }}")
        text.add("default: try reader.skip(tag)", "}", "}", "return nil", "}", "}", "")

    def write_oneof(self, oneof):
        text = self.text
        text.doc(f"Which field of `{oneof}` is set: the last one that came.")
        text.add(f"{VISIBLE} enum {self.oneof_type(oneof)} {{")
        for each in self.message.members(oneof):
            if each.comment:
                text.doc(" ".join(each.comment))
            plain = each.type.swift if each.kind in ("message", "enum") else TYPES[each.kind]
            text.add(f"case {quoted(each.swift)}({plain})")
        text.add("}", "")


def write_outline(message, text):
    """The name and the field numbers of a message that is read and written field by field."""
    text.doc(" ".join(message.comment) or f"`{message.full_name[1:]}`.")
    text.add(f"{VISIBLE} enum {message.name} {{")
    MessageWriter(message, {}, {}, text).write_constants()
    for enum in message.enums:
        write_enum(enum, text)
    for nested in message.nested:
        write_outline(nested, text)
    text.add("}", "")


def write_enum(enum, text):
    text.doc(" ".join(enum.comment) or f"`{enum.full_name[1:]}`.")
    text.add(f"{VISIBLE} struct {enum.name}: WireEnum {{", f"{VISIBLE} let rawValue: Int32", "",
             "@inlinable", "package init(rawValue: Int32) {", "self.rawValue = rawValue", "}", "")
    for name, number, comment in enum.values:
        if comment:
            text.doc(" ".join(comment))
        text.add("@inlinable",
                 f"package static var {quoted(name)}: Self {{ Self(rawValue: {number}) }}")
    text.add("", f"{VISIBLE} static let allCases: [Self] = [")
    text.add(", ".join(f".{name}" for name, _, _ in enum.values), "]", "")
    text.doc("The value's name, or its number where the contract has no name for it.")
    text.add(f"{VISIBLE} var description: String {{", "switch rawValue {")
    for name, number, _ in enum.values:
        text.add(f'case {number}: "{name}"')
    text.add("default: String(rawValue)", "}", "}", "}", "")
