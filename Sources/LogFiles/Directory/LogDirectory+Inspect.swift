// Opening a directory for a tool that inspects it, or cuts its log: the owner is read from the
// files. Creates no directory, and no file except LOCK if a lock is needed.

internal import Log

extension LogDirectory {
  package enum Locking: Sendable {
    /// A shard may be using the directory: no lock is taken.
    case none
    /// Held until `close`, unless another process has it: `isInUse`.
    case ifFree
    /// Refused if another process has it.
    case required
  }

  package static func inspect(
    _ path: String, over files: any FileSystem, locking: Locking
  ) throws(LogRefusal) -> LogDirectory {
    let isDirectory = try refusing { () throws(FileError) in
      guard try files.identity(at: path) != nil else {
        throw FileError(.open, path, FileErrorCode.noEntry)
      }
      return try files.isDirectory(path)
    }
    guard isDirectory else { throw .notADirectory(path) }
    let lock = try lock(path, files, locking)
    if case .taken = lock, locking == .required { throw .inUse(path) }
    var held: (handle: FileHandle, identity: FileIdentity)?
    if case .held(let handle, let identity) = lock { held = (handle, identity) }
    let unknown = LogDirectory(
      path: path, files: files, owner: LogOwner(cluster: "", shard: "", seedDigest: 0),
      checksOwner: false, lock: nil)
    do throws(LogRefusal) {
      let owner = try unknown.ownerOfFiles()
      var isInUse = false
      if case .taken = lock { isInUse = true }
      return LogDirectory(
        path: path, files: files, owner: owner, checksOwner: false, lock: held, isInUse: isInUse)
    } catch {
      if let held { files.close(held.handle) }
      throw error
    }
  }

  private enum Lock {
    /// It wasn't requested, or there is none.
    case none
    case held(FileHandle, FileIdentity)
    case taken
  }

  private static func lock(
    _ path: String, _ files: any FileSystem, _ locking: Locking
  ) throws(LogRefusal) -> Lock {
    if locking == .none { return .none }
    let lockPath = "\(path)/\(LogFileName.lock.text)"
    return try refusing { () throws(FileError) in
      if locking == .ifFree, try files.identity(at: lockPath) == nil { return .none }
      let handle = try files.open(
        lockPath, for: locking == .required ? .creatingIfMissing : .reading)
      do throws(FileError) {
        if try files.lock(handle) { return .held(handle, try files.identity(of: handle)) }
        files.close(handle)
        return .taken
      } catch {
        files.close(handle)
        throw error
      }
    }
  }

  /// From the newest segment with a valid header, or else from a pass.
  private func ownerOfFiles() throws(LogRefusal) -> LogOwner {
    let listing = try list()
    let names =
      listing.segments.reversed().map { ($0, FileHeader.Kind.log) }
      + listing.passes.reversed().map { ($0, FileHeader.Kind.pass) }
    for (position, kind) in names {
      let name = kind == .log ? LogFileName.segment(position) : .pass(position)
      if let header = try? readHeader(name, kind: kind).header {
        return LogOwner(
          cluster: header.cluster, shard: header.shard, seedDigest: header.seedDigest)
      }
    }
    return owner
  }
}
