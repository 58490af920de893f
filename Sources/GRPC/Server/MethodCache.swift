// From `:path` to a method without asking the service each time. One per event loop.

/// A direct-mapped cache of paths that exist. Fixed size: a client that invents paths can't grow
/// it.
struct MethodCache {
  private struct Entry {
    var path: [UInt8]
    var method: ServerMethod
  }

  private static let slots = 256
  private var entries: [Entry?] = Array(repeating: nil, count: slots)

  /// The method of `path`, from the cache or else from `lookUp`. O(length of path).
  mutating func method(
    _ path: UnsafeRawBufferPointer, lookUp: (UnsafeRawBufferPointer) -> ServerMethod?
  ) -> ServerMethod? {
    guard let base = path.baseAddress, path.count >= 3 else { return nil }
    let slot = Self.slot(path)
    if let entry = entries[slot], entry.path.count == path.count,
      entry.path.withUnsafeBytes({ bytes in
        bytes.baseAddress.map { memoryIsEqual($0, base, path.count) } ?? false
      })
    {
      return entry.method
    }
    guard let method = lookUp(path) else { return nil }
    entries[slot] = Entry(path: Array(path), method: method)
    return method
  }

  /// Paths of one service differ in length and in their last letters.
  private static func slot(_ path: UnsafeRawBufferPointer) -> Int {
    let last = path.count - 1
    let mix =
      path.count &* 131 &+ Int(path[last]) &* 31 &+ Int(path[last - 1]) &* 7 &+ Int(path[last - 2])
    return mix & (slots - 1)
  }
}
