// A small file that is read again when it has changed: when, is told by what the system knows of it
// (its number, size and times), which is asked every few seconds. So files that are replaced, the
// way editors and orchestrators do it, are noticed like those that are written in place. Belongs to
// its owner.

import Glibc

struct WatchedFile {
  let path: String
  private let bytesMax: Int
  private var stamp: Stamp?

  /// Why a file can't be read. A sentence's end.
  struct Failure: Error, Hashable {
    let reason: String
  }

  private struct Stamp: Equatable {
    let device: UInt64
    let number: UInt64
    let bytes: Int64
    let modified: [Int]

    init(_ status: stat) {
      device = UInt64(status.st_dev)
      number = UInt64(status.st_ino)
      bytes = Int64(status.st_size)
      modified = [
        status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
        status.st_ctim.tv_nsec,
      ]
    }
  }

  /// - Parameter bytesMax: a longer file is read up to the byte after it.
  init(_ path: String, bytesMax: Int) {
    self.path = path
    self.bytesMax = bytesMax
  }

  /// Whether it is another than was read last, or there is none any more.
  func hasChanged() -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return stamp != nil }
    return Stamp(status) != stamp
  }

  /// Reads it. A file that can't be read counts as read until it changes.
  mutating func read() throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(errno))
      stamp = nil
      throw Failure(reason: reason)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Failure(reason: String(cString: strerror(errno)))
    }
    stamp = Stamp(status)
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(reason: "it is no file") }
    var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
    var count = 0
    while count < bytes.count {
      let start = count
      let read = bytes.withUnsafeMutableBytes { room in
        Glibc.read(descriptor, room.baseAddress.map { $0 + start }, room.count - start)
      }
      if read < 0, errno == EINTR { continue }
      guard read >= 0 else { throw Failure(reason: String(cString: strerror(errno))) }
      if read == 0 { break }
      count += read
    }
    return Array(bytes[..<count])
  }
}
