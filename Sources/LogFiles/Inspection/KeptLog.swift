// The log and the passes before a position at which it is to be cut: whether the position is
// between two batches, from where the log is complete up to it, and which pass forms a state with
// it.
//
// One thread. Changes no file.

internal import Log

/// The segments that lead up to a position without a gap.
struct KeptLog {
  /// Ascending.
  private(set) var segments: [LogFile] = []
  /// The greatest durable position in them.
  private var committed: LogPosition = 0
  private let position: LogPosition
  /// The end of the valid part of the last segment before the position.
  private var end: LogPosition

  init(
    _ survey: LogSurvey, _ directory: LogDirectory, upTo position: LogPosition
  ) throws(CutRefusal) {
    self.position = position
    end = position
    let before = survey.segments.filter { $0.position < position }
    guard let last = before.last else {
      let first = Self.positions(of: survey).min() ?? 0
      guard first == position else { throw .noBatch(position, below: nil, above: first) }
      return
    }
    try take(last, directory)
    guard end >= position else { throw .beyond(position, end: end) }
    // From the last one back, as long as each ends at the begin of the next one.
    for file in before.dropLast().reversed() {
      guard let next = segments.first else { break }
      let scan = try Self.scan(file, directory)
      guard scan.scan.end == next.position else { break }
      committed = max(committed, scan.scan.committed)
      segments.insert(file, at: 0)
    }
  }

  private static func positions(of survey: LogSurvey) -> [LogPosition] {
    (survey.segments.map(\.name) + survey.unreadable.map(\.name)).compactMap { name in
      if case .segment(let begin) = name { begin } else { nil }
    }
  }

  private mutating func take(
    _ file: LogFile, _ directory: LogDirectory
  ) throws(CutRefusal) {
    let (scan, begins) = try Self.scan(file, directory)
    let places = begins + [scan.end]
    if scan.end > position, !places.contains(position) {
      throw .noBatch(
        position, below: places.last { $0 < position }, above: places.first { $0 > position })
    }
    end = min(scan.end, position)
    committed = max(committed, scan.committed)
    segments = [file]
  }

  /// A segment, and the begins of its batches.
  static func scan(
    _ file: LogFile, _ directory: LogDirectory
  ) throws(CutRefusal) -> (scan: FileScan, begins: [LogPosition]) {
    var begins: [LogPosition] = []
    do throws(LogRefusal) {
      let scan = try FileScan(file, in: directory) { begins.append($0.position) }
      return (scan, begins)
    } catch {
      throw .refused(error)
    }
  }

  /// The begin of the kept log.
  var begin: LogPosition { segments.first?.position ?? position }

  /// The newest pass that the segments which stay name.
  var named: LogPosition? { segments.compactMap(\.header.newestPass).max() }

  /// Of the segment that begins at the cut.
  func header(
    last: LogFile, newestPass: LogPosition?, _ position: LogPosition
  ) -> FileHeader {
    var header = segments.last?.header ?? last.header
    header.kind = .log
    header.position = position
    // The known durable position: the next start rewrites everything after it.
    header.committed = min(position, committed)
    header.newestPass = newestPass
    return header
  }
}

extension LogDirectory {
  /// Behind the last byte of a file that isn't 0; `offset`, if there is none from there on.
  func contentsEnd(of file: LogFile, from offset: UInt64) throws(LogRefusal) -> UInt64 {
    try refusing { () throws(FileError) in
      let bytes = try FileBytes(file, in: self, step: 1 << 20, from: offset)
      var (start, end) = (offset, offset)
      while bytes.bytesLeft > 0 {
        let count = try bytes.readPiece { piece in
          if let last = piece.lastIndex(where: { $0 != 0 }) { end = start + UInt64(last) + 1 }
        }
        if count == 0 { break }
        start = bytes.offset
      }
      return end
    }
  }
}

/// The passes of a directory, as a cut sees them.
struct KeptPasses {
  /// The newest one that forms a state with the kept log.
  private(set) var newest: LogFile?
  /// Those that aren't complete without the log that is cut, or can't be read.
  private(set) var dependent: [LogFileName] = []
  /// Ends of complete passes whose log exists.
  private var ends: [LogPosition] = []

  init(
    _ survey: LogSurvey, _ kept: KeptLog, _ directory: LogDirectory, upTo position: LogPosition
  ) throws(LogRefusal) {
    for unreadable in survey.unreadable {
      if case .pass = unreadable.name { dependent.append(unreadable.name) }
    }
    let lineage = kept.segments.last?.header.lineage
    for file in survey.passes {
      guard lineage == nil || file.header.lineage == lineage else { continue }
      let scan = try FileScan(file, in: directory)
      guard let end = scan.passEnd, scan.fault == nil, scan.defect == nil else {
        dependent.append(file.name)
        continue
      }
      if file.position >= kept.begin { ends.append(end.lastAsOf) }
      if end.lastAsOf > position {
        dependent.append(file.name)
      } else if file.position >= kept.begin {
        newest = file
      }
    }
  }

  /// The pass that a start begins with.
  /// - Parameter place: finds the next possible cut from a position on.
  func base(
    _ kept: KeptLog, _ position: LogPosition,
    _ place: (LogPosition) throws(CutRefusal) -> LogPosition?
  ) throws(CutRefusal) -> LogFileName? {
    if let named = kept.named, newest.map({ $0.position < named }) ?? true {
      throw .noStart(
        position,
        why: "the log before it names the pass that begins at \(named), which is not "
          + "there or not complete", lowest: nil)
    }
    if let newest { return newest.name }
    guard kept.begin == 0 else {
      var lowest: LogPosition?
      if let end = ends.min() { lowest = try place(end) }
      throw .noStart(
        position,
        why: "the log before position \(kept.begin) has been removed, and no pass is complete "
          + "with the log up to the cut", lowest: lowest)
    }
    return nil
  }
}
