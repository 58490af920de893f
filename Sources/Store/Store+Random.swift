// A random key.

extension Store {
  package enum DrawnKey {
    /// Good until the next change of the store.
    case key(UnsafeRawBufferPointer, slot: Int)
    /// The key had expired, and is deleted: draw again.
    case expired
    /// The database is empty.
    case none
  }

  /// The number of places of a table that are tried; at least one in eight holds a key, except in a
  /// table that is moving to other places.
  private static let triesMax = 256

  /// Draws a key of a database, each as likely as any other. It doesn't count as used. A look at
  /// the sum of keys of each group of slots, and at each table's header of one group.
  package func drawKey(
    database: Int, nowMillis: Int64, using random: inout some RandomNumberGenerator
  ) -> DrawnKey {
    freeLeftovers()
    guard keyCounts[database] > 0 else { return .none }
    let rank = Int.random(in: 0..<keyCounts[database], using: &random)
    guard let slot = slot(ofRank: rank, database: database),
      let table = directory.table(database: database, slot: slot),
      let entry = table.pointee.drawEntry(triesMax: Store.triesMax, using: &random)
    else { return .none }
    if entry.expiry.isDue(at: nowMillis) {
      expire(entry, slot: slot, database: database, nowMillis: nowMillis)
      return .expired
    }
    return .key(entry.key, slot: slot)
  }

  /// The slot of the key with this rank in the order of slots.
  private func slot(ofRank rank: Int, database: Int) -> Int? {
    var (left, slot) = (rank, 0)
    while slot < slotCount {
      let keys = directory.keyCount(ofGroup: slot, database: database)
      guard left < keys, let tables = directory.tables(database: database, from: slot) else {
        left -= keys
        slot = directory.nextGroup(after: slot)
        continue
      }
      for table in tables {
        left -= Int(table.count)
        if left < 0 { return slot }
        slot += 1
      }
    }
    return nil
  }
}

extension Table {
  /// A random entry: random places, until one holds an entry. (Taking the next entry after a free
  /// place would prefer entries after long gaps.)
  fileprivate func drawEntry(
    triesMax: Int, using random: inout some RandomNumberGenerator
  ) -> Entry? {
    guard count > 0 else { return nil }
    let places = placeCount
    for _ in 0..<triesMax {
      if let entry = entry(atPlace: Int.random(in: 0..<places, using: &random)) { return entry }
    }
    // Next to never; then rather less fair than none.
    let start = Int.random(in: 0..<places, using: &random)
    for step in 0..<places {
      if let entry = entry(atPlace: (start + step) % places) { return entry }
    }
    return nil
  }
}
