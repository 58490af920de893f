// One key as a sequential object. What calls do to it and answer is in CommandModel.
//
// Owns the key's value. A value; any thread.

package struct KeyState: Sendable, Hashable {
  package enum Kind: Sendable, Hashable { case absent, string, list }

  package enum Value: Sendable, Hashable {
    case absent
    case string([UInt8])
    /// Never empty: a list without elements is an absent key.
    case list([[UInt8]])
  }

  package var value: Value {
    didSet { if value == .absent { expiresAt = nil } }
  }
  /// On the wall clock; nil: never.
  package private(set) var expiresAt: Int64?
  /// Of the moments at which calls have the key expire, the latest that has passed.
  private var passed: Int64 = .min

  private init(_ value: Value) { self.value = value }

  package static let absent = KeyState(.absent)
  package static func string(_ value: [UInt8]) -> KeyState { KeyState(.string(value)) }
  package static func list(_ value: [[UInt8]]) -> KeyState { KeyState(.list(value)) }

  package var kind: Kind {
    switch value {
    case .absent: .absent
    case .string: .string
    case .list: .list
    }
  }

  /// Has the key, which is there, expire then; a moment that has passed removes it.
  mutating func expire(at millis: Int64?) {
    expiresAt = millis
    if let millis, millis <= passed { value = .absent }
  }

  /// The wall clock has come to a moment.
  mutating func pass(_ millis: Int64) {
    passed = max(passed, millis)
    if let expiresAt, expiresAt <= passed { value = .absent }
  }

  /// Executes `call` and returns the answer.
  package mutating func apply(_ call: KeyCall) -> KeyReply {
    var object = ObjectState(self)
    defer { self = object[0] }
    return object.apply(call)
  }
}

extension KeyState: CustomStringConvertible {
  package var description: String {
    let text =
      switch value {
      case .absent: "absent"
      case .string(let value): "the string \(HistoryOperation.text(value))"
      case .list(let list):
        "the list [\(list.prefix(12).map(HistoryOperation.text).joined(separator: ", "))"
          + (list.count > 12 ? ", ... \(list.count) in all]" : "]")
      }
    return text + (expiresAt.map { " until \($0)" } ?? "")
  }
}
