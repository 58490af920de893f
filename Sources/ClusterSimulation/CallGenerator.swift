// What clients ask for: random calls on a few keys, some for strings, some for counters, some for
// lists, some for anything.
//
// Owns the names of the keys. A value; one thread. Every value written is written by one call only
// and names it, so that a value found tells which call has been executed.

import Commands
import NodeCore
import RingstoreAPI

struct CallGenerator {
  enum Use: CaseIterable {
    case text, counter, list, anything
  }

  let keys: [(name: [UInt8], use: Use)]

  /// - Parameter random: the names, and so the keys' shards, are drawn from it.
  init(keyCount: Int, random: inout SplitMix64) {
    let uses: [Use] = [.list, .counter, .text, .anything, .list]
    keys = (0..<keyCount).map { index in
      let use = uses[index % uses.count]
      let suffix = String(random.next() % 10_000)
      return (Array("\(use)-\(index)-\(suffix)".utf8), use)
    }
  }

  /// A value that names the call that writes it: `t` for the tail or `h` for the head of a list,
  /// `s` for a string; then client, sequence and place in the call.
  static func value(_ letter: Character, _ client: Int, _ sequence: Int, _ place: Int) -> [UInt8] {
    Array("\(letter)\(client).\(sequence).\(place)".utf8)
  }

  /// The parts of such a value.
  static func writer(
    of value: [UInt8]
  ) -> (letter: UInt8, client: Int, sequence: Int, place: Int)? {
    let numbers = value.dropFirst().split(separator: UInt8(ascii: ".")).compactMap {
      Int(String(decoding: $0, as: UTF8.self))
    }
    guard let letter = value.first, numbers.count == 3 else { return nil }
    return (letter, numbers[0], numbers[1], numbers[2])
  }

  /// A value as above; one of five is padded with dots to a large one.
  private static func value(
    _ letter: Character, _ client: Int, _ sequence: Int, _ place: Int,
    _ random: inout SplitMix64
  ) -> [UInt8] {
    let value = value(letter, client, sequence, place)
    guard random.next() % 5 == 0 else { return value }
    let dots = Int.random(in: 1...largeBytesMax, using: &random)
    return value + Array(repeating: UInt8(ascii: "."), count: dots)
  }

  /// Bytes that a large value has, roughly, at most.
  private static let largeBytesMax = 160

  /// A key that may hold a list.
  func list(random: inout SplitMix64) -> [UInt8] {
    let lists = keys.filter { $0.use == .list || $0.use == .anything }
    return lists[Int.random(in: lists.indices, using: &random)].name
  }

  func range(random: inout SplitMix64) -> KeyCall {
    let start = Int64.random(in: -3...1, using: &random)
    return random.next() % 3 > 0 ? .range(0, -1) : .range(start, start + 2)
  }

  func oneKey(
    client: Int, sequence: Int, random: inout SplitMix64
  ) -> (key: [UInt8], call: KeyCall) {
    let key = keys[Int.random(in: keys.indices, using: &random)]
    return (key.name, call(for: key.use, client, sequence, &random))
  }

  /// The items of an MGet, MSet or MDelete; keys may come twice.
  func items(
    _ command: CommandID, client: Int, sequence: Int, random: inout SplitMix64
  ) -> [(key: [UInt8], call: KeyCall)] {
    let strings = keys.filter { $0.use == .text || $0.use == .anything }
    let among = command == .mSet ? strings : keys
    return (0..<Int.random(in: 1...5, using: &random)).map { place in
      let key = among[Int.random(in: among.indices, using: &random)].name
      switch command {
      case .mSet: return (key, .set(Self.value("s", client, sequence, place, &random)))
      case .mDelete: return (key, .delete)
      default: return (key, .get)
      }
    }
  }

  private func call(
    for use: Use, _ client: Int, _ sequence: Int, _ random: inout SplitMix64
  ) -> KeyCall {
    let dice = Int.random(in: 0..<100, using: &random)
    switch use {
    case .text:
      switch dice {
      case ..<40: return .get
      case ..<80: return .set(Self.value("s", client, sequence, 0, &random))
      case ..<88: return .delete
      case ..<94: return .exists
      default: return .type
      }
    case .counter:
      switch dice {
      case ..<60: return .incrBy(Int64.random(in: -3...9, using: &random))
      case ..<85: return .get
      // Unlike all other numbers, and an integer: further increments work on it.
      case ..<95: return .set(Array(String(1_000_000 * (client * 10_000 + sequence)).utf8))
      default: return .delete
      }
    case .list:
      return listCall(dice, client, sequence, &random)
    case .anything:
      let other: [Use] = [.text, .counter, .list]
      return call(for: other[dice % other.count], client, sequence, &random)
    }
  }

  private func listCall(
    _ dice: Int, _ client: Int, _ sequence: Int, _ random: inout SplitMix64
  ) -> KeyCall {
    switch dice {
    case ..<36:
      let isTail = dice < 20
      let values = (0..<Int.random(in: 1...2, using: &random)).map {
        Self.value(isTail ? "t" : "h", client, sequence, $0, &random)
      }
      return isTail ? .pushTail(values) : .pushHead(values)
    case ..<52: return .popHead
    case ..<68: return .popTail
    case ..<75: return .length
    case ..<93:
      return range(random: &random)
    case ..<97: return .delete
    default: return .type
    }
  }
}
