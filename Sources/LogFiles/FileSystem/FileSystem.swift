// The file system for the log: few calls, each of which blocks, and one error for all of them.
// `PosixFiles` is the real one; tests have a simulated disk that loses unsynced data.
//
// What an implementation promises, and all that callers may build on:
//   * A write is durable when a later `sync` of its file has returned, and not before. Until then a
//     power loss may keep any of its sectors and drop the others, older and newer ones alike.
//   * A name in a directory (created, renamed, removed) is durable when a later `syncDirectory` has
//     returned. `rename` replaces a file of the new name in one step.
//   * After a failed `sync` the state of earlier writes is unknown, also after a second `sync`
//     that succeeds: the system may have dropped the pages with the first.
//
// Any thread.

/// A file that is open. A value; the file system that made it closes it.
package struct FileHandle: Sendable, Hashable {
  package let descriptor: Int32
  /// For messages; the file may have another name by now.
  package let path: String

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }
}

/// The identity of the file of a path or a handle, independent of its name.
package struct FileIdentity: Sendable, Hashable {
  package let device: UInt64
  package let number: UInt64

  package init(device: UInt64, number: UInt64) {
    self.device = device
    self.number = number
  }
}

/// A call of the file system that failed.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The system's name of the call, as in its manual.
  package let call: FileCall
  package let path: String
  package let code: Int32

  package init(_ call: FileCall, _ path: String, _ code: Int32) {
    self.call = call
    self.path = path
    self.code = code
  }

  package var description: String { "\(call) of \(path): \(FileErrorCode.text(of: code))" }

  /// True if the call has done nothing, or a part of a write, because the disk or the user's quota
  /// is full. It may be repeated. Not so a sync: its data may be lost.
  package var isForWantOfRoom: Bool {
    guard saysFull else { return false }
    return switch call {
    case .open, .write, .allocate, .rename: true
    default: false
    }
  }

  package var saysFull: Bool { code == FileErrorCode.noSpace || code == FileErrorCode.overQuota }

  package var isMissing: Bool { code == FileErrorCode.noEntry }
}

/// The calls that can fail. Listed, so that an error needs no memory of its own for the name.
package enum FileCall: String, Sendable, CustomStringConvertible, CaseIterable {
  case open, close, read, write, sync, syncDirectory, rename, remove, list, truncate, allocate
  case status, lock, createDirectory, freeBytes

  package var description: String { rawValue }
}

package enum FileOpening: Sendable {
  /// The file must exist.
  case reading
  /// The file must exist.
  case writing
  /// The file must not exist.
  case creating
  /// Created if it isn't there.
  case creatingIfMissing
}

package protocol FileSystem: AnyObject, Sendable {
  func open(_ path: String, for opening: FileOpening) throws(FileError) -> FileHandle

  /// Closes the file and releases its lock; the durability of written data doesn't change.
  func close(_ file: FileHandle)

  /// Reads at `offset` until the buffer is full or the file ends.
  /// - Returns: the number of bytes read.
  func read(
    _ file: FileHandle, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(FileError) -> Int

  /// Writes all pieces one after another from `offset` on, and grows the file if needed. After an
  /// error any part of them may be written.
  func write(
    _ file: FileHandle, _ pieces: [UnsafeRawBufferPointer], at offset: UInt64
  ) throws(FileError)

  /// Makes the file's bytes and its length durable; not its name.
  func sync(_ file: FileHandle) throws(FileError)

  /// Begins to write a part of the file to the disk, so that the next `sync` has less to do. A
  /// hint: it promises nothing and cannot fail.
  func beginWriteback(_ file: FileHandle, from offset: UInt64, count: Int)

  /// Drops what the system holds of a part of the file in memory, if it is on the disk. A hint, for
  /// a file that is not read any more.
  func dropCache(_ file: FileHandle, from offset: UInt64, count: Int)

  /// Makes durable which names the directory has.
  func syncDirectory(_ path: String) throws(FileError)

  func rename(_ path: String, to newPath: String) throws(FileError)

  func remove(_ path: String) throws(FileError)

  func createDirectory(_ path: String) throws(FileError)

  /// The names in a directory, in no order.
  func list(_ directory: String) throws(FileError) -> [String]

  func truncate(_ file: FileHandle, to size: UInt64) throws(FileError)

  /// Reserves space for the first `size` bytes, and extends a shorter file to that length; new
  /// bytes read as zeros.
  func allocate(_ file: FileHandle, size: UInt64) throws(FileError)

  func size(_ file: FileHandle) throws(FileError) -> UInt64

  /// Takes the file's lock, of which there is one for all processes.
  /// - Returns: false if another handle has it.
  func lock(_ file: FileHandle) throws(FileError) -> Bool

  func identity(of file: FileHandle) throws(FileError) -> FileIdentity

  /// - Returns: nil if there is no such path.
  func identity(at path: String) throws(FileError) -> FileIdentity?

  func isDirectory(_ path: String) throws(FileError) -> Bool

  /// Bytes that may still be written to the disk of a path.
  func freeBytes(at path: String) throws(FileError) -> UInt64
}

extension FileSystem {
  package func beginWriteback(_ file: FileHandle, from offset: UInt64, count: Int) {}

  package func dropCache(_ file: FileHandle, from offset: UInt64, count: Int) {}

  package func write(
    _ file: FileHandle, _ bytes: [UInt8], at offset: UInt64
  ) throws(FileError) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(FileError) in try write(file, [bytes], at: offset) }
    }
    try result.get()
  }

  /// Up to `count` bytes from `offset` on; fewer at the end of the file.
  package func read(
    _ file: FileHandle, count: Int, at offset: UInt64
  ) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let result = bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(FileError) in try read(file, into: buffer, at: offset) }
    }
    let got = try result.get()
    bytes.removeLast(count - got)
    return bytes
  }
}
