// Calls on keys of any type, and the one way in which entries enter, change and leave a table.

extension Store {
  /// Type of the key's value, `none` where there is no such key. O(1).
  package func type(of key: UnsafeRawBufferPointer, slot: Int, database: Int) -> ValueType {
    settle()
    return find(key, slot: slot, database: database)?.valueType ?? .none
  }

  /// Removes a key. O(1); what a list of more than 64 chunks takes is freed by `collectGarbage`.
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

  /// Removes all keys of a slot in a database. One version for all. The keys are gone at once; what
  /// they take is freed at once if they are few, by `collectGarbage` if they are more than about
  /// 1000. O(1) by comparison.
  /// - Returns: how many there were.
  @discardableResult
  package func reset(slot: Int, database: Int) -> Int {
    settle()
    guard let table = directory.table(database: database, slot: slot) else { return 0 }
    let removed = Int(table.pointee.count)
    guard removed > 0 else { return 0 }
    let detached = table.pointee
    table.pointee = Table()
    keyCounts[database] -= removed
    directory.tableBecameEmpty(database: database, slot: slot, heap: heap)
    // Who empties slots empties many: their pages go back to the system, not only to malloc.
    heap.givesPagesBack = true
    free(detached)
    heap.givesPagesBack = false
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
}

extension Entry {
  var valueType: Store.ValueType { kind == .list ? .list : .string }
}
