// Freeing: small amounts at once, large ones in slices (Garbage.swift).

extension Store {
  /// Whether deleted keys or lists, or chunks of pins, wait to be freed. They are unreachable, but
  /// count in `usedBytes` and `memoryBytes` until `collectGarbage` has freed them. O(1).
  package var hasGarbage: Bool { !heap.garbage.isEmpty }

  /// Frees a part of the garbage: about `entries` small keys, or fewer large blocks, because a
  /// block counts once more for each KiB of it (a full chunk of a list 17 times). So a call takes
  /// about 50 ns times `entries` for blocks of any size, except for the last one.
  /// - Returns: whether there is more.
  @discardableResult
  package func collectGarbage(entries: Int) -> Bool {
    freeLeftovers()
    var budget = max(1, entries)
    heap.givesPagesBack = true
    defer { heap.givesPagesBack = false }
    while budget > 0 {
      // Each is removed first: the last reference to a pin may be released with it, which adds
      // garbage.
      if var kept = heap.garbage.kept.popLast() {
        if !free(&kept, budget: &budget) { heap.garbage.kept.append(kept) }
      } else if var detached = heap.garbage.lists.popLast() {
        if !detached.free(heap, budget: &budget) { heap.garbage.lists.append(detached) }
      } else if var detached = heap.garbage.tables.popLast() {
        if !free(&detached, budget: &budget) { heap.garbage.tables.append(detached) }
      } else {
        break
      }
    }
    if hasGarbage { return true }
    heap.garbage = Garbage()
    return false
  }

  /// - Returns: whether all is freed.
  private func free(_ kept: inout [KeptChunk], budget: inout Int) -> Bool {
    while budget > 0 {
      guard let chunk = kept.popLast()?.chunk else { return true }
      budget -= Garbage.work(ofBlock: chunk.capacity)
      chunk.release(heap)
    }
    return kept.isEmpty
  }

  /// Frees an entry and all its value, or puts a long list of it aside.
  /// - Returns: the work it was.
  @discardableResult
  func free(_ entry: Entry) -> Int {
    let work = freeValue(of: entry)
    heap.free(entry.base, entry.byteCount)
    return work + 1
  }

  /// Frees the value's memory outside the entry.
  /// - Returns: the work it was.
  @discardableResult
  func freeValue(of entry: Entry) -> Int {
    switch entry.kind {
    case .bytes, .integer:
      return 0
    case .blob:
      let blob = entry.blob
      blob.releaseByEntry(heap)
      return Garbage.work(ofBlock: blob.count)
    case .list:
      return free(DetachedList(entry.list, heap))
    }
  }

  /// Frees pieces that a list has released, or puts it aside if that is too much work.
  func free(_ pieces: [Piece], of list: List) {
    guard !pieces.isEmpty else { return }
    let pin = list.isPinned ? heap.newestPin(of: list) : nil
    _ = free(DetachedList(List(on: heap, pieces: pieces), keptFor: pin))
  }

  /// Frees a list, or puts it aside if that is too much work.
  private func free(_ list: DetachedList) -> Int {
    let limit = garbageLimits.work
    var budget = limit
    var list = list
    let isLong = list.piecesLeft > garbageLimits.listPieces
    if isLong || !list.free(heap, budget: &budget) { heap.garbage.lists.append(list) }
    return limit - budget
  }

  /// Frees the entries of a table that was removed from the directory, and its own memory, or puts
  /// it aside if that is too much work.
  func free(_ table: Table) {
    var detached = DetachedTable(table)
    var budget = garbageLimits.work
    let isLarge = Int(table.count) > garbageLimits.tableKeys
    if isLarge || !free(&detached, budget: &budget) { heap.garbage.tables.append(detached) }
  }

  /// - Returns: whether all is freed.
  private func free(_ detached: inout DetachedTable, budget: inout Int) -> Bool {
    while budget > 0 {
      guard let entry = detached.next() else {
        detached.table.free(heap)
        return true
      }
      budget -= free(entry)
    }
    return false
  }
}
