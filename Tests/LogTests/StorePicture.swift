// All that a store holds, as a value.

import Store

@testable import Log

struct StorePicture: Equatable {
  struct Place: Hashable {
    let slot: Int
    let database: Int
    let key: Bytes
  }

  enum Value: Equatable {
    case bytes(Bytes)
    case integer(Int64)
    case list([Bytes])
  }

  struct Key: Equatable {
    let value: Value
    let version: UInt64
    let expiry: Expiry
  }

  var keys: [Place: Key] = [:]

  init(_ store: Store) {
    var cursor = ImageCursor()
    while cursor < store.imageEnd {
      cursor = store.image(from: cursor, keys: .max, bytes: .max) { entry in
        let place = Place(slot: entry.slot, database: entry.database, key: Bytes(entry.key))
        keys[place] = Key(
          value: Self.value(entry.value), version: entry.version, expiry: entry.expiry)
        return true
      }
    }
  }

  private static func value(_ value: ImageEntry.Value) -> Value {
    var elements: [Bytes] = []
    switch value {
    case .bytes(let bytes): return .bytes(Bytes(bytes))
    case .integer(let number): return .integer(number)
    case .pinnedBytes(let pin): return .bytes(pin.withBytes(0..<pin.count) { Bytes($0) })
    case .list(let list): list.forEach { elements.append(Bytes($0)) }
    case .pinnedList(let list):
      list.forEach {
        elements.append(Bytes($0))
        return true
      }
    }
    return .list(elements)
  }

  /// Where two differ, in a few words; nil if they don't.
  func difference(from other: StorePicture) -> String? {
    for place in Set(keys.keys).union(other.keys.keys) where keys[place] != other.keys[place] {
      let both = [keys[place], other.keys[place]].map { String("\($0 as Any)".prefix(200)) }
      return "\(place.database)/\(place.slot)/\(place.key.prefix(24)): \(both)"
    }
    return nil
  }
}
