// The batches of a log from a position on, or those of one file, for a tool that shows them. A
// shard may be writing the log: bytes after its last complete batch are not a fault, and a fault
// counts only if a second look finds it too.
//
// One thread.

package import Log

package final class BatchWalk {
  package enum Next {
    /// Good until the next call.
    case batch(Batch, in: LogFile)
    /// Why no batch follows; nil: nothing was written there.
    case end(BatchFault?, in: LogFile, offset: UInt64)
  }

  private enum Source {
    case log(LogReader)
    case file(FileBatches)
  }

  private let directory: LogDirectory
  private var source: Source
  /// Batches that end there or before are skipped.
  private let begin: LogPosition
  private var position: LogPosition
  /// Where a fault was found once.
  private var doubted: LogPosition?

  /// - Parameter begin: nil: where a start begins to read.
  package init(
    logOf directory: LogDirectory, from begin: LogPosition?
  ) throws(LogRefusal) {
    self.directory = directory
    let survey = try LogSurvey(of: directory)
    if let unreadable = survey.unreadable.first, survey.segments.isEmpty {
      throw unreadable.refusal
    }
    let named = survey.segments.compactMap(\.header.newestPass).max() ?? 0
    let first = survey.segments.first?.position ?? 0
    self.begin = begin ?? max(named, first)
    position = self.begin
    source = .log(try Self.reader(directory, survey, self.begin))
  }

  package init(
    file name: LogFileName, of directory: LogDirectory, from begin: LogPosition = 0
  ) throws(LogRefusal) {
    self.directory = directory
    let file = try directory.readHeader(name)
    self.begin = begin
    position = begin
    source = .file(
      try refusing { () throws(FileError) in
        try FileBatches(file, in: directory, step: 1 << 20)
      })
  }

  private static func reader(
    _ directory: LogDirectory, _ survey: LogSurvey, _ begin: LogPosition
  ) throws(LogRefusal) -> LogReader {
    guard !survey.segments.isEmpty else {
      throw .missing(file: directory.path, why: "there is no segment of a log in it")
    }
    return try LogReader(directory, segments: survey.segments, from: begin)
  }

  package func next() throws(LogRefusal) -> Next {
    while true {
      switch source {
      case .log(let reader):
        guard let next = try next(of: reader) else { continue }
        return next
      case .file(let batches):
        let file = batches.bytes.file
        switch try refusing({ () throws(FileError) in try batches.next() }) {
        case .read: continue
        case .end(let fault): return .end(fault, in: file, offset: batches.offset)
        case .batch(let batch):
          if isWanted(batch) { return .batch(batch, in: file) }
        }
      }
    }
  }

  private func next(of reader: LogReader) throws(LogRefusal) -> Next? {
    do throws(LogRefusal) {
      switch try reader.next() {
      case .read: return nil
      case .end(let end): return .end(end.fault, in: reader.file, offset: end.offset)
      case .batch(let batch): return isWanted(batch) ? .batch(batch, in: reader.file) : nil
      }
    } catch {
      guard doubted != position else { throw error }
      doubted = position
      source = .log(try Self.reader(directory, LogSurvey(of: directory), position))
      return nil
    }
  }

  private func isWanted(_ batch: Batch) -> Bool {
    let isNew = batch.end > max(begin, position)
    position = max(position, batch.end)
    return isNew
  }
}
