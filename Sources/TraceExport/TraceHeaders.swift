// Further header fields for the collector, mostly a token that identifies the node. They are
// written as OpenTelemetry writes them in OTEL_EXPORTER_OTLP_HEADERS, or one in a line:
//
//   text   = field *( ( "," / line end ) field )
//   field  = *blank name *blank "=" *blank value *blank | *blank
//   name   = a field name of HTTP (RFC 9110, token)
//   value  = 1*printable ASCII; comma and percent sign as %2C and %25, others may be written so too
//
// The values are secrets: no message contains one. A value; any thread.

import TextForms

package struct TraceHeaders: Sendable, Hashable {
  /// Why a text can't be used: the end of a sentence.
  package struct Malformed: Error, Sendable, Hashable {
    package let reason: String
  }

  package static let fieldsMax = 16
  /// The maximum length of the text, and so of the fields together.
  package static let textBytesMax = 8 << 10
  /// Those that the exporter writes itself, or that would change how a request is read.
  private static let reserved: Set<String> = [
    "host", "user-agent", "content-type", "content-length", "content-encoding", "connection",
    "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
  ]

  package struct Field: Sendable, Hashable {
    package let name: String
    package let value: String
  }

  package let fields: [Field]

  package static let none = TraceHeaders()

  private init() { fields = [] }

  /// - Throws: for any part that isn't a field, and if there is no field: otherwise a mistake in
  ///   the text would send requests without a token.
  package init(_ text: [UInt8]) throws(Malformed) {
    guard text.count <= Self.textBytesMax else {
      throw Malformed(reason: "it has more than \(Self.textBytesMax) bytes")
    }
    var fields: [Field] = []
    for part in text.split(whereSeparator: { Self.separators.contains($0) }) {
      let part = Self.trimmed(part)
      if part.isEmpty { continue }
      let field = try Self.field(part)
      guard !fields.contains(where: { $0.name.lowercased() == field.name.lowercased() }) else {
        throw Malformed(reason: "a name occurs twice in it")
      }
      fields.append(field)
      guard fields.count <= Self.fieldsMax else {
        throw Malformed(reason: "it has more than \(Self.fieldsMax) fields")
      }
    }
    guard !fields.isEmpty else { throw Malformed(reason: "it holds no NAME=VALUE") }
    self.fields = fields
  }

  private static func field(_ part: ArraySlice<UInt8>) throws(Malformed) -> Field {
    guard let end = part.firstIndex(of: UInt8(ascii: "=")) else {
      throw Malformed(reason: "it must hold NAME=VALUE, separated by commas or line ends")
    }
    let name = trimmed(part[..<end])
    guard !name.isEmpty, name.allSatisfy(isOfName) else {
      throw Malformed(reason: "a name in it is not the name of a header field")
    }
    let text = String(decoding: name, as: UTF8.self)
    guard !reserved.contains(text.lowercased()) else {
      throw Malformed(reason: "the field \(text.lowercased()) can't be set")
    }
    guard let value = value(trimmed(part[(end + 1)...])) else {
      throw Malformed(
        reason: "a value in it is empty or not printable ASCII, or has a percent sign that is not "
          + "written as %25")
    }
    return Field(name: text, value: value)
  }

  /// With its percent signs decoded; nil if it can't be a value.
  private static func value(_ text: ArraySlice<UInt8>) -> String? {
    var bytes: [UInt8] = []
    var rest = text
    while let first = rest.popFirst() {
      guard first == UInt8(ascii: "%") else {
        bytes.append(first)
        continue
      }
      guard let byte = Hexadecimal.bytes(rest.prefix(2))?.first else { return nil }
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    guard !bytes.isEmpty, bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static let separators = Set(",\n\r".utf8)
  private static let marks = Set("!#$%&'*+-.^_`|~".utf8)

  /// RFC 9110, tchar.
  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: marks.contains(byte)
    }
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
    let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
    return bytes[start..<end]
  }
}
