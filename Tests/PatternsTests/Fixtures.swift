// What the pattern tests share: short ways to ask, and a seeded source of randomness.
//
// Owns nothing. Any thread.

import Patterns

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }
}

extension Pattern {
  static func glob(_ text: String) throws -> Pattern { try Pattern(.glob(Array(text.utf8))) }
  static func regex(_ text: String) throws -> Pattern { try Pattern(.regex(Array(text.utf8))) }
  static func prefix(_ text: String) throws -> Pattern { try Pattern(.prefix(Array(text.utf8))) }

  func matches(_ key: String) throws -> Bool { try matches(Array(key.utf8)) }
  func matches(_ key: [UInt8]) throws -> Bool { try key.withUnsafeBytes { try matches($0) } }
}
