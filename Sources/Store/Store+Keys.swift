// Calls on keys of any type, and the one way in which entries enter, change and leave a table.

extension Store {
  /// Type of the key's value, `none` where there is no such key. O(1).
  package func type(of key: UnsafeRawBufferPointer, slot: Int, database: Int) -> ValueType {
    settle()
    return find(key, slot: slot, database: database)?.valueType ?? .none
  }

  /// Removes a key. O(1), and O(chunks) for a list.
  /// - Returns: the version of the removal, nil where there is no such key.
  package func delete(_ key: UnsafeRawBufferPointer, slot: Int, database: Int) -> UInt64? {
    settle()
    check(key, slot, database)
    guard
      let table = directory.table(database: database, slot: slot),
      let place = table.pointee.place(of: key, hash: hasher.hash(key))
    else { return nil }
    let entry = table.pointee.entry(at: place)
    remove(at: place, of: table, slot: slot, database: database)
    free(entry)
    return nextVersion(slot)
  }

  /// Removes all keys of a slot in a database. One version for all. O(keys).
  /// - Returns: how many there were.
  @discardableResult
  package func reset(slot: Int, database: Int) -> Int {
    settle()
    guard let table = directory.table(database: database, slot: slot) else { return 0 }
    let removed = Int(table.pointee.count)
    guard removed > 0, let words = table.pointee.words else { return 0 }
    for place in 0..<table.pointee.capacity where words[place] != 0 {
      free(Table.entry(words[place]))
    }
    table.pointee.free(heap)
    keyCounts[database] -= removed
    directory.tableBecameEmpty(database: database, slot: slot, heap: heap)
    _ = nextVersion(slot)
    return removed
  }

  /// Takes an entry out of its table; the entry is the caller's to free or keep.
  func remove(
    at place: Int, of table: UnsafeMutablePointer<Table>, slot: Int, database: Int
  ) {
    table.pointee.remove(at: place, heap: heap, hasher: hasher)
    keyCounts[database] -= 1
    if table.pointee.count == 0 {
      directory.tableBecameEmpty(database: database, slot: slot, heap: heap)
    }
  }

  /// Adds an entry whose key is not there yet.
  func insert(_ entry: Entry, hash: UInt64, slot: Int, database: Int) {
    let table = directory.tableForInsertion(database: database, slot: slot, heap: heap)
    table.pointee.insert(entry, hash: hash, heap: heap, hasher: hasher)
    keyCounts[database] += 1
  }

  /// Frees an entry and all its value.
  func free(_ entry: Entry) {
    freeValue(of: entry)
    heap.free(entry.base, entry.byteCount)
  }

  /// Frees what the value has outside the entry.
  func freeValue(of entry: Entry) {
    switch entry.kind {
    case .bytes, .integer:
      break
    case .blob:
      let blob = entry.blob
      if let start = blob.baseAddress { heap.free(start, blob.count) }
    case .list:
      entry.list.free(heap)
    }
  }
}

extension Entry {
  var valueType: Store.ValueType { kind == .list ? .list : .string }
}
