// The calls that a load is made of, the keys that they use, and in which share each is made.
// Values; any thread.

import NodeCore

/// A kind of call.
package enum CallKind: UInt8, Sendable, Hashable, CaseIterable {
  case get, set, incr, lpush, lpop
  /// Only for `--clean`.
  case delete

  /// As options and results name it.
  package var name: String {
    switch self {
    case .get: "get"
    case .set: "set"
    case .incr: "incr"
    case .lpush: "lpush"
    case .lpop: "lpop"
    case .delete: "delete"
    }
  }

  /// Those that a mix may name.
  package static let ofMixes = allCases.filter { $0 != .delete }

  /// Which keys it uses.
  package var space: KeySpace {
    switch self {
    case .get, .set, .delete: .strings
    case .incr: .counters
    case .lpush, .lpop: .lists
    }
  }
}

/// Keys of one type of value. Each has the numbers from 0 on.
package enum KeySpace: UInt8, Sendable, Hashable, CaseIterable {
  case strings, counters, lists

  /// Its letter in keys.
  package var letter: Character { Character(UnicodeScalar(letterByte)) }

  var letterByte: UInt8 {
    switch self {
    case .strings: UInt8(ascii: "s")
    case .counters: UInt8(ascii: "i")
    case .lists: UInt8(ascii: "l")
    }
  }
}

/// Words that a load can't be made of, as a sentence for the user.
package struct LoadUsage: Error, Sendable, Hashable {
  package let sentence: String

  package init(_ sentence: String) { self.sentence = sentence }
}

/// How often each kind of call is made: `get=80,set=15,incr=5`.
package struct CallMix: Sendable, Hashable {
  /// Weights above 0, in the order of the kinds.
  package let weights: [(kind: CallKind, weight: Int)]
  private let total: Int

  /// The most that one weight may be.
  package static let weightMax = 1_000_000

  package static func == (one: CallMix, other: CallMix) -> Bool { one.text == other.text }

  package func hash(into hasher: inout Hasher) { hasher.combine(text) }

  package init(_ text: String) throws(LoadUsage) {
    var found: [CallKind: Int] = [:]
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = part.split(separator: "=", omittingEmptySubsequences: false)
      guard let kind = CallKind.ofMixes.first(where: { $0.name == words[0] }) else {
        let names = CallKind.ofMixes.map(\.name).joined(separator: ", ")
        throw LoadUsage("--mix has the calls \(names), not '\(words[0])'.")
      }
      guard words.count == 2, let weight = Int(words[1]), (0...Self.weightMax).contains(weight)
      else {
        throw LoadUsage(
          "--mix gives each call a whole number from 0 to \(Self.weightMax), as in get=80,set=20.")
      }
      guard found.updateValue(weight, forKey: kind) == nil else {
        throw LoadUsage("--mix names \(kind.name) twice.")
      }
    }
    weights = CallKind.ofMixes.compactMap { kind in
      found[kind].flatMap { $0 > 0 ? (kind, $0) : nil }
    }
    total = weights.reduce(0) { $0 + $1.weight }
    guard total > 0 else { throw LoadUsage("--mix must give at least one call more than 0.") }
  }

  package func contains(_ kind: CallKind) -> Bool { weights.contains { $0.kind == kind } }

  /// The keys that the calls use.
  package var spaces: [KeySpace] {
    KeySpace.allCases.filter { space in weights.contains { $0.kind.space == space } }
  }

  package var text: String {
    weights.map { "\($0.kind.name)=\($0.weight)" }.joined(separator: ",")
  }

  /// Draws a kind. O(kinds).
  func draw(_ random: inout SplitMix64) -> CallKind {
    if weights.count == 1 { return weights[0].kind }
    var rest = Int(random.next() % UInt64(total))
    for (kind, weight) in weights {
      if rest < weight { return kind }
      rest -= weight
    }
    return weights[0].kind
  }
}
