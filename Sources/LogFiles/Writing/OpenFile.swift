// A file that is closed with its last reference, so that the descriptor is never reused while a
// lane is about to sync it. Any thread; the owner writes to it.

package final class OpenFile: Sendable {
  let handle: FileHandle
  let files: any FileSystem

  init(_ handle: FileHandle, _ files: any FileSystem) {
    self.handle = handle
    self.files = files
  }

  deinit { files.close(handle) }

  func write(_ pieces: [UnsafeRawBufferPointer], at offset: UInt64) throws(FileError) {
    try files.write(handle, pieces, at: offset)
  }

  func beginWriteback(from offset: UInt64, count: Int) {
    files.beginWriteback(handle, from: offset, count: count)
  }

  func sync() throws(FileError) { try files.sync(handle) }
}
