// Moving an element from one list to another, or to the other end of the same: one group of
// effects.

extension Store {
  package struct Move {
    let from: ListEnd
    let source: KeyPlace
    let to: ListEnd
    let destination: KeyLookup

    /// - Parameters:
    ///   - source: a list.
    ///   - destination: a list, or a key that is not there, in the same slot and database.
    package init(from: ListEnd, of source: KeyPlace, to: ListEnd, of destination: KeyLookup) {
      self.from = from
      self.source = source
      self.to = to
      self.destination = destination
    }
  }

  /// Moves an element. Amortised O(1) plus its copy.
  /// - Returns: the element, and the version of the change of its source; nil if that is not a
  ///   list.
  package func move(_ move: Move) throws(StoreError) -> StringView? {
    try inOneGroup(slot: move.source.lookup.slot) { () throws(StoreError) in
      guard let source = try copyElement(move) else { return nil }
      return try pop(move.from, at: source)
    }
  }

  /// Moves an element as `move` does, and holds it as `popPinned` does.
  package func movePinned(_ move: Move) throws(StoreError) -> PinnedBytes? {
    try inOneGroup(slot: move.source.lookup.slot) { () throws(StoreError) in
      guard let source = try copyElement(move) else { return nil }
      return try popPinned(move.from, at: source)
    }
  }

  /// The destination's half. It comes first, so that a rotated list isn't removed in between,
  /// together with its key's expiry.
  /// - Returns: the source's place then.
  private func copyElement(_ move: Move) throws(StoreError) -> KeyPlace? {
    guard let list = try list(at: move.source) else { return nil }
    let element = list.outermost(at: move.from)
    // The destination may free the memory that contains the element.
    let chunk = list.outermostChunk(at: move.from)
    chunk.retain()
    defer { chunk.release(heap) }
    _ = try push(element, move.to, at: find(again: move.destination))
    return find(again: move.source.lookup)
  }

  /// The place of a key after a change of another.
  private func find(again lookup: KeyLookup) -> KeyPlace {
    find(
      lookup.key, slot: lookup.slot, database: lookup.database, nowMillis: lookup.nowMillis)
  }
}
