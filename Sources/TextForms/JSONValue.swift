// JSON as the command line and the admin port write it. A value; any thread.

package indirect enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  /// Any bytes: a string where they are UTF-8, else {"base64": "..."}.
  case bytes([UInt8])
  case array([JSONValue])
  case object([Member])

  package struct Member: Sendable, Hashable {
    package let name: String
    package let value: JSONValue

    package init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// On one line, without a line end.
  package var text: String {
    var text = ""
    write(into: &text)
    return text
  }

  package func write(into text: inout String) {
    switch self {
    case .null: text += "null"
    case .bool(let flag): text += flag ? "true" : "false"
    case .integer(let number): text += "\(number)"
    // JSON has no form for numbers that aren't finite.
    case .number(let number): text += number.isFinite ? "\(number)" : "null"
    case .string(let string): Self.write(string, into: &text)
    case .bytes(let bytes):
      guard let string = String(validating: bytes, as: UTF8.self) else {
        return Self.object([
          .init(
            "base64", .string(String(decoding: Base64.encode(bytes, padded: true), as: UTF8.self)))
        ]).write(into: &text)
      }
      Self.write(string, into: &text)
    case .array(let items):
      text += "["
      for (place, item) in items.enumerated() {
        if place > 0 { text += "," }
        item.write(into: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (place, member) in members.enumerated() {
        if place > 0 { text += "," }
        Self.write(member.name, into: &text)
        text += ":"
        member.value.write(into: &text)
      }
      text += "}"
    }
  }

  /// RFC 8259, section 7: quotes, backslashes and control characters are escaped.
  private static func write(_ string: String, into text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1f}", "\u{7f}":
        text += "\\u00" + Hexadecimal.text([UInt8(truncatingIfNeeded: scalar.value)])
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
