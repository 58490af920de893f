// A shard's data directory: which files it has, whether they belong together and to this shard,
// and which of them count. A shard has it locked; opening it changes nothing but LOCK. A tool that
// looks into it may do so beside the shard (LogDirectory+Inspect.swift).
//
// One thread at a time. The lock goes with `close`, or with the process.

package import Log

/// A file of the log and its header.
package struct LogFile: Sendable, Equatable {
  package let name: LogFileName
  package let header: FileHeader
  /// Bytes of the file, its header included.
  package let size: UInt64

  package var position: LogPosition { header.position }
}

package final class LogDirectory: Sendable {
  package let path: String
  package let files: any FileSystem
  package let owner: LogOwner
  /// nil: another process may have it.
  private let lock: FileHandle?
  private let lockIdentity: FileIdentity?
  /// Whether the files must belong to the owner. A tool reads the owner from the files.
  private let checksOwner: Bool
  /// Whether another process was found to have the lock.
  package let isInUse: Bool

  init(
    path: String, files: any FileSystem, owner: LogOwner, checksOwner: Bool,
    lock: (handle: FileHandle, identity: FileIdentity)?, isInUse: Bool = false
  ) {
    self.path = path
    self.files = files
    self.owner = owner
    self.checksOwner = checksOwner
    self.lock = lock?.handle
    lockIdentity = lock?.identity
    self.isInUse = isInUse
  }

  package func filePath(_ name: LogFileName) -> String { "\(path)/\(name.text)" }

  /// Creates the directory and its parents if they are missing, and locks it.
  package static func open(
    _ path: String, as owner: LogOwner, over files: any FileSystem
  ) throws(LogRefusal) -> LogDirectory {
    try reportingFreeSpace(of: path, files, needed: SegmentSizes().first) { () throws(LogRefusal) in
      try locked(path, as: owner, over: files)
    }
  }

  private static func locked(
    _ path: String, as owner: LogOwner, over files: any FileSystem
  ) throws(LogRefusal) -> LogDirectory {
    try refusing { () throws(FileError) in try make(path, files) }
    guard try refusing({ () throws(FileError) in try files.isDirectory(path) }) else {
      throw .notADirectory(path)
    }
    let lock = try refusing { () throws(FileError) in
      try files.open("\(path)/\(LogFileName.lock.text)", for: .creatingIfMissing)
    }
    do throws(LogRefusal) {
      let isLocked = try refusing { () throws(FileError) in try files.lock(lock) }
      guard isLocked else { throw LogRefusal.inUse(path) }
      let identity = try refusing { () throws(FileError) in try files.identity(of: lock) }
      return LogDirectory(
        path: path, files: files, owner: owner, checksOwner: true, lock: (lock, identity))
    } catch {
      files.close(lock)
      throw error
    }
  }

  /// Makes a directory, and those above it that are missing, so that it outlives the machine.
  package static func make(_ path: String, _ files: any FileSystem) throws(FileError) {
    if try files.identity(at: path) != nil { return }
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) }
    if let parent, parent != "/" { try make(parent, files) }
    try files.createDirectory(path)
    if let parent { try files.syncDirectory(parent) }
  }

  package func close() {
    if let lock { files.close(lock) }
  }

  /// Whether the path still means the directory that was locked.
  package func isThere() throws(FileError) -> Bool {
    try files.identity(at: filePath(.lock)) == lockIdentity
  }

  func removeIfThere(_ name: LogFileName) throws(FileError) {
    do throws(FileError) {
      try files.remove(filePath(name))
    } catch {
      if !error.isMissing { throw error }
    }
  }

  // MARK: - What is in it

  /// The files of a directory, by their names.
  struct Listing {
    /// By position, lowest first.
    var segments: [LogPosition] = []
    var passes: [LogPosition] = []
    /// What a start throws away: unfinished passes and prepared segments.
    var leftovers: [LogFileName] = []
    /// What cuts have set aside: no start looks at it.
    var aside: [LogFileName] = []
  }

  func list() throws(LogRefusal) -> Listing {
    let names = try refusing { () throws(FileError) in try files.list(path) }
    var listing = Listing()
    for name in names.sorted().compactMap(LogFileName.init) {
      switch name {
      case .lock: break
      case .segment(let position): listing.segments.append(position)
      case .pass(let position): listing.passes.append(position)
      case .unfinishedPass, .spare, .reserve: listing.leftovers.append(name)
      case .aside: listing.aside.append(name)
      }
    }
    return listing
  }

  /// Opens a file, reads its header and checks that it is this shard's and of its name.
  func readHeader(_ name: LogFileName, kind: FileHeader.Kind) throws(LogRefusal) -> LogFile {
    let found = try readHeader(name)
    let file = filePath(name)
    guard found.header.kind == kind, name == Self.name(of: found.header) else {
      throw .corrupt(file: file, offset: 12, why: "its header belongs to another file")
    }
    if checksOwner { try check(found.header, of: file) }
    return found
  }

  /// Opens a file and reads its header, without checking its content.
  func readHeader(_ name: LogFileName) throws(LogRefusal) -> LogFile {
    let file = filePath(name)
    let (bytes, size) = try refusing { () throws(FileError) in
      let handle = try files.open(file, for: .reading)
      defer { files.close(handle) }
      return (
        try files.read(handle, count: FileHeader.byteCount, at: 0), try files.size(handle)
      )
    }
    let header: FileHeader
    do throws(FileHeader.Defect) {
      let decoded = bytes.withUnsafeBytes { bytes in
        Result { () throws(FileHeader.Defect) in try FileHeader(decoding: bytes) }
      }
      header = try decoded.get()
    } catch {
      throw Self.refusal(of: error, file)
    }
    return LogFile(name: name, header: header, size: size)
  }

  private static func name(of header: FileHeader) -> LogFileName {
    switch header.kind {
    case .log: .segment(header.position)
    case .pass: .pass(header.position)
    }
  }

  private static func refusal(of defect: FileHeader.Defect, _ file: String) -> LogRefusal {
    switch defect {
    case .newerFormat(let format): .newerFormat(file: file, format: format)
    case .unwritten: .corrupt(file: file, offset: 0, why: "it has no header")
    case .foreign: .corrupt(file: file, offset: 0, why: "it doesn't begin like a file of a log")
    case .wrongChecksum: .corrupt(file: file, offset: 0, why: "its header has a wrong checksum")
    case .badField: .corrupt(file: file, offset: 0, why: "its header has an invalid field")
    }
  }

  private func check(_ header: FileHeader, of file: String) throws(LogRefusal) {
    if header.cluster != owner.cluster {
      throw .otherCluster(file: file, found: header.cluster, wanted: owner.cluster)
    }
    if header.shard != owner.shard {
      throw .otherShard(file: file, found: header.shard, wanted: owner.shard)
    }
    if header.seedDigest != owner.seedDigest { throw .otherSeed(file: file) }
  }
}

/// Runs a closure; if the disk is full, adds the free space to the error.
///
/// - Parameter needed: bytes without which the directory can't be used.
func reportingFreeSpace<R>(
  of path: String, _ files: any FileSystem, needed: UInt64, _ body: () throws(LogRefusal) -> R
) throws(LogRefusal) -> R {
  do throws(LogRefusal) {
    return try body()
  } catch {
    guard case .failed(let failure) = error, failure.saysFull else { throw error }
    let room = DiskRoom(free: DiskRoom.free(at: path, files), needed: needed)
    throw .noRoom(directory: path, room, failure)
  }
}

/// Runs file-system calls whose failure means that the directory is refused.
func refusing<R>(_ body: () throws(FileError) -> R) throws(LogRefusal) -> R {
  do throws(FileError) {
    return try body()
  } catch {
    throw .failed(error)
  }
}
