// The meaning of each command on one key.

import Commands

extension CommandModel {
  package static let all = strings + anyType + expiry + lists + severalKeys

  /// Commands on one key that have no meaning of their own here, and why.
  package static let notModelled: [CommandID: String] = [
    .lRangeStream:
      "its calls are recorded as those of LRange, whatever pieces their reply comes in"
  ]

  // MARK: - Strings

  private static let strings: [CommandModel] = [
    CommandModel(.set, on: .string, overwrites: .stateAndReply, idleReply: .notDone) {
      state, words in
      let options = Array(words.dropFirst())
      let returnsPrevious = options.contains(word("GET"))
      if returnsPrevious, state.kind == .list { return .refused(.wrongType) }
      var previous: [UInt8]?
      if case .string(let value) = state.value { previous = value }
      let isMet = !(options.contains(state.value == .absent ? xx : nx))
      guard isMet else { return returnsPrevious ? .previous(isDone: false, previous) : .notDone }
      let expiresAt = options.contains(keepTTL) ? state.expiresAt : moment(in: options)
      state.value = .string(words[0])
      state.expire(at: expiresAt)
      return returnsPrevious ? .previous(isDone: true, previous) : .done
    },
    onStrings(.get) { value, _ in .value(value) },
    onStrings(.strLen) { value, _ in .count(value?.count ?? 0) },
    onStrings(.append) { value, words in
      let longer = (value ?? []) + words[0]
      value = longer
      return .count(longer.count)
    },
    CommandModel.onStrings(.getDel, idleReply: .value(nil)) { value, _ in
      defer { value = nil }
      return .value(value)
    },
    CommandModel(Command.getEx, on: .string, idleReply: .value(nil)) { state, words in
      guard case .string(let value) = state.value else {
        return state.kind == .list ? .refused(.wrongType) : .value(nil)
      }
      if words.contains(word("PERSIST")) { state.expire(at: nil) }
      if let moment = moment(in: words) { state.expire(at: moment) }
      return .value(value)
    },
    onStrings(.getRange) { value, words in
      let value = value ?? []
      let range = integer(words[0]).map(Int.init) ?? 0
      let (start, stop) = (range, integer(words[1]).map(Int.init) ?? 0)
      if start < 0, stop < 0, start > stop { return .value([]) }
      let first = max(0, start < 0 ? value.count + start : start)
      let last = min(value.count - 1, max(0, stop < 0 ? value.count + stop : stop))
      return .value(first <= last ? Array(value[first...last]) : [])
    },
    onStrings(.setRange) { value, words in
      let offset = integer(words[0]).map(Int.init) ?? 0
      var longer = value ?? []
      if longer.count < offset { longer += Array(repeating: 0, count: offset - longer.count) }
      longer.replaceSubrange(offset..<min(longer.count, offset + words[1].count), with: words[1])
      value = longer
      return .count(longer.count)
    },
    CommandModel(.incrBy, on: .string) { state, words in
      var held = [UInt8(ascii: "0")]
      switch state.value {
      case .list: return .refused(.wrongType)
      case .absent: break
      case .string(let value): held = value
      }
      // Only the form that the engine itself writes counts as an integer: no `+1`, ` 1` or `01`.
      guard let old = integer(held) else { return .refused(.notAnInteger) }
      let (sum, overflow) = old.addingReportingOverflow(integer(words[0]) ?? 0)
      guard !overflow else { return .refused(.overflow) }
      let isNew = state.value == .absent
      state.value = .string(Array(String(sum).utf8))
      if isNew { state.expire(at: moment(in: words)) }
      return .integer(sum)
    },
  ]

  private static let (nx, xx, gt, lt) = (word("NX"), word("XX"), word("GT"), word("LT"))
  private static let keepTTL = word("KEEPTTL")
  private static let pxAt = word("PXAT")

  static func word(_ text: String) -> [UInt8] { Array(text.utf8) }

