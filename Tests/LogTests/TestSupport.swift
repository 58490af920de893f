// What the log's tests share: effects that own their bytes, and batches as a file would hold them.

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

/// An effect that owns its bytes.
struct OwnedEffect: Equatable {
  enum Change: Equatable {
    case put(Bytes, Expiry)
    case putInteger(Int64, Expiry)
    case write(Bytes, offset: Int, lengthBefore: Int)
    case expire(Expiry)
    case delete
    case insert([Bytes], Store.ListEnd, lengthBefore: Int)
    case insertWithin(Bytes, before: Int, lengthBefore: Int)
    case remove(Int, Store.ListEnd, lengthBefore: Int)
    case removeEach([Int], lengthBefore: Int)
    case keep(Range<Int>, lengthBefore: Int)
    case setElement(Bytes, at: Int, lengthBefore: Int)
    case empty
  }

  var database: Int
  var slot: Int
  var key: Bytes
  var version: UInt64
  var change: Change
}

extension OwnedEffect {
  init(_ effect: Effect) {
    database = effect.database
    slot = effect.slot
    key = Bytes(effect.key)
    version = effect.version
    change =
      switch effect.change {
      case .put(.bytes(let value), let expiry): .put(Bytes(value), expiry)
      case .put(.integer(let number), let expiry): .putInteger(number, expiry)
      case .write(let bytes, let offset, let length):
        .write(Bytes(bytes), offset: offset, lengthBefore: length)
      case .expire(let expiry): .expire(expiry)
      case .delete: .delete
      case .insert(let values, let end, let length):
        .insert(values.map { Bytes($0) }, end, lengthBefore: length)
      case .insertWithin(let value, let index, let length):
        .insertWithin(Bytes(value), before: index, lengthBefore: length)
      case .remove(let count, let end, let length): .remove(count, end, lengthBefore: length)
      case .removeEach(let indices, let length):
        .removeEach(Array(indices), lengthBefore: length)
      case .keep(let range, let length): .keep(range, lengthBefore: length)
      case .setElement(let value, let index, let length):
        .setElement(Bytes(value), at: index, lengthBefore: length)
      case .empty: .empty
      }
  }

  /// Calls `body` with an effect that borrows these bytes.
  func lend(_ body: (Effect) -> Void) {
    switch change {
    case .put(let value, let expiry):
      value.withUnsafeBytes { lend(.put(.bytes($0), expiry), body) }
    case .putInteger(let number, let expiry): lend(.put(.integer(number), expiry), body)
    case .write(let bytes, let offset, let length):
      bytes.withUnsafeBytes { lend(.write($0, offset: offset, lengthBefore: length), body) }
    case .expire(let expiry): lend(.expire(expiry), body)
    case .delete: lend(.delete, body)
    case .insert(let values, let end, let length):
      values.withPieces { lend(.insert($0, at: end, lengthBefore: length), body) }
    case .insertWithin(let value, let index, let length):
      value.withUnsafeBytes {
        lend(.insertWithin($0, before: index, lengthBefore: length), body)
      }
    case .remove(let count, let end, let length):
      lend(.remove(count: count, at: end, lengthBefore: length), body)
    case .removeEach(let indices, let length):
      indices.withUnsafeBufferPointer { lend(.removeEach($0, lengthBefore: length), body) }
    case .keep(let range, let length): lend(.keep(range, lengthBefore: length), body)
    case .setElement(let value, let index, let length):
      value.withUnsafeBytes { lend(.setElement($0, at: index, lengthBefore: length), body) }
    case .empty: lend(.empty, body)
    }
  }

  private func lend(_ change: Effect.Change, _ body: (Effect) -> Void) {
    key.withUnsafeBytes {
      body(Effect(database: database, slot: slot, key: $0, version: version, change: change))
    }
  }

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

extension Array where Element == Bytes {
  /// Calls `body` with the elements where they lie, side by side.
  func withPieces<R>(
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws -> R
  ) rethrows -> R {
    let all = Bytes(joined())
    return try all.withUnsafeBytes { all in
      var start = 0
      let pieces = map { element in
        defer { start += element.count }
        return UnsafeRawBufferPointer(rebasing: all[start..<start + element.count])
      }
      return try pieces.withUnsafeBufferPointer(body)
    }
  }
}
