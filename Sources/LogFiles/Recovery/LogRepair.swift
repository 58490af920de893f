// The changes of files at a start, after all of them were read: the recovered data is made durable,
// remains of a crash are removed, and a segment of the new life begins. After a crash at any point
// the same data is recovered again.
//
//  1. The torn end of the last segment is cut off. The data after the last known durable position
//     is rewritten and synced: it may be in the page cache only, and a sync without a write would
//     not restore data that an earlier, failed sync has dropped.
//  2. The new segment begins at the end of the log, and names the valid pass.
//  3. Then segments after the end are removed: until now one of them may have been the only one
//     that names the pass. They must be removed before anything is written, or they would follow
//     it later.
//
// One thread.

internal import Log

struct LogRepair {
  private let directory: LogDirectory
  private let contents: LogContents
  private let end: LogEnd
  private let step: Int
  /// Of the segment and the place in the log that is rewritten next.
  private var rewriting: (index: Int, position: LogPosition)?
  private var file: OpenFile?

  init(_ directory: LogDirectory, _ contents: LogContents, _ end: LogEnd, step: Int) {
    self.directory = directory
    self.contents = contents
    self.end = end
    self.step = step
    let first = contents.segments.lastIndex { $0.position <= end.committed } ?? 0
    if end.position > end.committed { rewriting = (first, end.committed) }
  }

  /// Makes a piece of the recovered data durable.
  /// - Returns: bytes written; nil when all is durable.
  mutating func rewrite() throws(FileError) -> Int? {
    guard let (index, position) = rewriting else { return nil }
    let segment = contents.segments[index]
    let segmentEnd =
      index < end.segment ? contents.segments[index + 1].position : end.position
    let start = max(position, segment.position)
    let open: OpenFile
    if let file {
      open = file
    } else {
      let files = directory.files
      open = OpenFile(
        try files.open(directory.filePath(segment.name), for: .writing), files)
      file = open
    }
    if start < segmentEnd {
      let count = Int(min(UInt64(step), segmentEnd - start))
      let offset = UInt64(FileHeader.byteCount) + (start - segment.position)
      let bytes = try directory.files.read(open.handle, count: count, at: offset)
      guard bytes.count == count else {
        throw FileError(.read, open.handle.path, FileErrorCode.inputOutput)
      }
      try directory.files.write(open.handle, bytes, at: offset)
      rewriting = (index, start + UInt64(count))
      return count
    }
    try open.sync()
    file = nil
    rewriting = index < end.segment ? (index + 1, segmentEnd) : nil
    return 0
  }

  /// Cuts off the bytes after the end in the last segment.
  func cut() throws(FileError) {
    let segment = contents.segments[end.segment]
    // The new segment replaces an empty one.
    guard end.position > segment.position, segment.size > end.offset else { return }
    let files = directory.files
    let file = OpenFile(
      try files.open(directory.filePath(segment.name), for: .writing), files)
    try files.truncate(file.handle, to: end.offset)
    try file.sync()
  }

  /// Begins the segment of the new life and removes unneeded files.
  static func begin(
    _ header: FileHeader, in directory: LogDirectory, _ contents: LogContents, end: LogEnd?,
    _ settings: LogFileSettings
  ) throws(FileError) -> LogStart {
    // Files that go may be needless only because of a name that isn't durable yet.
    try directory.files.syncDirectory(directory.path)
    // Frees space first, for a full disk.
    for name in contents.needless { try directory.removeIfThere(name) }
    let spare = try SegmentMaker.makeSpare(
      .spare, in: directory, size: settings.sizes.first)
    if settings.fillsSegments {
      var offset: UInt64 = 0
      while offset < spare.size {
        offset = try SegmentMaker.fill(spare, from: offset, step: settings.sizes.fillStep)
      }
    }
    let segment = try SegmentMaker.begin(spare, header, in: directory)
    let last = end.map { $0.segment + 1 } ?? 0
    let behind = contents.segments[last...]
    for segment in behind { try directory.removeIfThere(segment.name) }
    if !behind.isEmpty { try directory.files.syncDirectory(directory.path) }
    var positions = contents.segments[..<last].map(\.position)
    if positions.last != header.position { positions.append(header.position) }
    return LogStart(
      directory: directory, header: header, segment: segment, segments: positions,
      passes: contents.pass.map { [$0.position] } ?? [])
  }
}
