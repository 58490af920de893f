// The files of a log's directory at a start: its segments and the valid pass, checked to be of one
// log and of this shard. Changes nothing.

package import Log

package struct LogContents: Sendable {
  /// Ascending. Empty: the directory is new.
  package let segments: [LogFile]
  /// The newest complete pass, with which the log's reading begins.
  package let pass: LogFile?
  /// What isn't needed: unfinished and older passes, older segments, prepared ones.
  let needless: [LogFileName]

  /// The position from which the log must be read.
  package var begin: LogPosition { pass?.position ?? 0 }

  package var isNew: Bool { segments.isEmpty }

  package init(of directory: LogDirectory) throws(LogRefusal) {
    let listing = try directory.list()
    var segments: [LogFile] = []
    for position in listing.segments {
      segments.append(try directory.readHeader(.segment(position), kind: .log))
    }
    try Self.checkAlike(segments, directory)
    // Each header names the newest pass of its time, and was durable before older files went.
    let named = segments.compactMap(\.header.newestPass).max()
    if segments.isEmpty, let stray = listing.passes.first {
      throw .missing(
        file: directory.filePath(.segment(stray)), why: "there is a pass and no segment of the log")
    }
    var needless = listing.leftovers
    needless += listing.passes.filter { $0 != named }.map(LogFileName.pass)
    if let named {
      guard listing.passes.contains(named) else {
        throw .missing(
          file: directory.filePath(.pass(named)), why: "the log's segments say that it is complete")
      }
      let pass = try directory.readHeader(.pass(named), kind: .pass)
      try Self.checkAlike([segments[0], pass], directory)
      self.pass = pass
      let count = max(0, (segments.firstIndex { $0.position > named } ?? segments.count) - 1)
      needless += segments[..<count].map(\.name)
      segments.removeFirst(count)
    } else {
      pass = nil
    }
    self.segments = segments
    self.needless = needless
  }

  static func checkAlike(
    _ all: [LogFile], _ directory: LogDirectory
  ) throws(LogRefusal) {
    guard let first = all.first else { return }
    for one in all
    where one.header.lineage != first.header.lineage
      || one.header.directory != first.header.directory
    {
      throw .mixed(
        file: directory.filePath(one.name), other: directory.filePath(first.name))
    }
  }
}
