// Images: the keys of a store in the order of ImageCursor, a stretch at a time, while they change.
//
// The images up to a cursor, and the later effects on keys before it, are the store's content
// there. Taking an image changes nothing: keys don't count as used, and expired keys stay, because
// their deletion is a separate effect.

/// A key as it is at the moment of its image. Borrowed bytes are good inside the call only.
package struct ImageEntry {
  package let slot: Int
  package let database: Int
  package let hash: UInt64
  package let key: UnsafeRawBufferPointer
  package let version: UInt64
  package let expiry: Expiry
  /// When a call has used the key last.
  package let accessClock: UInt32
  package let value: Value

  package enum Value {
    case bytes(UnsafeRawBufferPointer)
    case integer(Int64)
    /// At most `Store.imageCopyMax` bytes of elements.
    case list(Store.ListElements)
    /// A larger value is held in place.
    case pinnedBytes(Store.PinnedBytes)
    case pinnedList(PinnedList)
  }
}

extension Store {
  /// The largest value that images return for copying, in bytes.
  package static let imageCopyMax = 64 * 1024

  /// Looks at headers of tables that count as much as a key.
  private static let looksPerKey = 16

  /// Where the last image ends.
  package var imageEnd: ImageCursor { ImageCursor(slot: slotCount) }

  /// Passes the keys from `start` on, until `body` returns false or the limit is reached: a number
  /// of keys, or slightly more than a number of bytes of keys and values that aren't pinned. There
  /// may be none, if many slots are empty.
  ///
  /// `body` must not call the store.
  /// - Parameters:
  ///   - keys: 1 at least.
  ///   - body: false ends the image after the entry.
  /// - Returns: the end of the image; `imageEnd` after the last key.
  package func image(
    from start: ImageCursor, keys: Int, bytes: Int, _ body: (ImageEntry) -> Bool
  ) -> ImageCursor {
    freeLeftovers()
    var cursor = start
    var (keysLeft, bytesLeft) = (max(1, keys), bytes)
    var (looksLeft, overflows) = keysLeft.multipliedReportingOverflow(by: Store.looksPerKey)
    if overflows { looksLeft = .max }
    while cursor.slot < slotCount, looksLeft > 0 {
      looksLeft -= 1
      let (database, slot) = (cursor.database, cursor.slot)
      guard
        database < databaseCount,
        let table = directory.table(database: database, slot: slot)?.pointee, table.count > 0
      else {
        skipTable(&cursor)
        continue
      }
      let next = collect(table, from: cursor.hash, homes: min(64, max(8, keysLeft)))
      defer { scanned.removeAll(keepingCapacity: true) }
      scanned.orderEqualHashes()
      for (index, item) in scanned.enumerated() where !item.isBefore(cursor) {
        let entry = imageEntry(item, slot: slot, database: database)
        keysLeft -= 1
        bytesLeft -= entry.copiedBytes
        if !body(entry) || keysLeft <= 0 || bytesLeft <= 0 {
          move(&cursor, to: scanned.place(behind: index))
          return cursor
        }
      }
      move(&cursor, to: next == 0 ? nil : (next, []))
    }
    return cursor
  }

  /// Within its table; nil: to the next table.
  private func move(_ cursor: inout ImageCursor, to place: (hash: UInt64, key: [UInt8])?) {
    guard let place else { return advanceTable(&cursor) }
    (cursor.hash, cursor.key) = place
  }

  private func advanceTable(_ cursor: inout ImageCursor) {
    let isLast = cursor.database + 1 >= databaseCount
    cursor = ImageCursor(
      slot: isLast ? cursor.slot + 1 : cursor.slot, database: isLast ? 0 : cursor.database + 1)
  }

  /// Past a table without keys, and past all slots around it that have none.
  private func skipTable(_ cursor: inout ImageCursor) {
    let slot = cursor.slot
    guard
      cursor.database == 0,
      (0..<databaseCount).allSatisfy({ directory.tables(database: $0, from: slot) == nil })
    else { return advanceTable(&cursor) }
    cursor = ImageCursor(slot: min(slotCount, directory.nextGroup(after: slot)))
  }

  private func imageEntry(_ item: ScannedKey, slot: Int, database: Int) -> ImageEntry {
    let entry = item.entry
    return ImageEntry(
      slot: slot, database: database, hash: item.hash, key: entry.key, version: entry.version,
      expiry: entry.expiry, accessClock: entry.clock, value: imageValue(entry))
  }

  private func imageValue(_ entry: Entry) -> ImageEntry.Value {
    switch entry.kind {
    case .bytes:
      return .bytes(UnsafeRawBufferPointer(start: entry.payload, count: entry.payloadCount))
    case .integer:
      return .integer(entry.integer)
    case .blob:
      if entry.blob.count <= Store.imageCopyMax { return .bytes(entry.blob.bytes) }
      return .pinnedBytes(PinnedBytes(entry.blob, version: entry.version, heap: heap))
    case .list:
      if let elements = ListElements(entry.list, byteCountMax: Store.imageCopyMax) {
        return .list(elements)
      }
      return .pinnedList(entry.list.pinned(heap))
    }
  }
}

extension ScannedKey {
  func isBefore(_ cursor: ImageCursor) -> Bool {
    hash < cursor.hash || hash == cursor.hash && entry.key.lexicographicallyPrecedes(cursor.key)
  }
}

extension [ScannedKey] {
  /// Keys with the same hash are passed in the order of their bytes; all are already in the order
  /// of hashes.
  mutating func orderEqualHashes() {
    for index in indices.dropFirst() where self[index].hash == self[index - 1].hash {
      sort {
        if $0.hash != $1.hash { return $0.hash < $1.hash }
        return $0.entry.key.lexicographicallyPrecedes($1.entry.key)
      }
      return
    }
  }

  /// The cursor after a key; nil: after its table.
  func place(behind index: Int) -> (hash: UInt64, key: [UInt8])? {
    let item = self[index]
    if index + 1 < count, self[index + 1].hash == item.hash {
      return (item.hash, Array<UInt8>(item.entry.key) + [0])
    }
    return item.hash == .max ? nil : (item.hash + 1, [])
  }
}

extension ImageEntry {
  /// What `body` copies of it.
  var copiedBytes: Int {
    let copied =
      switch value {
      case .bytes(let bytes): bytes.count
      case .integer: 8
      case .list(let elements): elements.byteCount + elements.count
      case .pinnedBytes, .pinnedList: 0
      }
    return key.count + copied
  }
}

extension Store {
  /// The elements of a list as long as nothing changes.
  package struct ListElements {
    private let list: List
    package let byteCount: Int

    /// - Returns: nil if there are more bytes.
    init?(_ list: List, byteCountMax: Int) {
      var byteCount = 0
      for place in 0..<list.pieceCount {
        byteCount += list.piece(place).pointee.byteCount
        if byteCount > byteCountMax { return nil }
      }
      // Elements without bytes cost as much to copy as those with a few.
      if list.count > byteCountMax { return nil }
      self.list = list
      self.byteCount = byteCount
    }

    package var count: Int { list.count }

    package func forEach(_ body: (UnsafeRawBufferPointer) -> Void) {
      list.forEach(from: 0, towards: .tail) {
        body($0)
        return true
      }
    }
  }
}
