// Where the table of a (database, slot) is. Tables are 32-byte headers in groups of 256
// neighbouring slots; a group exists while one of its tables holds a key, so an empty store and an
// unused database cost a few hundred pointers only.
//
// Owned by Store; lives on its thread.

struct TableDirectory {
  private static let groupSlots = 256
  /// In front of a group's tables: how many of them hold keys.
  private static let groupHeaderBytes = 16
  private static let groupBytes =
    groupHeaderBytes + groupSlots * MemoryLayout<Table>.stride

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

  /// The table, for an insertion into it.
  func tableForInsertion(database: Int, slot: Int, heap: Heap) -> UnsafeMutablePointer<Table> {
    let index = groupIndex(database, slot)
    let group = groups[index] ?? makeGroup(heap)
    groups[index] = group
    let table = Self.table(in: group, slot)
    if table.pointee.count == 0 { group.assumingMemoryBound(to: Int.self).pointee += 1 }
    return table
  }

  /// To be called when a table lost its last key; the pointer to the table is dead afterwards.
  func tableBecameEmpty(database: Int, slot: Int, heap: Heap) {
    let index = groupIndex(database, slot)
    guard let group = groups[index] else { return }
    let live = group.assumingMemoryBound(to: Int.self)
    live.pointee -= 1
    if live.pointee == 0 {
      heap.free(group, Self.groupBytes)
      groups[index] = nil
    }
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
  private static func table(
    in group: UnsafeMutableRawPointer, _ slot: Int
  ) -> UnsafeMutablePointer<Table> {
    (group + groupHeaderBytes).assumingMemoryBound(to: Table.self) + (slot & (groupSlots &- 1))
  }

  private func makeGroup(_ heap: Heap) -> UnsafeMutableRawPointer {
    let group = heap.allocate(Self.groupBytes)
    group.bindMemory(to: Int.self, capacity: 1).initialize(to: 0)
    (group + Self.groupHeaderBytes).bindMemory(to: Table.self, capacity: Self.groupSlots)
      .initialize(repeating: Table(), count: Self.groupSlots)
    return group
  }
}
