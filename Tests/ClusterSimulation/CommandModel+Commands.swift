// The meaning of each command on one key.

import Commands

extension CommandModel {
  package static let all = strings + anyType + lists

  /// Commands on one key that have no meaning of their own here, and why.
  package static let notModelled: [CommandID: String] = [
    .lRangeStream:
      "its calls are recorded as those of LRange, whatever pieces their reply comes in",
    Command.expire.id: "the model has no wall clock", Command.persist.id: "as Expire",
    Command.ttl.id: "as Expire",
  ]

  // MARK: - Strings

  private static let strings: [CommandModel] = [
    CommandModel(.set, on: .string, overwrites: .stateAndReply) { state, words in
      state = .string(words[0])
      return .done
    },
    onStrings(.get) { value, _ in .value(value) },
    onStrings(.strLen) { value, _ in .count(value?.count ?? 0) },
    onStrings(.append) { value, words in
      let longer = (value ?? []) + words[0]
      value = longer
      return .count(longer.count)
    },
    onStrings(.incrBy) { value, words in
      // Only the form that the engine itself writes counts as an integer: no `+1`, ` 1` or `01`.
      guard let old = integer(value ?? [UInt8(ascii: "0")]) else { return .refused(.notAnInteger) }
      let (sum, overflow) = old.addingReportingOverflow(integer(words[0]) ?? 0)
      guard !overflow else { return .refused(.overflow) }
      value = Array(String(sum).utf8)
      return .integer(sum)
    },
  ]

  static func integer(_ bytes: [UInt8]) -> Int64? {
    let text = String(decoding: bytes, as: UTF8.self)
    return Int64(text).flatMap { String($0) == text ? $0 : nil }
  }

  // MARK: - Keys of any type

  private static let anyType: [CommandModel] = [
    CommandModel(.delete, on: nil, overwrites: .state, idleReply: .count(0)) { state, _ in
      let removed = state == .absent ? 0 : 1
      state = .absent
      return .count(removed)
    },
    CommandModel(.exists, on: nil) { state, _ in .count(state == .absent ? 0 : 1) },
    CommandModel(.type, on: nil) { state, _ in .type(state.kind) },
  ]
}

extension KeyReply {
  static func count(_ count: Int) -> KeyReply { .count(Int64(count)) }
}
