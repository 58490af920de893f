// A set of slots, one bit each: 2 KiB, small enough to stay in the processor's first-level cache,
// because every call reads it. A value; any thread.

package struct SlotSet: Sendable, Equatable {
  /// 64 slots each, the lowest slot in the lowest bit.
  package private(set) var words: ContiguousArray<UInt64>

  /// Every slot.
  package static var all: SlotSet { SlotSet(repeating: .max) }
  package static var none: SlotSet { SlotSet(repeating: 0) }

  private init(repeating word: UInt64) {
    words = ContiguousArray(repeating: word, count: Slots.count / UInt64.bitWidth)
  }

  /// Whether `slot`, which must be in 0..<Slots.count, is in the set. O(1).
  package func contains(_ slot: Int) -> Bool {
    words[slot / UInt64.bitWidth] & Self.bit(of: slot) != 0
  }

  /// Adds `slot`, which must be in 0..<Slots.count. O(1).
  package mutating func insert(_ slot: Int) {
    words[slot / UInt64.bitWidth] |= Self.bit(of: slot)
  }

  /// Takes `slot`, which must be in 0..<Slots.count, out. O(1).
  package mutating func remove(_ slot: Int) {
    words[slot / UInt64.bitWidth] &= ~Self.bit(of: slot)
  }

  package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  /// How many slots are in the set.
  package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  private static func bit(of slot: Int) -> UInt64 {
    1 << UInt64(slot % UInt64.bitWidth)
  }
}
