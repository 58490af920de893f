// Effects that own their bytes, for tests that keep what a store or a log has shown them.

import Store

/// An effect that owns its bytes.
package struct OwnedEffect: Equatable {
  package enum Change: Equatable {
    case put([UInt8], Expiry)
    case putInteger(Int64, Expiry)
    case write([UInt8], offset: Int, lengthBefore: Int)
    case expire(Expiry)
    case delete
    case insert([[UInt8]], Store.ListEnd, lengthBefore: Int)
    case insertWithin([UInt8], before: Int, lengthBefore: Int)
    case remove(Int, Store.ListEnd, lengthBefore: Int)
    case removeEach([Int], lengthBefore: Int)
    case keep(Range<Int>, lengthBefore: Int)
    case setElement([UInt8], at: Int, lengthBefore: Int)
    case empty
  }

  package var database: Int
  package var slot: Int
  package var key: [UInt8]
  /// Of the key; 0: the effect is not from a store.
  package var hash: UInt64
  package var version: UInt64
  package var change: Change

  package init(
    database: Int, slot: Int, key: [UInt8], hash: UInt64 = 0, version: UInt64, change: Change
  ) {
    self.database = database
    self.slot = slot
    self.key = key
    self.hash = hash
    self.version = version
    self.change = change
  }
}

extension OwnedEffect {
  package init(_ effect: Effect) {
    database = effect.database
    slot = effect.slot
    key = Array(effect.key)
    hash = effect.hash
    version = effect.version
    change =
      switch effect.change {
      case .put(.bytes(let value), let expiry): .put(Array(value), expiry)
      case .put(.integer(let number), let expiry): .putInteger(number, expiry)
      case .write(let bytes, let offset, let length):
        .write(Array(bytes), offset: offset, lengthBefore: length)
      case .expire(let expiry): .expire(expiry)
      case .delete: .delete
      case .insert(let values, let end, let length):
        .insert(values.map { Array($0) }, end, lengthBefore: length)
      case .insertWithin(let value, let index, let length):
        .insertWithin(Array(value), before: index, lengthBefore: length)
      case .remove(let count, let end, let length): .remove(count, end, lengthBefore: length)
      case .removeEach(let indices, let length):
        .removeEach(Array(indices), lengthBefore: length)
      case .keep(let range, let length): .keep(range, lengthBefore: length)
      case .setElement(let value, let index, let length):
        .setElement(Array(value), at: index, lengthBefore: length)
      case .empty: .empty
      }
  }

  /// Calls `body` with an effect that borrows these bytes.
  package func lend<R>(_ body: (Effect) throws -> R) rethrows -> R {
    switch change {
    case .put(let value, let expiry):
      try value.withUnsafeBytes { try lend(.put(.bytes($0), expiry), body) }
    case .putInteger(let number, let expiry): try lend(.put(.integer(number), expiry), body)
    case .write(let bytes, let offset, let length):
      try bytes.withUnsafeBytes { try lend(.write($0, offset: offset, lengthBefore: length), body) }
    case .expire(let expiry): try lend(.expire(expiry), body)
    case .delete: try lend(.delete, body)
    case .insert(let values, let end, let length):
      try values.withPieces { try lend(.insert($0, at: end, lengthBefore: length), body) }
    case .insertWithin(let value, let index, let length):
      try value.withUnsafeBytes {
        try lend(.insertWithin($0, before: index, lengthBefore: length), body)
      }
    case .remove(let count, let end, let length):
      try lend(.remove(count: count, at: end, lengthBefore: length), body)
    case .removeEach(let indices, let length):
      try indices.withUnsafeBufferPointer { try lend(.removeEach($0, lengthBefore: length), body) }
    case .keep(let range, let length): try lend(.keep(range, lengthBefore: length), body)
    case .setElement(let value, let index, let length):
      try value.withUnsafeBytes { try lend(.setElement($0, at: index, lengthBefore: length), body) }
    case .empty: try lend(.empty, body)
    }
  }

  private func lend<R>(_ change: Effect.Change, _ body: (Effect) throws -> R) rethrows -> R {
    try key.withUnsafeBytes {
      try body(
        Effect(
          database: database, slot: slot, key: $0, hash: hash, version: version, change: change))
    }
  }
}

extension Array where Element == [UInt8] {
  /// Calls `body` with the elements where they lie, side by side.
  package func withPieces<R>(
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws -> R
  ) rethrows -> R {
    let all = [UInt8](joined())
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