  /// The words behind a value on which it depends whether or for how long it is stored.
  static let conditions = [nx, xx, keepTTL, word("GET")]

  /// What PXAT says.
  private static func moment(in options: [[UInt8]]) -> Int64? {
    guard let place = options.firstIndex(of: pxAt) else { return nil }
    return integer(options[place + 1])
  }

  /// The moment at which a call has its key expire.
  static func moment(of call: KeyCall) -> Int64? {
    if call.isCall(of: Command.expire) { return integer(call.words[0]) }
    if call.isCall(of: .set) { return moment(in: Array(call.words.dropFirst())) }
    let mayName = call.isCall(of: Command.getEx) || call.isCall(of: .incrBy)
    return mayName ? moment(in: call.words) : nil
  }

  /// The call with a moment for the time to live that it names, which counts from when it is
  /// executed; nil if it names none.
  static func timed(_ call: KeyCall, executedAt wallMillis: Int64) -> KeyCall? {
    let mayName = [Command.set, Command.getEx, .incrBy].contains(where: call.isCall(of:))
    guard mayName, let place = call.words.firstIndex(of: word("PX")),
      place > 0 || call.isCall(of: Command.getEx),
      let millis = integer(call.words[place + 1])
    else { return nil }
    var words = call.words
    words[place] = pxAt
    words[place + 1] = word("\(wallMillis + millis)")
    return call.with(words)
  }

  static func integer(_ bytes: [UInt8]) -> Int64? {
    let text = String(decoding: bytes, as: UTF8.self)
    return Int64(text).flatMap { String($0) == text ? $0 : nil }
  }

  // MARK: - Expiry. Clients name moments, so that what they do doesn't depend on when.

  private static let expiry: [CommandModel] = [
    CommandModel(Command.expire, as: "PEXPIREAT", on: nil, idleReply: .count(0)) { state, words in
      guard state.value != .absent, let moment = integer(words[0]) else { return .count(0) }
      let (present, condition) = (state.expiresAt, words.dropFirst().first)
      let isMet =
        switch condition {
        case nx: present == nil
        case xx: present != nil
        case gt: present.map { moment > $0 } ?? false
        case lt: present.map { moment < $0 } ?? true
        default: true
        }
      guard isMet else { return .count(0) }
      state.expire(at: moment)
      return .count(1)
    },
    CommandModel(Command.persist, on: nil, idleReply: .count(0)) { state, _ in
      guard state.expiresAt != nil else { return .count(0) }
      state.expire(at: nil)
      return .count(1)
    },
    CommandModel(Command.ttl, as: "PEXPIRETIME", on: nil) { state, _ in
      .integer(state.value == .absent ? -2 : state.expiresAt ?? -1)
    },
  ]

  // MARK: - Keys of any type

  private static let anyType: [CommandModel] = [
    CommandModel(.delete, on: nil, overwrites: .state, idleReply: .count(0)) { state, _ in
      let removed = state.value == .absent ? 0 : 1
      state.value = .absent
      return .count(removed)
    },
    inspect,
    CommandModel(.touch, on: nil) { state, _ in .count(state.value == .absent ? 0 : 1) },
    CommandModel(.exists, on: nil) { state, _ in .count(state.value == .absent ? 0 : 1) },
    CommandModel(.type, on: nil) { state, _ in .type(state.kind) },
  ]
}

extension CommandModel {
  /// Words: a value, then further keys with theirs.
  private static let severalKeys = [
    CommandModel(
      Command.mSetIfAbsent, on: .string, idleReply: .notDone,
      joint: { state, call in
        let places = [call.place] + call.others
        guard places.allSatisfy({ state[$0].value == .absent }) else { return .notDone }
        for (number, place) in places.enumerated() {
          state[place].value = .string(call.words[2 * number])
        }
        return .done
      })
  ]
}

extension KeyReply {
  static func count(_ count: Int) -> KeyReply { .count(Int64(count)) }
}
