// Small files that are read again when they have changed: when, is told by what the system knows of
// them (number, size and times), which is asked every few seconds. So files that are replaced, the
// way editors, orchestrators and tools that renew certificates do it, are noticed like those that
// are written in place. A value; belongs to its owner, who does the reading.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package struct WatchedFiles: Sendable {
  /// What a look has come to.
  package enum Look: Sendable, Hashable {
    case unchanged
    /// They have changed, and may continue changing.
    case changing
    /// They are to be read. That is said once, whatever the reading comes to.
    case changed
  }

  /// By what a change is told: whatever replaces a file, a rename, another link or new contents,
  /// one of these differs.
  private struct Stamp: Sendable, Equatable {
    let device: UInt64
    let number: UInt64
    let bytes: Int64
    let times: [Int]

    /// Nil: there is no such file.
    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      device = UInt64(truncatingIfNeeded: status.st_dev)
      number = UInt64(status.st_ino)
      bytes = Int64(status.st_size)
      #if canImport(Darwin)
        let (modified, changed) = (status.st_mtimespec, status.st_ctimespec)
      #else
        let (modified, changed) = (status.st_mtim, status.st_ctim)
      #endif
      times = [
        Int(modified.tv_sec), Int(modified.tv_nsec), Int(changed.tv_sec), Int(changed.tv_nsec),
      ]
    }
  }

  package let paths: [String]
  private let waitsForRest: Bool
  private var read: [Stamp?]
  private var found: [Stamp?]

  /// The files as they are now; the owner reads them afterwards.
  ///
  /// - Parameter waitsForRest: whether they are to be found the same twice before they are read.
  ///   For files that belong together, which are seldom replaced at one moment.
  package init(_ paths: [String], waitsForRest: Bool = false) {
    self.paths = paths
    self.waitsForRest = waitsForRest
    read = paths.map { Stamp($0) }
    found = read
  }

  /// Looks whether the files have changed.
  package mutating func look() -> Look {
    let stamps = paths.map { Stamp($0) }
    let isAtRest = stamps == found
    found = stamps
    if stamps == read { return .unchanged }
    if waitsForRest, !isAtRest { return .changing }
    read = stamps
    return .changed
  }
}

/// Looks at files every few seconds.
package enum FileWatch {
  /// The time between two looks.
  package static let interval = Duration.seconds(2)

  /// Looks until the task is cancelled.
  package static func run(_ look: @Sendable () -> Void) async {
    while (try? await Task.sleep(for: interval)) != nil { look() }
  }
}
