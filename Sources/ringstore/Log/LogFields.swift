// A line of `ringstore log show`: named fields, as text for people and as a JSON object. Pure, any
// thread.

import TextForms

/// One entry of a log, with its data.
package struct LogFields: Sendable, Equatable {
  package enum Value: Sendable, Equatable {
    case word(String)
    case integer(Int64)
    /// The first of this many bytes.
    case bytes([UInt8], of: Int)
    case list([Value])
  }

  /// Its kind: at the beginning of the text, and a separate member in the object.
  let kind: (name: String, value: String)
  var fields: [(name: String, value: Value)]

  init(_ kind: (name: String, value: String), _ fields: [(name: String, value: Value)] = []) {
    self.kind = kind
    self.fields = fields
  }

  package static func == (left: LogFields, right: LogFields) -> Bool { left.json == right.json }

  /// `put key "k" value "hello" version 33`
  package var text: String {
    fields.reduce(kind.value) { text, field in
      let name = field.name.replacing("_", with: " ")
      return text + "  \(name) \(field.value.text)"
    }
  }

  package var json: JSONValue { .object(members) }

  var members: [JSONValue.Member] {
    var members = [JSONValue.Member(kind.name, .string(kind.value))]
    for field in fields {
      members.append(.init(field.name, field.value.json))
      // Otherwise a reader could take the shortened text for all of it.
      if case .bytes(let bytes, let count) = field.value, bytes.count < count {
        members.append(.init("\(field.name)_bytes", .integer(Int64(count))))
      }
    }
    return members
  }
}

extension LogFields.Value {
  init(_ number: UInt64) { self = .integer(Int64(clamping: number)) }

  init(_ number: Int) { self = .integer(Int64(number)) }

  /// 64 random bits, or a hash.
  init(bits: UInt64) { self = .word(Hexadecimal.text(bits)) }

  init(_ bytes: UnsafeRawBufferPointer, first count: Int) {
    self = .bytes(Array(bytes.prefix(count)), of: bytes.count)
  }

  var text: String {
    switch self {
    case .word(let word): word
    case .integer(let number): "\(number)"
    case .bytes(let bytes, let count):
      ShownReply.quoted(bytes) + (bytes.count < count ? "... (\(count) bytes)" : "")
    case .list(let items): items.map(\.text).joined(separator: " ")
    }
  }

  var json: JSONValue {
    switch self {
    case .word(let word): .string(word)
    case .integer(let number): .integer(number)
    case .bytes(let bytes, _): .bytes(bytes)
    case .list(let items): .array(items.map(\.json))
    }
  }
}
