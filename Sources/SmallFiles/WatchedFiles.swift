// Small files that are read again when they have changed. Changes are detected by the system's data
// on the files (number, size and times), checked every few seconds. So files that are replaced, as
// by editors, orchestrators and tools that renew certificates, are noticed like files that are
// written in place. A value; its owner reads the files.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package struct WatchedFiles: Sendable {
  /// The result of a check.
  package enum Look: Sendable, Hashable {
    case unchanged
    /// They have changed, and may continue changing.
    case changing
    /// They are to be read. Reported once, whether reading succeeds or not.
    case changed
  }

  /// The data that reveals a change: after a rename, another link or new contents, one of these
  /// differs.
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
  /// - Parameter waitsForRest: whether two checks must find them the same before they are read. For
  ///   files that belong together, which are rarely replaced at the same time.
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
