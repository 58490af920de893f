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

  private static func integer(_ bytes: [UInt8]) -> Int64? {
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

  // MARK: - Lists

  private static let lists: [CommandModel] = [
    onLists(.lPush) { list, words in
      // One after another: the last ends up first.
      list = words.reversed() + list
      return .count(list.count)
    },
    onLists(.rPush) { list, words in
      list += words
      return .count(list.count)
    },
    onLists(.lPop, idleReply: .value(nil)) { list, _ in
      .value(list.isEmpty ? nil : list.removeFirst())
    },
    onLists(.rPop, idleReply: .value(nil)) { list, _ in .value(list.popLast()) },
    onLists(.lLen) { list, _ in .count(list.count) },
    onLists(.lRange) { list, words in
      guard !list.isEmpty else { return .elements(nil) }
      return .elements(slice(list, integer(words[0]) ?? 0, integer(words[1]) ?? 0))
    },
  ]

  /// Zero-based, inclusive, negative from the end, clamped.
  private static func slice(_ list: [[UInt8]], _ start: Int64, _ stop: Int64) -> [[UInt8]] {
    let count = Int64(list.count)
    let first = max(0, start < 0 ? count + max(start, -count) : start)
    let last = min(count - 1, stop < 0 ? count + max(stop, -count - 1) : stop)
    return first <= last ? Array(list[Int(first)...Int(last)]) : []
  }
}

extension KeyReply {
  fileprivate static func count(_ count: Int) -> KeyReply { .count(Int64(count)) }
}
