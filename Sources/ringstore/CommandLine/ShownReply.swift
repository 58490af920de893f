// Replies as redis-cli shows them in a terminal, for any kind of stdout; with --raw, values are
// written as their bytes.

import RingstoreClient
import TextForms

package indirect enum ShownReply: Sendable, Hashable {
  case ok
  /// nil: there is none.
  case value([UInt8]?)
  case integer(Int64)
  /// A fixed word, not a user's value: the name of a type.
  case word(String)
  case list([ShownReply])
  case error(RingstoreError)
  /// Lines of our own: a table, help.
  case text(String)
  /// What has a name each: a line for each of them, or an object.
  case facts([Fact])

  package struct Fact: Sendable, Hashable {
    let name: String
    let value: ShownReply

    init(_ name: String, _ value: ShownReply) {
      self.name = name
      self.value = value
    }
  }

  /// Whether the reply, or an item of it, is an error.
  package var hasError: Bool {
    switch self {
    case .error: true
    case .list(let items): items.contains(where: \.hasError)
    default: false
    }
  }

  /// The bytes to print, line end included.
  package func bytes(raw: Bool) -> [UInt8] {
    raw ? rawBytes : Array((lines(indent: "") + "\n").utf8)
  }

  /// The same without a line end, for what fits on one line.
  var line: String { lines(indent: "") }

  private func lines(indent: String) -> String {
    switch self {
    case .ok: "OK"
    case .value(nil): "(nil)"
    case .value(.some(let bytes)): Self.quoted(bytes)
    case .integer(let number): "(integer) \(number)"
    case .word(let word): VisibleText.line(word)
    case .text(let text): text
    case .error(let error): "(error) \(Self.line(of: error))"
    case .facts(let facts):
      facts.map { "\(VisibleText.line($0.name)): \($0.value.lines(indent: indent))" }
        .joined(separator: "\n" + indent)
    case .list([]): "(empty array)"
    case .list(let items): Self.lines(of: items, indent: indent)
    }
  }

  /// Numbers are as wide as the last one; the items of a list in a list start below the first.
  private static func lines(of items: [ShownReply], indent: String) -> String {
    let width = String(items.count).count
    let deeper = indent + String(repeating: " ", count: width + 2)
    return items.enumerated().map { place, item in
      let number = String(place + 1)
      let blanks = String(repeating: " ", count: width - number.count)
      return (place == 0 ? "" : indent) + "\(blanks)\(number)) " + item.lines(indent: deeper)
    }.joined(separator: "\n")
  }

  private var rawBytes: [UInt8] {
    switch self {
    case .value(let bytes): (bytes ?? []) + [UInt8(ascii: "\n")]
    case .integer(let number): Array("\(number)\n".utf8)
    case .error(let error): Array("ERROR \(Self.line(of: error))\n".utf8)
    case .list(let items): items.flatMap(\.rawBytes)
    case .facts(let facts): facts.flatMap { Array("\($0.name) ".utf8) + $0.value.rawBytes }
    case .ok, .word, .text: Array((lines(indent: "") + "\n").utf8)
    }
  }

  private static func line(of error: RingstoreError) -> String {
    let name = error.reason?.rawValue ?? error.code.name
    let message = error.message.split(whereSeparator: \.isNewline).joined(separator: " ")
    return VisibleText.line(message.isEmpty ? name : "\(name) \(message)")
  }

  /// redis-cli's form: printable ASCII as it is, \n \r \t \a \b by letter, the rest as \xhh.
  package static func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\\"): text += "\\\\"
      case UInt8(ascii: "\""): text += "\\\""
      case UInt8(ascii: "\n"): text += "\\n"
      case UInt8(ascii: "\r"): text += "\\r"
      case UInt8(ascii: "\t"): text += "\\t"
      case 0x07: text += "\\a"
      case 0x08: text += "\\b"
      case 0x20...0x7e: text.unicodeScalars.append(Unicode.Scalar(byte))
      default: text += (byte < 0x10 ? "\\x0" : "\\x") + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}
