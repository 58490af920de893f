// The file system of the machine. Each call is one system call, or several if the system may do
// only a part of the work; interrupted calls are repeated. Has no state. Any thread.

internal import CWriteback

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

package final class PosixFiles: FileSystem {
  package init() {}

  /// Only the shard's user reads its data.
  private static let fileMode: mode_t = 0o600
  private static let directoryMode: mode_t = 0o700
  /// POSIX guarantees at least 16 pieces for `writev`; Linux accepts 1024.
  private static let piecesMax = 512

  /// Calls `body` until no signal interrupts it.
  private func call<Number: SignedInteger>(
    _ name: FileCall, _ path: String, _ body: () -> Number
  ) throws(FileError) -> Number {
    while true {
      let result = body()
      if result >= 0 { return result }
      let code = errno
      if code != EINTR { throw FileError(name, path, code) }
    }
  }

  package func open(_ path: String, for opening: FileOpening) throws(FileError) -> FileHandle {
    let flags =
      switch opening {
      case .reading: O_RDONLY
      case .writing: O_RDWR
      case .creating: O_RDWR | O_CREAT | O_EXCL
      case .creatingIfMissing: O_RDWR | O_CREAT
      }
    let descriptor = try call(.open, path) {
      // Opening must not wait for something that is not a file, such as a pipe.
      posixOpen(path, flags | O_CLOEXEC | O_NONBLOCK, Self.fileMode)
    }
    return FileHandle(descriptor: descriptor, path: path)
  }

  package func close(_ file: FileHandle) {
    // After a failure the descriptor is closed too (Linux), and `sync` reports errors of earlier
    // writes.
    _ = posixClose(file.descriptor)
  }

  package func read(
    _ file: FileHandle, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(FileError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = try call(.read, file.path) {
        pread(file.descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      }
      if got == 0 { break }
      done += got
    }
    return done
  }

  package func write(
    _ file: FileHandle, _ pieces: [UnsafeRawBufferPointer], at offset: UInt64
  ) throws(FileError) {
    var vectors: [iovec] = []
    vectors.reserveCapacity(pieces.count)
    for piece in pieces where !piece.isEmpty {
      vectors.append(
        iovec(
          iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: piece.count))
    }
    var first = 0
    var offset = off_t(offset)
    while first < vectors.count {
      let count = min(vectors.count - first, Self.piecesMax)
      var written = try call(.write, file.path) {
        vectors.withUnsafeBufferPointer { all in
          pwritev(
            file.descriptor, all.baseAddress.map { $0 + first }, Int32(count), offset)
        }
      }
      // Nothing written and no error: there is no reason, and repeating the call could loop
      // forever.
      if written == 0 { throw FileError(.write, file.path, EIO) }
      offset += off_t(written)
      while written > 0 {
        let length = vectors[first].iov_len
        if written >= length {
          written -= length
          first += 1
        } else {
          vectors[first].iov_base = vectors[first].iov_base.map { $0 + written }
          vectors[first].iov_len = length - written
          written = 0
        }
      }
    }
  }

  package func sync(_ file: FileHandle) throws(FileError) {
    _ = try call(.sync, file.path) { fdatasync(file.descriptor) }
  }

  package func beginWriteback(_ file: FileHandle, from offset: UInt64, count: Int) {
    CWriteback_begin(file.descriptor, Int64(offset), Int64(count))
  }

  package func dropCache(_ file: FileHandle, from offset: UInt64, count: Int) {
    _ = posix_fadvise(file.descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
  }

  package func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = try call(.syncDirectory, path) {
      posixOpen(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    }
    defer { _ = posixClose(descriptor) }
    _ = try call(.syncDirectory, path) { fsync(descriptor) }
  }

  package func rename(_ path: String, to newPath: String) throws(FileError) {
    _ = try call(.rename, path) { posixRename(path, newPath) }
  }

  package func remove(_ path: String) throws(FileError) {
    _ = try call(.remove, path) { unlink(path) }
  }

  package func createDirectory(_ path: String) throws(FileError) {
    _ = try call(.createDirectory, path) { mkdir(path, Self.directoryMode) }
  }

  package func list(_ directory: String) throws(FileError) -> [String] {
    guard let stream = opendir(directory) else { throw FileError(.list, directory, errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw FileError(.list, directory, errno) }
        return names
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
        name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  package func truncate(_ file: FileHandle, to size: UInt64) throws(FileError) {
    _ = try call(.truncate, file.path) { ftruncate(file.descriptor, off_t(size)) }
  }

  package func allocate(_ file: FileHandle, size: UInt64) throws(FileError) {
    while true {
      // Where a file system can't reserve, the library writes into each block instead.
      let code = posix_fallocate(file.descriptor, 0, off_t(size))
      if code == 0 { return }
      if code != EINTR { throw FileError(.allocate, file.path, code) }
    }
  }

  private func status(of file: FileHandle) throws(FileError) -> stat {
    var status = stat()
    _ = try call(.status, file.path) { fstat(file.descriptor, &status) }
    return status
  }

  private func status(at path: String) throws(FileError) -> stat {
    var status = stat()
    _ = try call(.status, path) { stat(path, &status) }
    return status
  }

  package func size(_ file: FileHandle) throws(FileError) -> UInt64 {
    UInt64(try status(of: file).st_size)
  }

  package func lock(_ file: FileHandle) throws(FileError) -> Bool {
    do {
      _ = try call(.lock, file.path) { flock(file.descriptor, LOCK_EX | LOCK_NB) }
      return true
    } catch {
      if error.code == EWOULDBLOCK { return false }
      throw error
    }
  }

  private func identity(_ status: stat) -> FileIdentity {
    FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
  }

  package func identity(of file: FileHandle) throws(FileError) -> FileIdentity {
    identity(try status(of: file))
  }

  package func identity(at path: String) throws(FileError) -> FileIdentity? {
    do {
      return identity(try status(at: path))
    } catch {
      if error.isMissing || error.code == ENOTDIR { return nil }
      throw error
    }
  }

  package func isDirectory(_ path: String) throws(FileError) -> Bool {
    try status(at: path).st_mode & S_IFMT == S_IFDIR
  }

  package func freeBytes(at path: String) throws(FileError) -> UInt64 {
    try room(at: path).free
  }

  // MARK: - The disk

  /// The bytes of the disk of a path, and those that may still be written.
  package func room(at path: String) throws(FileError) -> (free: UInt64, size: UInt64) {
    var status = statvfs()
    _ = try call(.freeBytes, path) { statvfs(path, &status) }
    let unit = UInt64(status.f_frsize)
    return (UInt64(status.f_bavail) &* unit, UInt64(status.f_blocks) &* unit)
  }

  /// The bytes of the disk that the files of a directory take. What goes while it is looked at
  /// doesn't count, and neither does what is in directories of the directory.
  package func bytesTaken(in directory: String) throws(FileError) -> UInt64 {
    var bytes: UInt64 = 0
    for name in try list(directory) {
      guard let status = try? status(at: "\(directory)/\(name)"),
        status.st_mode & S_IFMT == S_IFREG
      else { continue }
      // Blocks of 512 bytes, whatever those of the file system are: stat(2).
      bytes &+= UInt64(max(0, status.st_blocks)) &* 512
    }
    return bytes
  }
}

// The class has methods of these names, which hide the system's.
private func posixOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
  open(path, flags, mode)
}

private func posixClose(_ descriptor: Int32) -> Int32 { close(descriptor) }

private func posixRename(_ from: String, _ to: String) -> Int32 { rename(from, to) }
