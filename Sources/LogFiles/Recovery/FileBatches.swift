// The batches of one file, read a piece at a time. One thread.

internal import Log

/// A file that is read from front to end.
final class FileBytes {
  let file: LogFile
  private let handle: OpenFile
  private let step: Int
  /// Where the next piece begins.
  private(set) var offset: UInt64
  private var buffer: [UInt8]

  /// - Parameter offset: where reading begins; by default after the header.
  init(
    _ file: LogFile, in directory: LogDirectory, step: Int,
    from offset: UInt64 = UInt64(FileHeader.byteCount)
  ) throws(FileError) {
    self.file = file
    let files = directory.files
    handle = OpenFile(
      try files.open(directory.filePath(file.name), for: .reading), files)
    self.step = step
    self.offset = offset
    buffer = [UInt8](repeating: 0, count: step)
  }

  var bytesLeft: UInt64 { file.size - min(file.size, offset) }

  /// Hands the next piece to `body`.
  /// - Returns: the bytes read; 0 at the file's end.
  func readPiece(_ body: (UnsafeRawBufferPointer) -> Void) throws(FileError) -> Int {
    let wanted = Int(min(UInt64(step), bytesLeft))
    if wanted == 0 { return 0 }
    let read = buffer.withUnsafeMutableBytes { buffer in
      Result { () throws(FileError) in
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        let count = try handle.files.read(handle.handle, into: target, at: offset)
        if count > 0 { body(UnsafeRawBufferPointer(rebasing: target[..<count])) }
        return count
      }
    }
    let count = try read.get()
    offset += UInt64(count)
    return count
  }
}

/// Reads the batches of a file.
final class FileBatches {
  let bytes: FileBytes
  private let reader: BatchReader

  enum Outcome {
    /// Good until the next call.
    case batch(Batch)
    /// A piece was read; there is more.
    case read(Int)
    /// No whole batch follows; nil: nothing was written from there on.
    case end(BatchFault?)
  }

  init(_ file: LogFile, in directory: LogDirectory, step: Int) throws(FileError) {
    bytes = try FileBytes(file, in: directory, step: step)
    reader = BatchReader(
      identity: file.header.identity, position: file.header.firstPosition, bytesMax: bytes.bytesLeft
    )
  }

  /// The begin of the next batch, or the end of the reading.
  var position: LogPosition { reader.position }

  /// Where that is in the file.
  var offset: UInt64 {
    UInt64(FileHeader.byteCount) + (reader.position - bytes.file.header.firstPosition)
  }

  /// What was read and is no whole batch.
  var unread: UnsafeRawBufferPointer { reader.unread }

  func next() throws(FileError) -> Outcome {
    switch reader.next() {
    case .batch(let batch): return .batch(batch)
    case .endOfLog: return .end(nil)
    case .bad(let fault): return .end(fault)
    case .needsMore:
      let count = try bytes.readPiece { reader.feed($0) }
      if count == 0 { reader.finish() }
      return .read(count)
    }
  }
}
