// Properties of a key besides its value. Reading them changes nothing, and the key doesn't count as
// used.

/// Of a key that is there: good until the next change of the store.
package struct KeyFacts {
  /// How a value is stored in memory.
  package enum Encoding: Sendable {
    /// A number in the key's entry.
    case integer
    /// Bytes in the key's entry.
    case inline
    /// Bytes in a separate block.
    case block
    /// A list's chunks.
    case chunks
  }

  let entry: Entry
  let heap: Heap

  /// The size of a key in a table: one word.
  private static let placeBytes = 8

  package var key: UnsafeRawBufferPointer { entry.key }
  package var type: Store.ValueType { entry.valueType }
  package var version: UInt64 { entry.version }

  package var encoding: Encoding {
    switch entry.kind {
    case .bytes: .inline
    case .integer: .integer
    case .blob: .block
    case .list: .chunks
    }
  }

  /// Bytes of a string, values of a list.
  package var length: Int { entry.kind == .list ? entry.list.count : entry.stringLength }

  /// The bytes of the key and its value: their blocks as the heap counts them, plus a place in a
  /// table. O(1); for a list O(chunks), but at most `List.measuredPiecesMax`: a longer one is
  /// estimated.
  package var memoryBytes: Int {
    let value =
      switch entry.kind {
      case .bytes, .integer: 0
      case .blob: entry.blob.usedBytes(heap)
      case .list: entry.list.usedBytes(heap)
      }
    return Self.placeBytes + heap.usedBytes(ofBlock: entry.byteCount) + value
  }

  /// What `memoryBytes` costs beside a look at the entry, in looks at memory elsewhere.
  package var measuringSteps: Int {
    entry.kind == .list ? min(entry.list.pieceCount, List.measuredPiecesMax) : 0
  }

  /// How long ago a call has used the key, in milliseconds. In steps of 16.
  package func idleMillis(at nowMillis: Int64) -> Int64 {
    AccessClock.idleMillis(entry.clock, nowMillis: nowMillis)
  }
}

extension Store {
  /// - Returns: nil if there is no such key.
  package func facts(at place: KeyPlace) -> KeyFacts? {
    check(place)
    return place.entry.map { KeyFacts(entry: $0, heap: heap) }
  }

  /// When a call used a key last; nil if it doesn't exist. Also for an expired key.
  package func accessClock(
    of key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) -> UInt32? {
    let hash = hasher.hash(key)
    guard
      let table = directory.table(database: database, slot: slot),
      let index = table.pointee.place(of: key, hash: hash)
    else { return nil }
    return table.pointee.entry(at: index, hash: hash).clock
  }
}

extension KeyPlace {
  /// Has the key count as used when it was, not now.
  package func setAccessClock(_ clock: UInt32) { entry?.clock = clock }
}

extension List {
  /// Pieces that are measured of a longer list: 16 MiB of full ones.
  static let measuredPiecesMax = 1_024

  /// Bytes of the list in memory: whole chunks, those that views share with it among them.
  func usedBytes(_ heap: Heap) -> Int {
    let measured = min(pieceCount, List.measuredPiecesMax)
    var bytes = 0
    for number in 0..<measured {
      // Spread evenly if not all are measured.
      let chunk = piece(number * pieceCount / measured).pointee.chunk
      bytes += heap.usedBytes(ofBlock: Chunk.headerBytes + chunk.capacity)
    }
    if measured < pieceCount { bytes = bytes / measured * pieceCount }
    return bytes + heap.usedBytes(ofBlock: blockBytes)
  }
}
