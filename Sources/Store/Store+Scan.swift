// Walking the keys of a slot, a slice at a time, while they change.
//
// A scan goes through keys in the order of their hashes, and the cursor is a hash: the next call
// begins with the first key whose hash is not below it. A key's hash never changes, so neither
// growth nor writes nor another process can make the walk skip a key that stays. Because a table's
// homes are in hash order too, a slice reads a range of the table and sorts it.

struct ScannedKey {
  let hash: UInt64
  let entry: Entry
}

extension Store {
  /// Passes keys of a slot until the slice is full or `body` returns false, and at least one if one
  /// remains. Expired keys are deleted instead. A key that exists from the first call of a walk to
  /// the last is passed exactly once; one written or deleted meanwhile may be or not. The slice
  /// costs O(maxVisits) expected. `body` must not call the store; its arguments are valid only
  /// inside it.
  ///
  /// `body` gets the cursor after each key, so that a page can end after any of them: 0 after a key
  /// that nothing can follow. Keys with the same hash have no cursor between them: after all but
  /// the last of them it is that of their hash, from which a scan repeats them and skips none. For
  /// the same reason `body` gets the rest of them even if it returned false, or the slice is full.
  /// - Parameters:
  ///   - cursor: 0 to begin, then the result of the last call. The same on every shard with the
  ///     same hash seed, and across restarts.
  ///   - maxVisits: most keys to hand over; at least 1 is.
  ///   - nowMillis: the wall clock of the tick.
  ///   - body: gets a key and the cursor after it; false ends the slice there.
  /// - Returns: the next cursor, 0 once the slot is done; and the number of keys handed over.
  package func walk(
    database: Int, slot: Int, cursor: UInt64, maxVisits: Int, nowMillis: Int64,
    _ body: (_ key: KeyFacts, _ cursorAfter: UInt64) -> Bool
  ) -> (next: UInt64, visited: Int) {
    freeLeftovers()
    var visited = 0
    var isFull = false
    var next = cursor
    while let table = directory.table(database: database, slot: slot)?.pointee, table.count > 0 {
      let stretchEnd = collect(table, from: next, homes: min(64, max(8, maxVisits)))
      defer { scanned.removeAll(keepingCapacity: true) }
      if table.expiringCount > 0, expireScanned(slot, database, nowMillis) { continue }
      for (index, item) in scanned.enumerated() {
        visited += 1
        let isLastOfHash = index + 1 == scanned.count || scanned[index + 1].hash != item.hash
        let cursorAfter = isLastOfHash ? item.hash &+ 1 : item.hash
        let facts = KeyFacts(entry: item.entry, heap: heap)
        if !body(facts, cursorAfter) || visited >= maxVisits {
          isFull = true
        }
        if isFull && isLastOfHash { return (cursorAfter, visited) }
      }
      if stretchEnd == 0 { break }
      next = stretchEnd
    }
    return (0, visited)
  }

  /// As `walk`, with keys and their types.
  package func scan(
    database: Int, slot: Int, cursor: UInt64, maxVisits: Int, nowMillis: Int64,
    _ body: (_ key: UnsafeRawBufferPointer, _ type: ValueType, _ cursorAfter: UInt64) -> Bool
  ) -> (next: UInt64, visited: Int) {
    walk(
      database: database, slot: slot, cursor: cursor, maxVisits: maxVisits, nowMillis: nowMillis
    ) { facts, cursorAfter in body(facts.key, facts.type, cursorAfter) }
  }

  /// Deletes the expired keys of `scanned`.
  /// - Returns: whether there was any: the table has changed then.
  private func expireScanned(_ slot: Int, _ database: Int, _ nowMillis: Int64) -> Bool {
    var hasExpired = false
    for item in scanned where item.entry.expiry.isDue(at: nowMillis) {
      expire(item.entry, slot: slot, database: database, nowMillis: nowMillis)
      hasExpired = true
    }
    return hasExpired
  }

  /// Puts the keys of the next `homes` homes whose hash is not below `cursor` into `scanned`, in
  /// the order of their hashes.
  /// - Returns: the least hash of the following homes, 0 at the end.
  func collect(_ table: Table, from cursor: UInt64, homes: Int) -> UInt64 {
    let segment = table.segment(from: cursor)
    let (places, words) = (segment.places, segment.places.words)
    let mask = places.capacity - 1
    let firstHome = places.home(cursor)
    let homesEnd = segment.homesEnd
    let endHome = min(homesEnd, firstHome + homes)
    var step = firstHome
    // A key may be after its home, up to the first free place; after the last place, from the
    // start.
    while step - firstHome <= mask {
      let word = words[step & mask]
      if word == 0 {
        if step >= endHome - 1 { break }
      } else {
        let home = places.home(ofWord: word, hasher)
        if home >= firstHome && home < endHome {
          // All entries are fetched side by side before the first is read.
          let entry = Places.entry(word)
          entry.prefetch()
          scanned.append(ScannedKey(hash: 0, entry: entry))
        }
      }
      step += 1
    }
    hashScanned(from: cursor)
    scanned.sort { $0.hash < $1.hash }
    return endHome == homesEnd ? segment.end : places.hash(ofHome: endHome)
  }

  /// Fills in the hashes, and removes keys below a cursor.
  private func hashScanned(from cursor: UInt64) {
    var count = 0
    for index in scanned.indices {
      let entry = scanned[index].entry
      // 0 counts as 1, which has the same home: a cursor after a key must not be 0 by accident.
      let hash = max(1, hasher.hash(entry.key))
      guard hash >= cursor else { continue }
      scanned[count] = ScannedKey(hash: hash, entry: entry)
      count += 1
    }
    scanned.removeLast(scanned.count - count)
  }
}
