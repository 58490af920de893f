// The meaning of each command on lists.

import Commands

extension CommandModel {
  static let lists: [CommandModel] = [
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
    onLists(.lPopMany, idleReply: .elements(nil)) { list, words in
      guard !list.isEmpty else { return .elements(nil) }
      let count = min(Int(integer(words[0]) ?? 0), list.count)
      defer { list.removeFirst(count) }
      return .elements(Array(list.prefix(count)))
    },
    onLists(.rPopMany, idleReply: .elements(nil)) { list, words in
      guard !list.isEmpty else { return .elements(nil) }
      let count = min(Int(integer(words[0]) ?? 0), list.count)
      defer { list.removeLast(count) }
      return .elements(list.suffix(count).reversed())
    },
    onLists(.lIndex) { list, words in
      .value(place(integer(words[0]) ?? 0, in: list).map { list[$0] })
    },
    onLists(.lSet) { list, words in
      guard !list.isEmpty else { return .refused(.noSuchKey) }
      guard let place = place(integer(words[0]) ?? 0, in: list) else {
        return .refused(.indexOutOfRange)
      }
      list[place] = words[1]
      return .done
    },
    onLists(.lTrim) { list, words in
      list = slice(list, integer(words[0]) ?? 0, integer(words[1]) ?? 0)
      return .done
    },
    onLists(.lRem) { list, words in
      let count = integer(words[0]) ?? 0
      let places = list.indices.filter { list[$0] == words[1] }
      let most = count == 0 ? places.count : Int(clamping: count.magnitude)
      let removed = count < 0 ? places.suffix(most) : places.prefix(most)
      for place in removed.reversed() { list.remove(at: place) }
      return .count(removed.count)
    },
    onLists(.lInsert) { list, words in
      guard let place = list.firstIndex(of: words[1]) else { return .notInserted(list.count) }
      let isAfter = words[0] == Array("AFTER".utf8)
      list.insert(words[2], at: isAfter ? place + 1 : place)
      return .count(list.count)
    },
    onLists(.lPos) { list, words in
      guard !list.isEmpty else { return .places(nil) }
      return .places(list.firstIndex(of: words[0]).map { [$0] } ?? [])
    },
    CommandModel(.lMove, on: .list, idleReply: .value(nil), joint: move),
    onLists(.lLen) { list, _ in .count(list.count) },
    onLists(.lRange) { list, words in
      guard !list.isEmpty else { return .elements(nil) }
      return .elements(slice(list, integer(words[0]) ?? 0, integer(words[1]) ?? 0))
    },
  ]

  // MARK: - Several keys, and calls that wait

  /// What pops and moves are where they wait.
  static let waiting: [CommandID: CommandModel] = [
    .lPop: CommandModel(
      .lPop, as: "BLPOP", on: .list, idleReply: .value(nil), waits: true,
      joint: { pop(&$0, $1) { $0.removeFirst() } }),
    .rPop: CommandModel(
      .rPop, as: "BRPOP", on: .list, idleReply: .value(nil), waits: true,
      joint: { pop(&$0, $1) { $0.removeLast() } }),
    .lMove: CommandModel(
      .lMove, as: "BLMOVE", on: .list, idleReply: .value(nil), waits: true, joint: move),
  ]

  /// Takes a value from the first of several lists that has one.
  @Sendable
  private static func pop(
    _ state: inout ObjectState, _ call: KeyCall, _ take: (inout [[UInt8]]) -> [UInt8]
  ) -> KeyReply {
    for place in [call.place] + call.others {
      switch state[place].value {
      case .string: return .refused(.wrongType)
      case .absent: continue
      case .list(var list):
        let value = take(&list)
        state[place].value = list.isEmpty ? .absent : .list(list)
        return .popped(value, from: place)
      }
    }
    return .value(nil)
  }

  /// Moves a value. Where no other key is named the list goes round.
  @Sendable
  private static func move(_ state: inout ObjectState, _ call: KeyCall) -> KeyReply {
    let destination = call.others.first ?? call.place
    switch state[call.place].value {
    case .string: return .refused(.wrongType)
    case .absent: return .value(nil)
    case .list(var list):
      guard state[destination].kind != .string else { return .refused(.wrongType) }
      let value = call.words[1] == right ? list.removeLast() : list.removeFirst()
      if destination != call.place {
        state[call.place].value = list.isEmpty ? .absent : .list(list)
        list = []
        if case .list(let held) = state[destination].value { list = held }
      }
      list.insert(value, at: call.words[2] == right ? list.count : 0)
      state[destination].value = .list(list)
      return .value(value)
    }
  }

  private static let right = word("RIGHT")

  // MARK: - Places

  /// Zero-based, negative from the end.
  private static func place(_ index: Int64, in list: [[UInt8]]) -> Int? {
    list.indices.first { Int64($0) == index || Int64($0 - list.count) == index }
  }

  /// Zero-based, inclusive, negative from the end, clamped.
  private static func slice(_ list: [[UInt8]], _ start: Int64, _ stop: Int64) -> [[UInt8]] {
    let count = Int64(list.count)
    let first = max(0, start < 0 ? count + max(start, -count) : start)
    let last = min(count - 1, stop < 0 ? count + max(stop, -count - 1) : stop)
    return first <= last ? Array(list[Int(first)...Int(last)]) : []
  }
}
