// A segment of the log: a file that is prepared with the name `spare`, with its space allocated,
// and gets its header and name when it is begun. Under `always` it is filled with zeros too, which
// nearly halves the cost of each later fdatasync: there is no metadata to write.
//
// A name `log-...` is only ever given to a file whose header is durable, so a segment without a
// valid header is not the trace of a crash.

internal import Log

/// A prepared segment that is not begun yet.
struct SpareSegment: Sendable {
  let name: LogFileName
  let file: OpenFile
  let size: UInt64
}

/// The segment that is written to.
struct OpenSegment: Sendable {
  let file: OpenFile
  let position: LogPosition
  /// Bytes set aside.
  let size: UInt64
  /// Where the next batch goes in the file.
  var offset: UInt64

  /// Follows each write; the next batch overwrites it. A longer write that found no room may have
  /// left a part of its bytes there, which would look like a damaged batch.
  static let endMark: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0]

  /// Bytes of batches for which space is allocated.
  var room: UInt64 {
    let end = offset + UInt64(Self.endMark.count)
    return end < size ? size - end : 0
  }

  func hasRoom(for count: Int) -> Bool { UInt64(count) <= room }
}

enum SegmentMaker {
  /// Makes a file of zeros with allocated space, and replaces an existing one.
  static func makeSpare(
    _ name: LogFileName, in directory: LogDirectory, size: UInt64
  ) throws(FileError) -> SpareSegment {
    let files = directory.files
    let path = directory.filePath(name)
    if try files.identity(at: path) != nil { try files.remove(path) }
    let file = OpenFile(try files.open(path, for: .creating), files)
    do throws(FileError) {
      try files.allocate(file.handle, size: size)
    } catch {
      try? files.remove(path)
      throw error
    }
    return SpareSegment(name: name, file: file, size: size)
  }

  /// Fills a part of it with zeros.
  /// - Returns: the begin of the next part.
  static func fill(
    _ spare: SpareSegment, from offset: UInt64, step: Int
  ) throws(FileError) -> UInt64 {
    let count = Int(min(UInt64(step), spare.size - offset))
    let zeros = [UInt8](repeating: 0, count: count)
    try spare.file.files.write(spare.file.handle, zeros, at: offset)
    spare.file.beginWriteback(from: offset, count: count)
    return offset + UInt64(count)
  }

  /// Writes the header into the spare segment, makes it durable and gives it its name. A segment of
  /// that name, which is empty, is replaced.
  static func begin(
    _ spare: SpareSegment, _ header: FileHeader, in directory: LogDirectory
  ) throws(FileError) -> OpenSegment {
    let files = directory.files
    try files.write(spare.file.handle, header.encode() + OpenSegment.endMark, at: 0)
    try spare.file.sync()
    try files.rename(
      directory.filePath(spare.name), to: directory.filePath(.segment(header.position)))
    try files.syncDirectory(directory.path)
    return OpenSegment(
      file: spare.file, position: header.position, size: spare.size,
      offset: UInt64(FileHeader.byteCount))
  }
}
