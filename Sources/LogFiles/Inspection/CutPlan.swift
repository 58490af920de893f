// The effect of a cut of the log at a position, and whether a shard could start from the rest.
// Reads the files, and changes none: LogCut makes the cut.
//
// The kept files must form a state: a complete pass that ends before the cut with the log from its
// begin to the cut, or the log from its beginning. A pass with images of later positions is removed
// with the log that it needs.
//
// One thread.

package import Log

package struct CutPlan: Sendable, Equatable {
  package let position: LogPosition
  /// The pass that a start will begin with; nil: it begins with the log's beginning.
  package let pass: LogFileName?
  /// Files that are laid aside as they are, in the order in which that is done.
  package internal(set) var moved: [LogFileName] = []
  /// The segment whose end is set aside, if it has bytes after the cut.
  package internal(set) var shortened: Shortened?
  /// Bytes that are set aside, and their readable content: valid batches, and their effects.
  package internal(set) var bytes: UInt64 = 0
  package internal(set) var batches = 0
  package internal(set) var effects = 0
  /// Of the segment that begins at the cut, except for its life.
  let header: FileHeader
  /// Above every version in the bytes set aside, so that none is assigned again; nil: there is
  /// none.
  var ceiling: UInt64?

  package struct Shortened: Sendable, Equatable {
    package let file: LogFile
    package let offset: UInt64
    /// Behind the last byte that isn't 0.
    package let end: UInt64
  }
}

/// Why a log can't be cut there.
package enum CutRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  case refused(LogRefusal)
  case noLog(String)
  /// Nearest positions at which it could be; nil: there is none on that side.
  case noBatch(LogPosition, below: LogPosition?, above: LogPosition?)
  /// The log can be read up to `end` only.
  case beyond(LogPosition, end: LogPosition)
  case nothingBehind(LogPosition)
  /// `lowest`: the lowest possible position of a cut.
  case noStart(LogPosition, why: String, lowest: LogPosition?)

  package var description: String {
    switch self {
    case .refused(let refusal): refusal.reason
    case .noLog(let path): "there is no segment of a log in \(path)."
    case .noBatch(let position, let below, let above):
      "no batch begins at position \(position). \(Self.nearest(below, above))"
    case .beyond(let position, let end):
      "the log can be read up to position \(end) only, and \(position) is after that. "
        + "It can be cut at \(end)."
    case .nothingBehind(let position):
      "the log ends at position \(position): there is nothing to cut."
    case .noStart(let position, let why, let lowest):
      "no shard could start from what a cut at position \(position) leaves: \(why). "
        + (lowest.map { "The lowest position for a cut is \($0)." }
          ?? "No other position helps; restore the directory from a backup.")
    }
  }

  private static func nearest(_ below: LogPosition?, _ above: LogPosition?) -> String {
    let places = [below, above].compactMap { $0.map(String.init) }
    return "The nearest that one \(places.count == 1 ? "does is" : "does are") "
      + places.joined(separator: " and ") + "."
  }
}

extension CutPlan {
  package init(_ directory: LogDirectory, at position: LogPosition) throws(CutRefusal) {
    do throws(CutRefusal) {
      self = try CutPlan(directory, position)
    } catch {
      guard case .noStart(_, let why, let lowest?) = error else { throw error }
      // Reported only if it is possible.
      let isOne = (try? CutPlan(directory, lowest)) != nil
      throw .noStart(position, why: why, lowest: isOne ? lowest : nil)
    }
  }

  private init(_ directory: LogDirectory, _ position: LogPosition) throws(CutRefusal) {
    let survey = try planning { () throws(LogRefusal) in try LogSurvey(of: directory) }
    for unreadable in survey.unreadable {
      // It may be sound.
      if case .newerFormat = unreadable.refusal { throw .refused(unreadable.refusal) }
    }
    try planning { () throws(LogRefusal) in
      // The operator decides which of them to keep.
      try LogContents.checkAlike(survey.segments, directory)
    }
    guard let last = survey.segments.last else { throw .noLog(directory.path) }
    let kept = try KeptLog(survey, directory, upTo: position)
    let passes = try planning { () throws(LogRefusal) in
      try KeptPasses(survey, kept, directory, upTo: position)
    }
    self.init(
      position: position,
      pass: try passes.base(kept, position) { lowest throws(CutRefusal) in
        try Self.place(from: lowest, survey, directory)
      },
      header: kept.header(last: last, newestPass: passes.newest?.position, position))
    try planning { () throws(LogRefusal) in
      moved = Self.behind(survey, position) + passes.dependent
      if let file = kept.segments.last {
        let offset = file.offset(of: position)
        let end = try directory.contentsEnd(of: file, from: offset)
        if end > offset { shortened = Shortened(file: file, offset: offset, end: end) }
      }
      try measure(survey, directory)
    }
    if bytes == 0 { throw .nothingBehind(position) }
  }

