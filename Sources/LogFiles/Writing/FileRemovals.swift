// Files that are removed one after another, in short steps. The removal of a long file that the
// system has in memory is one call of many milliseconds, and meanwhile nothing else may run on that
// core. So its pages are dropped part by part before its name is removed.

internal import Log

struct FileRemovals {
  private let directory: LogDirectory
  /// Oldest first.
  private var names: [LogFileName] = []
  /// Of the first of them; nil if it isn't begun.
  private var drop: CacheDrop?

  init(_ directory: LogDirectory) {
    self.directory = directory
  }

  var isEmpty: Bool { names.isEmpty }

  mutating func append(_ more: [LogFileName]) { names += more }

  /// One step. After the step that removes the last file, all removals are durable.
  mutating func perform() throws(FileError) {
    guard let name = names.first else { return }
    if drop == nil { drop = CacheDrop(of: name, in: directory) }
    if drop?.perform() == true { return }
    drop = nil
    try directory.removeIfThere(name)
    names.removeFirst()
    if names.isEmpty { try directory.files.syncDirectory(directory.path) }
  }
}

/// Drops what the system has of a file in memory, in short steps.
struct CacheDrop {
  /// Bytes of one step.
  private static let stepBytes = 1 << 20

  private let file: OpenFile
  private let size: UInt64
  private var offset: UInt64 = 0

  /// nil: the file isn't there, or can't be opened.
  init?(of name: LogFileName, in directory: LogDirectory) {
    let files = directory.files
    guard let handle = try? files.open(directory.filePath(name), for: .reading) else { return nil }
    file = OpenFile(handle, files)
    guard let size = try? files.size(handle) else { return nil }
    self.size = size
  }

  /// - Returns: false if there was nothing left to do.
  mutating func perform() -> Bool {
    guard offset < size else { return false }
    file.files.dropCache(file.handle, from: offset, count: Self.stepBytes)
    offset += UInt64(Self.stepBytes)
    return true
  }
}
