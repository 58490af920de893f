// A store that is filled from the images of another.

@testable import Store

/// Puts the keys of images into a store.
struct ImageCopy {
  let target: Store
  let builder: Store.ListBuilder
  /// Where the last image ended.
  var cursor = ImageCursor()

  init(into target: Store) {
    self.target = target
    builder = target.makeListBuilder()
  }

  /// Takes the next image of `source`.
  /// - Returns: how many keys it has.
  @discardableResult
  mutating func takeImage(of source: Store, keys: Int, bytes: Int = .max) throws -> Int {
    var result = Result<Int, any Error>.success(0)
    let (copy, from) = (self, cursor)
    let to = source.image(from: cursor, keys: keys, bytes: bytes) { entry in
      result = Result {
        let isInOrder = from.isBehindOrAt(entry)
        if !isInOrder { throw OutOfOrder() }
        try copy.install(entry)
        return try result.get() + 1
      }
      return (try? result.get()) != nil
    }
    if to < cursor { throw OutOfOrder() }
    cursor = to
    return try result.get()
  }

  struct OutOfOrder: Error {}

  private func install(_ entry: ImageEntry) throws {
    let value: InstalledValue
    switch entry.value {
    case .bytes(let bytes): value = .bytes(bytes)
    case .integer(let number): value = .integer(number)
    case .list(let elements):
      elements.forEach { builder.append($0) }
      value = .list(builder)
    case .pinnedBytes(let pinned):
      try pinned.withBytes(0..<pinned.count) { try install(entry, .bytes($0)) }
      return
    case .pinnedList(let pinned):
      pinned.forEach {
        builder.append($0)
        return true
      }
      value = .list(builder)
    }
    try install(entry, value)
  }

  private func install(_ entry: ImageEntry, _ value: InstalledValue) throws {
    try target.install(
      value, key: entry.key, slot: entry.slot, database: entry.database, version: entry.version,
      expiry: entry.expiry, accessClock: entry.accessClock)
  }
}

extension ImageCursor {
  /// Whether an entry may come in an image from here on.
  func isBehindOrAt(_ entry: ImageEntry) -> Bool {
    !isBehind(slot: entry.slot, database: entry.database, hash: entry.hash, key: entry.key)
  }
}