  private init(position: LogPosition, pass: LogFileName?, header: FileHeader) {
    self.position = position
    self.pass = pass
    self.header = header
  }

  /// The first place from a position on at which a batch begins, or the end of the last one.
  private static func place(
    from lowest: LogPosition, _ survey: LogSurvey, _ directory: LogDirectory
  ) throws(CutRefusal) -> LogPosition? {
    guard let file = survey.segments.last(where: { $0.position <= lowest }) else { return nil }
    let (scan, begins) = try KeptLog.scan(file, directory)
    return begins.first { $0 >= lowest } ?? (scan.end >= lowest ? scan.end : nil)
  }

  /// Segments that begin at the cut or after it, and those that a start ignores; the last one
  /// first.
  private static func behind(
    _ survey: LogSurvey, _ position: LogPosition
  ) -> [LogFileName] {
    var positions: [LogPosition] = survey.unreadable.compactMap {
      if case .segment(let begin) = $0.name { begin } else { nil }
    }
    positions += survey.segments.map(\.position).filter { $0 >= position }
    return positions.sorted(by: >).map(LogFileName.segment)
  }

  /// Reads the bytes that are set aside, as far as possible.
  private mutating func measure(
    _ survey: LogSurvey, _ directory: LogDirectory
  ) throws(LogRefusal) {
    var seen = CutContents()
    if let shortened {
      bytes += shortened.end - shortened.offset
      try seen.read(shortened.file, from: shortened.offset, directory)
    }
    for file in survey.segments where moved.contains(file.name) {
      let begin = UInt64(FileHeader.byteCount)
      bytes += try directory.contentsEnd(of: file, from: begin) - begin
      try seen.read(file, from: begin, directory)
    }
    let read = Set(survey.segments.map(\.name))
    for name in moved where !read.contains(name) { bytes += try directory.size(of: name) }
    batches = seen.batches
    effects = seen.effects
    ceiling = seen.versionMax
  }

  /// What a cut could do about something that is wrong.
  static func advice(
    for finding: LogFinding, _ directory: LogDirectory, _ survey: LogSurvey
  ) -> Result<CutPlan, CutRefusal>? {
    guard finding.stopsStart, case .corrupt(let path, let offset, _) = finding.refusal,
      let name = LogFileName(
        String(decoding: path.utf8.dropFirst(directory.path.utf8.count + 1), as: UTF8.self)),
      case .segment(let begin) = name
    else { return nil }
    let inFile = offset - min(offset, UInt64(FileHeader.byteCount))
    if let rid = rid(of: name, directory, survey) { return .success(rid) }
    return Result { () throws(CutRefusal) in
      do throws(CutRefusal) {
        return try CutPlan(directory, at: begin &+ inFile)
      } catch {
        // Inside of a complete batch with invalid content.
        guard case .noBatch(_, let below?, _) = error else { throw error }
        return try CutPlan(directory, at: below)
      }
    }
  }

  /// A cut at the end of the log, which sets aside only files that no start needs, including this
  /// one. nil: it is needed.
  private static func rid(
    of name: LogFileName, _ directory: LogDirectory, _ survey: LogSurvey
  ) -> CutPlan? {
    guard survey.unreadable.contains(where: { $0.name == name }), let last = survey.segments.last,
      let scan = try? FileScan(last, in: directory),
      let plan = try? CutPlan(directory, at: scan.end), plan.moved.contains(name)
    else { return nil }
    return plan
  }
}

private func planning<R>(
  _ body: () throws(LogRefusal) -> R
) throws(CutRefusal) -> R {
  do throws(LogRefusal) {
    return try body()
  } catch {
    throw .refused(error)
  }
}
