// What the log's tests share: random effects.

import OwnedEffects
import Store
import TestSeeds
import Testing

@testable import Log

typealias Bytes = [UInt8]

extension SeededRandom {
  /// Mostly small, now and then at an edge.
  mutating func number() -> Int {
    switch Int.random(in: 0..<8, using: &self) {
    case 0: [0, 127, 128, 16_383, 16_384, Int.max - 1, 1 << 32].randomElement(using: &self) ?? 0
    case 1: Int.random(in: 0...Int.max - 1, using: &self)
    default: Int.random(in: 0..<1_000, using: &self)
    }
  }
}

extension OwnedEffect {
  /// Any effect at all, one that no store has among them.
  static func random(slot: Int, _ random: inout SeededRandom) -> OwnedEffect {
    let change = change(&random)
    let lengths = change == .empty ? [0] : [0, 1, 16, 127, 128, 300]
    let length = lengths.randomElement(using: &random) ?? 0
    return OwnedEffect(
      database: random.number(), slot: slot, key: random.bytes(length), version: random.next(),
      change: change)
  }

  private static func change(_ random: inout SeededRandom) -> Change {
    let value = random.bytes(Int.random(in: 0...200, using: &random))
    let expiry: Expiry =
      Bool.random(using: &random)
      ? .never : Expiry(unixMillis: Int64.random(in: .min ..< .max, using: &random))
    let end: Store.ListEnd = Bool.random(using: &random) ? .head : .tail
    let length = random.number()
    switch Int.random(in: 0..<12, using: &random) {
    case 0: return .put(value, expiry)
    case 1: return .putInteger(Int64(bitPattern: random.next()), expiry)
    case 2: return .write(value, offset: random.number(), lengthBefore: length)
    case 3: return .expire(expiry)
    case 4: return .delete
    case 5:
      let values = (0..<Int.random(in: 0...9, using: &random)).map { random.bytes($0 * 20) }
      return .insert(values, end, lengthBefore: length)
    case 6: return .insertWithin(value, before: random.number(), lengthBefore: length)
    case 7: return .remove(random.number(), end, lengthBefore: length)
    case 8:
      let indices = (0..<Int.random(in: 0...9, using: &random)).map { _ in random.number() }
      return .removeEach(Array(Set(indices)).sorted(), lengthBefore: length)
    case 9:
      let bounds = [random.number(), random.number()].sorted()
      return .keep(bounds[0]..<bounds[1], lengthBefore: length)
    case 10: return .setElement(value, at: random.number(), lengthBefore: length)
    default: return .empty
    }
  }
}
