// Makes a pass: takes images of a store in turns between its calls, until it has taken all keys
// once. On the store's thread.
//
//     let maker = PassMaker(of: store, begin: appender.position, state: ...)
//     // in each turn, between groups, as long as there is time:
//     while maker.take(asOf: appender.position, keys: 256, bytes: 64 << 10) == .more {}
//     if let chunk = maker.takeChunk() { ... to the writer }      // until isDone

import Store

package final class PassMaker {
  package enum Progress: Equatable {
    case more
    /// The chunk must be taken before there can be more.
    case chunkIsFull
    /// Only the last chunk must still be taken.
    case allTaken
  }

  /// A chunk is full with this many own bytes,
  static let chunkBytes = 1 << 20
  /// or this many bytes of pinned strings, plus a last one.
  static let pinnedBytes = 16 << 20

  private enum State {
    case begins([StateRecord])
    case takesImages
    case ends
    case done
  }

  /// Where the pass begins in the log.
  package let begin: LogPosition
  /// The position at which the last image was taken.
  package private(set) var lastAsOf: LogPosition
  /// The number of keys taken.
  package private(set) var keyCount = 0
  private let store: Store
  private var state: State
  private var cursor = ImageCursor()
  private var chunk: PassChunk?
  /// The table that the chunk's last item is of.
  private var table: (slot: Int, database: Int)?
  private var sections: [(slot: Int, database: Int, place: Int)] = []
  private var images: UInt64 = 0

  /// - Parameters:
  ///   - begin: the log's current position, between groups: the pass contains everything before it.
  ///   - state: the current state from all records of state.
  package init(of store: Store, begin: LogPosition, state: [StateRecord]) {
    precondition(store.slotCount < BatchFormat.noSlot, "slots have 16 bits")
    self.store = store
    self.begin = begin
    lastAsOf = begin
    self.state = .begins(state)
  }

  /// Whether the latest taken chunk is the last of the pass.
  package var isDone: Bool { if case .done = state { true } else { false } }

  /// Whether an effect is on a taken key, so that no later image contains it.
  package func isBehind(_ effect: Effect) -> Bool {
    if case .empty = effect.change {
      return ImageCursor(slot: effect.slot, database: effect.database) < cursor
    }
    return cursor.isBehind(
      slot: effect.slot, database: effect.database, hash: effect.hash, key: effect.key)
  }

  /// Takes a few keys more into the chunk. Between groups.
  /// - Parameters:
  ///   - asOf: the position of the log now.
  ///   - keys: the maximum number of keys to take.
  ///   - bytes: about how many bytes to copy at most.
  package func take(asOf: LogPosition, keys: Int, bytes: Int) -> Progress {
    switch state {
    case .done, .ends: return .allTaken
    case .begins: return .chunkIsFull
    case .takesImages: break
    }
    let chunk = openChunk(asOf: asOf)
    guard chunk.asOf == asOf, !isFull(chunk) else { return .chunkIsFull }
    let start = cursor
    cursor = store.image(from: start, keys: keys, bytes: bytes) { entry in
      add(entry, to: chunk, from: start)
      return !isFull(chunk)
    }
    lastAsOf = asOf
    if cursor >= store.imageEnd {
      state = .ends
      return .allTaken
    }
    return isFull(chunk) ? .chunkIsFull : .more
  }

  /// The current chunk: the images taken since the last one, or the beginning or the end of the
  /// pass.
  /// - Returns: nil if nothing was taken.
  package func takeChunk() -> PassChunk? {
    let taken = chunk ?? makeChunk()
    if let chunk { finish(chunk) }
    chunk = nil
    taken?.close()
    return taken
  }

  /// The beginning or the end, if that is next.
  private func makeChunk() -> PassChunk? {
    switch state {
    case .begins(let records):
      let chunk = PassChunk(.passBegin, asOf: begin)
      PassBegin.write(begin, records, to: &chunk.buffer)
      state = .takesImages
      return chunk
    case .ends:
      let chunk = PassChunk(.passEnd, asOf: lastAsOf)
      PassEnd(lastAsOf: lastAsOf, images: images, keys: UInt64(keyCount)).write(to: &chunk.buffer)
      state = .done
      return chunk
    case .takesImages, .done: return nil
    }
  }

  private func isFull(_ chunk: PassChunk) -> Bool {
    chunk.buffer.count >= Self.chunkBytes || chunk.buffer.otherCount >= Self.pinnedBytes
      || chunk.hasLongList
  }

  private func openChunk(asOf: LogPosition) -> PassChunk {
    if let chunk { return chunk }
    let chunk = PassChunk(.image, asOf: asOf)
    var writer = ByteWriter(chunk.buffer.room(8 + PassFormat.cursorBytesMax(cursor)))
    writer.write(asOf)
    writer.write(cursor)
    chunk.buffer.wrote(upTo: writer.end)
    table = nil
    self.chunk = chunk
    return chunk
  }

  private func add(_ entry: ImageEntry, to chunk: PassChunk, from start: ImageCursor) {
    if table.map({ $0 != (entry.slot, entry.database) }) ?? true {
      let place = chunk.buffer.writeSection(slot: entry.slot, database: entry.database)
      table = (entry.slot, entry.database)
      // A table that an earlier image has begun has its size there.
      if start <= ImageCursor(slot: entry.slot, database: entry.database) {
        sections.append((entry.slot, entry.database, place))
      }
    }
    chunk.buffer.write(entry)
    switch entry.value {
    case .pinnedBytes(let pin): chunk.hold(pin)
    case .pinnedList(let list): chunk.hold(list, of: entry)
    case .bytes, .integer, .list: break
    }
    keyCount += 1
  }

  private func finish(_ chunk: PassChunk) {
    for section in sections {
      let keys = store.keyCount(database: section.database, slot: section.slot)
      chunk.buffer.address(section.place).storeBytes(
        of: UInt32(clamping: keys).littleEndian, as: UInt32.self)
    }
    sections.removeAll(keepingCapacity: true)
    var writer = ByteWriter(chunk.buffer.room(1 + PassFormat.cursorBytesMax(cursor)))
    writer.write(PassFormat.imageEnd)
    writer.write(cursor)
    chunk.buffer.wrote(upTo: writer.end)
    images += 1
  }
}
