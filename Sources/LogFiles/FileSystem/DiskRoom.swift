// What a disk has left, and how much that should be, for the sentences that say that it is full.
// A value; any thread.

package struct DiskRoom: Sendable, Hashable, CustomStringConvertible {
  /// Bytes.
  package let free: UInt64
  package let needed: UInt64

  package init(free: UInt64, needed: UInt64) {
    self.free = free
    self.needed = needed
  }

  /// "12 MiB are free, and 72 MiB needed". What is free is rounded down, what is needed up.
  package var description: String {
    let unit = Self.unit(needed)
    return "\(free >> unit.bits) \(unit.name) are free, and "
      + "\((needed &+ (1 << unit.bits - 1)) >> unit.bits) \(unit.name) needed"
  }

  private static func unit(_ bytes: UInt64) -> (bits: UInt64, name: String) {
    bytes < 1 << 20 ? (10, "KiB") : (20, "MiB")
  }

  /// What the disk of a path has, or of the folder in which that is to be made.
  static func free(at path: String, _ files: any FileSystem) -> UInt64 {
    var place = Substring(path)
    while true {
      if let free = try? files.freeBytes(at: String(place)) { return free }
      guard let slash = place.lastIndex(of: "/"), slash > place.startIndex else { return 0 }
      place = place[..<slash]
    }
  }
}
