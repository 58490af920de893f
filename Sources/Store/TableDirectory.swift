// The tables of all (database, slot) pairs. Tables are 32-byte headers in groups of 256
// neighbouring slots; a group exists while one of its tables holds a key, so an empty store and an
// unused database cost only a few hundred words. The keys of each group are counted, so that a key
// can be drawn by its rank without reading all tables.
//
// Owned by Store; on its thread.

struct TableDirectory {
  private static let groupSlots = 256
  /// In front of a group's tables: how many of them hold keys.
  private static let groupHeaderBytes = 16
  private static let groupBytes =
    groupHeaderBytes + groupSlots * MemoryLayout<Table>.stride

  private struct Group {
    /// nil if no table holds a key.
    var base: UnsafeMutableRawPointer?
    /// Keys of all its tables.
    var keys = 0
  }

  private let groups: UnsafeMutablePointer<Group>
  private let groupsPerDatabase: Int
  private let groupCount: Int

  init(databaseCount: Int, slotCount: Int, heap: Heap) {
    groupsPerDatabase = (slotCount + Self.groupSlots - 1) / Self.groupSlots
    groupCount = groupsPerDatabase * databaseCount
    groups = heap.allocate(groupCount * MemoryLayout<Group>.stride)
      .bindMemory(to: Group.self, capacity: groupCount)
    groups.initialize(repeating: Group(), count: groupCount)
  }

  /// Frees the directory's memory. The groups were already freed: all tables were emptied.
  func free(_ heap: Heap) { heap.free(groups, groupCount * MemoryLayout<Group>.stride) }

  /// The table, or nil if it holds no key and may have no memory. O(1).
  @inline(__always)
  func table(database: Int, slot: Int) -> UnsafeMutablePointer<Table>? {
    guard let group = groups[groupIndex(database, slot)].base else { return nil }
    return Self.table(in: group, slot)
  }

  /// The table, for the insertion of one key into it.
  func tableForInsertion(database: Int, slot: Int, heap: Heap) -> UnsafeMutablePointer<Table> {
    let index = groupIndex(database, slot)
    let group = groups[index].base ?? makeGroup(heap)
    groups[index].base = group
    groups[index].keys += 1
    let table = Self.table(in: group, slot)
    if table.pointee.count == 0 { group.assumingMemoryBound(to: Int.self).pointee += 1 }
    return table
  }

  /// Call it when keys were removed from a table; if these were the last ones, the pointer to it is
  /// invalid afterwards.
  @inline(__always)
  func tableLost(_ keys: Int, database: Int, slot: Int, isEmpty: Bool, heap: Heap) {
    let index = groupIndex(database, slot)
    groups[index].keys -= keys
    if isEmpty { tableBecameEmpty(index, heap) }
  }

  @inline(never)
  private func tableBecameEmpty(_ index: Int, _ heap: Heap) {
    guard let group = groups[index].base else { return }
    let live = group.assumingMemoryBound(to: Int.self)
    live.pointee -= 1
    if live.pointee == 0 {
      heap.free(group, Self.groupBytes)
      groups[index].base = nil
    }
  }

  /// Keys of the group that a slot is in. O(1).
  func keyCount(ofGroup slot: Int, database: Int) -> Int { groups[groupIndex(database, slot)].keys }

  /// The tables of a slot and of later slots of its group; nil if none holds a key.
  func tables(database: Int, from slot: Int) -> UnsafeMutableBufferPointer<Table>? {
    guard let group = groups[groupIndex(database, slot)].base else { return nil }
    return UnsafeMutableBufferPointer(
      start: Self.table(in: group, slot), count: nextGroup(after: slot) - slot)
  }

  /// The first slot of the group after a slot's group.
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
