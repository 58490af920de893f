// Where the table of a (database, slot) is. Tables are 32-byte headers in groups of 256
// neighbouring slots; a group exists while one of its tables holds a key, so an empty store and an
// unused database cost a few hundred pointers only.
//
// Owned by Store; lives on its thread.

struct TableDirectory {
  private static let groupSlots = 256
  private static let groupHeaderBytes = MemoryLayout<GroupHeader>.stride
  private static let groupBytes =
    groupHeaderBytes + groupSlots * MemoryLayout<Table>.stride

  /// What lies in front of a group's tables: sums over them.
  private struct GroupHeader {
    /// Tables that hold keys.
    var tables = 0
    var keys = 0
    /// Keys that expire.
    var expiring = 0
  }

  private let groups: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let groupsPerDatabase: Int
  private let groupCount: Int

  init(databaseCount: Int, slotCount: Int, heap: Heap) {
    groupsPerDatabase = (slotCount + Self.groupSlots - 1) / Self.groupSlots
    groupCount = groupsPerDatabase * databaseCount
    groups = heap.allocate(groupCount * 8)
      .bindMemory(to: UnsafeMutableRawPointer?.self, capacity: groupCount)
    groups.initialize(repeating: nil, count: groupCount)
  }

  /// Gives back the directory's memory. The groups are gone by then: all tables were emptied.
  func free(_ heap: Heap) { heap.free(groups, groupCount * 8) }

  /// The table, or nil when it holds no key and may have no memory. O(1).
  @inline(__always)
  func table(database: Int, slot: Int) -> UnsafeMutablePointer<Table>? {
    guard let group = groups[groupIndex(database, slot)] else { return nil }
    return Self.table(in: group, slot)
  }

  /// The table, for a key that is put into it.
  func tableForInsertion(database: Int, slot: Int, heap: Heap) -> UnsafeMutablePointer<Table> {
    let index = groupIndex(database, slot)
    let group = groups[index] ?? makeGroup(heap)
    groups[index] = group
    let table = Self.table(in: group, slot)
    let header = Self.header(of: group)
    if table.pointee.count == 0 { header.pointee.tables += 1 }
    header.pointee.keys += 1
    return table
  }

  /// To be called when keys have gone from a table. Where it has none left, the pointer to it is dead
  /// afterwards.
  func removed(keys: Int, database: Int, slot: Int, heap: Heap) {
    let index = groupIndex(database, slot)
    guard let group = groups[index] else { return }
    let header = Self.header(of: group)
    header.pointee.keys -= keys
    guard Self.table(in: group, slot).pointee.count == 0 else { return }
    header.pointee.tables -= 1
    if header.pointee.tables == 0 {
      heap.free(group, Self.groupBytes)
      groups[index] = nil
    }
  }

  /// To be called when more or fewer keys of a table expire.
  func changed(expiring: Int, database: Int, slot: Int) {
    guard let group = groups[groupIndex(database, slot)] else { return }
    Self.header(of: group).pointee.expiring += expiring
  }

  /// The slot of the key that is at a position when the keys of a database, or those that expire, are
  /// counted slot by slot; nil where there are not so many. O(slots / 256 + 256).
  func slot(ofKey position: Int, database: Int, expiring: Bool) -> Int? {
    var left = position
    for index in database * groupsPerDatabase..<(database + 1) * groupsPerDatabase {
      guard let group = groups[index] else { continue }
      let header = Self.header(of: group).pointee
      let count = expiring ? header.expiring : header.keys
      if left >= count {
        left -= count
        continue
      }
      for slot in 0..<Self.groupSlots {
        let table = Self.table(in: group, slot).pointee
        left -= Int(expiring ? table.expiringCount : table.count)
        if left < 0 { return (index - database * groupsPerDatabase) * Self.groupSlots + slot }
      }
    }
    return nil
  }

  /// The tables of a slot and of those behind it that are in one group; nil if none holds a key.
  func tables(database: Int, from slot: Int) -> UnsafeMutableBufferPointer<Table>? {
    guard let group = groups[groupIndex(database, slot)] else { return nil }
    return UnsafeMutableBufferPointer(
      start: Self.table(in: group, slot), count: nextGroup(after: slot) - slot)
  }

  /// The first slot of the group behind a slot's.
  func nextGroup(after slot: Int) -> Int { (slot / Self.groupSlots + 1) * Self.groupSlots }

  @inline(__always)
  private func groupIndex(_ database: Int, _ slot: Int) -> Int {
    database &* groupsPerDatabase &+ slot &>> 8
  }

  @inline(__always)
  private static func header(
    of group: UnsafeMutableRawPointer
  ) -> UnsafeMutablePointer<GroupHeader> {
    group.assumingMemoryBound(to: GroupHeader.self)
  }

  @inline(__always)
  private static func table(
    in group: UnsafeMutableRawPointer, _ slot: Int
  ) -> UnsafeMutablePointer<Table> {
    (group + groupHeaderBytes).assumingMemoryBound(to: Table.self) + (slot & (groupSlots &- 1))
  }

  private func makeGroup(_ heap: Heap) -> UnsafeMutableRawPointer {
    let group = heap.allocate(Self.groupBytes)
    group.bindMemory(to: GroupHeader.self, capacity: 1).initialize(to: GroupHeader())
    (group + Self.groupHeaderBytes).bindMemory(to: Table.self, capacity: Self.groupSlots)
      .initialize(repeating: Table(), count: Self.groupSlots)
    return group
  }
}
