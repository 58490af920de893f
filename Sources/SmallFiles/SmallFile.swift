// Reads a small file: of a configuration, a credential, a certificate. It never reads more than the
// limit, whatever the file is. Any thread; it blocks as long as the disk does.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package enum SmallFile {
  /// Why a file can't be read. The end of a sentence; it shows nothing of the file's contents.
  package struct Failure: Error, Sendable, Hashable {
    package let reason: String
  }

  /// What is in a file of at most this many bytes.
  ///
  /// - Throws: also if it is larger: its size is checked first, and no more is read if it grows
  ///   meanwhile.
  package static func read(_ path: String, bytesMax: Int) throws(Failure) -> [UInt8] {
    // Otherwise opening a pipe without a writer would not return.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(reason: "it is not a file") }
    let size = Int(status.st_size)
    guard size <= bytesMax else { throw .tooLong(bytesMax) }
    var bytes = [UInt8](repeating: 0, count: size + 1)
    var count = 0
    while count < bytes.count {
      let start = count
      let taken = bytes.withUnsafeMutableBytes { room in
        #if canImport(Glibc)
          Glibc.read(descriptor, room.baseAddress.map { $0 + start }, room.count - start)
        #elseif canImport(Musl)
          Musl.read(descriptor, room.baseAddress.map { $0 + start }, room.count - start)
        #elseif canImport(Darwin)
          Darwin.read(descriptor, room.baseAddress.map { $0 + start }, room.count - start)
        #endif
      }
      if taken < 0, errno == EINTR { continue }
      guard taken >= 0 else { throw .system }
      if taken == 0 { return Array(bytes[..<count]) }
      count += taken
      if count > bytesMax { throw .tooLong(bytesMax) }
      // It has grown since.
      if count == bytes.count {
        bytes += [UInt8](repeating: 0, count: min(count, bytesMax + 1 - count))
      }
    }
    return bytes
  }
}

extension SmallFile.Failure {
  /// The system's latest error.
  fileprivate static var system: Self { Self(reason: String(cString: strerror(errno))) }

  fileprivate static func tooLong(_ bytesMax: Int) -> Self {
    Self(reason: "it has more than \(bytesMax) bytes")
  }
}
