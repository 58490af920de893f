// From `:path` to a method without asking the service each time. One per event loop.

/// A direct-mapped cache of paths that exist. Fixed size: a client that invents paths can't grow
/// it.
struct MethodCache {
  private struct Entry {
    var path: [UInt8]
    var method: ServerMethod
  }

  private static let slots = 256
  /// A shorter path is never in the cache: there is none of a method.
  private static let pathBytesMin = 3
  private var entries: [Entry?] = Array(repeating: nil, count: slots)

  /// The method of `path`, if it is in the cache. O(length of path).
  func method(_ path: UnsafeRawBufferPointer) -> ServerMethod? {
    guard let base = path.baseAddress, path.count >= Self.pathBytesMin,
      let entry = entries[Self.slot(path)], entry.path.count == path.count,
      entry.path.withUnsafeBytes({ bytes in
        bytes.baseAddress.map { memoryIsEqual($0, base, path.count) } ?? false
      })
    else { return nil }
    return entry.method
  }

  /// Adds a method, in place of one whose path has the same slot. O(length of path).
  mutating func keep(_ method: ServerMethod, of path: UnsafeRawBufferPointer) {
    guard path.count >= Self.pathBytesMin else { return }
    entries[Self.slot(path)] = Entry(path: Array(path), method: method)
  }

  /// Paths of one service differ in length and in their last letters.
  private static func slot(_ path: UnsafeRawBufferPointer) -> Int {
    let last = path.count - 1
    let mix =
      path.count &* 131 &+ Int(path[last]) &* 31 &+ Int(path[last - 1]) &* 7 &+ Int(path[last - 2])
    return mix & (slots - 1)
  }
}
