// A file that is closed with its last reference, so that a lane which is about to sync it never
// finds its descriptor in other use. Any thread; what is written to it is its owner's matter.

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

  func sync() throws(FileError) { try files.sync(handle) }
}
