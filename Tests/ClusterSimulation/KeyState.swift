// One key as a sequential object. What calls do to it and answer is in CommandModel.
//
// Owns the key's value. A value; any thread.

package enum KeyState: Sendable, Hashable {
  package enum Kind: Sendable, Hashable { case absent, string, list }

  case absent
  case string([UInt8])
  /// Never empty: a list without elements is an absent key.
  case list([[UInt8]])

  package var kind: Kind {
    switch self {
    case .absent: .absent
    case .string: .string
    case .list: .list
    }
  }

  /// Executes `call` and returns the answer.
  package mutating func apply(_ call: KeyCall) -> KeyReply {
    call.model.meaning(&self, call.words)
  }
}

extension KeyState: CustomStringConvertible {
  package var description: String {
    switch self {
    case .absent: "absent"
    case .string(let value): "the string \(HistoryOperation.text(value))"
    case .list(let list):
      "the list [\(list.prefix(12).map(HistoryOperation.text).joined(separator: ", "))"
        + (list.count > 12 ? ", ... \(list.count) in all]" : "]")
    }
  }
}
