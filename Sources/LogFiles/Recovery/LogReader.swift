// Reads the log's batches from its segments, from the one with a position to the log's end, and
// classifies that end: a clean end, the torn end of a crash, or a corruption. Changes no file.
//
// The end is the first place without a complete batch at which no segment begins. The bytes after
// it, in that segment and in later ones, are searched for a sign that they were durable
// (`TornSearch`). With such a sign the log is corrupt; without one they are from writes that were
// never reported as synced.
//
// One thread.

package import Log

/// The end of a log.
package struct LogEnd: Sendable {
  package let position: LogPosition
  /// The segment in which that is, as an index of the segments read.
  let segment: Int
  /// Where that is in its file.
  package let offset: UInt64
  /// The greatest durable position in headers and batches.
  package let committed: LogPosition
  /// Why no batch follows; nil: nothing was written there.
  package let fault: BatchFault?
}

package final class LogReader {
  package enum Outcome {
    /// Good until the next call.
    case batch(Batch)
    /// This many bytes were read; there is more.
    case read(Int)
    case end(LogEnd)
  }

  private enum State {
    case reads(FileBatches)
    case searches(TornSearch, LogEnd, FileBytes?)
    case ended(LogEnd)
  }

  private let directory: LogDirectory
  private let segments: [LogFile]
  private let step: Int
  private var index: Int
  private var committed: LogPosition
  private var state: State

  /// - Parameters:
  ///   - segments: ascending and not empty.
  ///   - begin: the latest position at which the reading may begin.
  ///   - step: bytes that one call of `next` reads at most.
  package init(
    _ directory: LogDirectory, segments: [LogFile], from begin: LogPosition, step: Int = 1 << 20
  ) throws(LogRefusal) {
    self.directory = directory
    self.segments = segments
    self.step = step
    guard let first = segments.lastIndex(where: { $0.position <= begin }) else {
      throw .missing(
        file: directory.filePath(.segment(begin)),
        why: "the log is needed from position \(begin) on, and the first segment begins later")
    }
    index = first
    committed = segments.map(\.header.committed).max() ?? 0
    state = .reads(
      try refusing { () throws(FileError) in
        try FileBatches(segments[first], in: directory, step: step)
      })
  }

  /// The current segment, or the one in which the reading ended.
  var file: LogFile {
    if case .ended(let end) = state { return segments[end.segment] }
    return segments[min(index, segments.count - 1)]
  }

  /// The end of the log; nil until it is read.
  package var end: LogEnd? { if case .ended(let end) = state { end } else { nil } }

  /// The approximate number of remaining bytes.
  package var bytesLeft: UInt64 {
    let later = segments.dropFirst(index + 1).reduce(0) { $0 + $1.size }
    return if case .reads(let batches) = state { batches.bytes.bytesLeft + later } else { later }
  }

  package func next() throws(LogRefusal) -> Outcome {
    switch state {
    case .reads(let batches):
      let outcome = try refusing { () throws(FileError) in try batches.next() }
      switch outcome {
      case .batch(let batch):
        committed = max(committed, batch.committed)
        return .batch(batch)
      case .read(let count): return .read(count)
      case .end(let fault):
        try segmentEnded(batches, fault)
        return .read(0)
      }
    case .searches(let search, let end, let bytes):
      return .read(try searchOn(search, end, bytes))
    case .ended(let end): return .end(end)
    }
  }

  private func segmentEnded(
    _ batches: FileBatches, _ fault: BatchFault?
  ) throws(LogRefusal) {
    let file = directory.filePath(segments[index].name)
    if let fault, !fault.mayBeTorn {
      throw .corrupt(file: file, offset: batches.offset, why: "\(fault)")
    }
    if index + 1 < segments.count, segments[index + 1].position <= batches.position {
      index += 1
      guard segments[index].position == batches.position else {
        throw .corrupt(
          file: directory.filePath(segments[index].name), offset: 0,
          why: "it begins before the end of the segment before it")
      }
      state = .reads(
        try refusing { () throws(FileError) in
          try FileBatches(segments[index], in: directory, step: step)
        })
      return
    }
    let end = LogEnd(
      position: batches.position, segment: index, offset: batches.offset, committed: committed,
      fault: fault)
    let search = TornSearch(
      identity: segments[index].header.identity, position: end.position,
      bytesMax: segments[index].size - min(segments[index].size, end.offset))
    search.feed(batches.unread)
    state = .searches(search, end, batches.bytes)
  }

  private func searchOn(
    _ search: TornSearch, _ end: LogEnd, _ bytes: FileBytes?
  ) throws(LogRefusal) -> Int {
    var count = 0
    if let bytes {
      count = try refusing { () throws(FileError) in try bytes.readPiece { search.feed($0) } }
    }
    if search.isCorrupt || end.committed > end.position {
      throw .corrupt(
        file: directory.filePath(segments[end.segment].name), offset: end.offset,
        why: "\(end.fault?.description ?? "nothing is there"), and the log was durable up to "
          + "position \(max(search.committed ?? 0, end.committed)), \(missing(search, end)) bytes "
          + "further")
    }
    if count > 0 { return count }
    index += 1
    if index < segments.count {
      let bytes = try refusing { () throws(FileError) in
        try FileBytes(segments[index], in: directory, step: step)
      }
      search.begin(segments[index].header, bytesMax: bytes.bytesLeft)
      state = .searches(search, end, bytes)
    } else {
      state = .ended(end)
    }
    return 0
  }

  private func missing(_ search: TornSearch, _ end: LogEnd) -> UInt64 {
    max(search.committed ?? 0, end.committed) - end.position
  }
}
