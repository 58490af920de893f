// Reads passes and the log into a sink, in steps, and reports file and place of anything that can't
// be read or replayed. A start does it with the valid pass; a tool that verifies a log also with
// later ones, which the sink compares. Changes no file.
//
// One thread.

package import Log

/// The receiver of the batches: `LogMerge`, or a test's replacement. It requests the next batch of
/// a file; the batch stays valid until it requests the next one of the same file.
package protocol LogSink: AnyObject {
  func givePass(_ batch: Batch)
  func passEnded() throws(ReplayFault)
  func giveLog(_ batch: Batch) throws(ReplayFault)
  func logEnded()
  /// Continues until this amount of work is done, or something must be read.
  func advance(work: Int) throws(ReplayFault) -> LogMerge.Wish
  /// The number of the requested pass.
  var passesEnded: Int { get }
}

extension LogSink {
  package var passesEnded: Int { 0 }
}

extension LogMerge: LogSink {}

final class LogReplay {
  private let directory: LogDirectory
  private let segments: [LogFile]
  private let passes: [LogFile]
  private let stepBytes: Int
  private let sink: any LogSink
  private let reader: LogReader
  private var pass: (number: Int, batches: FileBatches)?
  /// The latest passed batches.
  private var given: (log: ClosedRange<LogPosition>?, pass: ClosedRange<LogPosition>?)

  /// - Parameters:
  ///   - passes: the one to begin with, and those that the sink compares, in order.
  ///   - begin: the position from which the log is needed.
  init(
    _ directory: LogDirectory, segments: [LogFile], passes: [LogFile], from begin: LogPosition,
    stepBytes: Int, _ sink: any LogSink
  ) throws(LogRefusal) {
    self.directory = directory
    self.segments = segments
    self.passes = passes
    self.stepBytes = stepBytes
    self.sink = sink
    reader = try LogReader(directory, segments: segments, from: begin, step: stepBytes)
  }

  /// Bytes of all that is read, about; before the first step.
  var bytesTotal: UInt64 { passes.reduce(reader.bytesLeft) { $0 + $1.bytesBehindHeader } }

  enum Step {
    /// This many bytes were read; there is more to do.
    case read(Int)
    case done(LogEnd)
  }

  /// Reads a piece of a file, or replays this amount of the data read.
  func step(work: Int) throws(LogRefusal) -> Step {
    var workLeft = work
    while workLeft > 0 {
      let wish = try replaying { () throws(ReplayFault) in try sink.advance(work: workLeft) }
      // Small batches cost something as well.
      workLeft -= 1
      switch wish {
      case .turn: return .read(0)
      case .pass: if let count = try readPass() { return .read(count) }
      case .log: if let count = try readLog() { return .read(count) }
      case .nothing:
        guard let end = reader.end else { preconditionFailure("the log isn't read") }
        return .done(end)
      }
    }
    return .read(0)
  }

  /// - Returns: bytes read; nil if a batch was passed.
  private func readLog() throws(LogRefusal) -> Int? {
    switch try reader.next() {
    case .read(let count): return count
    case .batch(let batch):
      given.log = batch.position...batch.end
      try replaying { () throws(ReplayFault) in try sink.giveLog(batch) }
    case .end: sink.logEnded()
    }
    return nil
  }

  private func readPass() throws(LogRefusal) -> Int? {
    let pass = try currentPass()
    let outcome = try refusing { () throws(FileError) in try pass.next() }
    switch outcome {
    case .read(let count): return count
    case .batch(let batch):
      given.pass = batch.position...batch.end
      sink.givePass(batch)
    case .end(let fault?):
      throw .corrupt(
        file: directory.filePath(pass.bytes.file.name), offset: pass.offset, why: "\(fault)")
    case .end(nil):
      try replaying { () throws(ReplayFault) in try sink.passEnded() }
    }
    return nil
  }

  private func currentPass() throws(LogRefusal) -> FileBatches {
    let number = sink.passesEnded
    if let pass, pass.number == number { return pass.batches }
    precondition(number < passes.count, "there is no pass to ask for")
    let batches = try refusing { () throws(FileError) in
      try FileBatches(passes[number], in: directory, step: stepBytes)
    }
    pass = (number, batches)
    return batches
  }

  /// Says file and offset of the batch that can't be replayed.
  private func replaying<R>(_ body: () throws(ReplayFault) -> R) throws(LogRefusal) -> R {
    do throws(ReplayFault) {
      return try body()
    } catch {
      let (file, offset) = file(at: error.position)
      if let database = error.missingDatabase {
        throw .fewerDatabases(file: file, database: database)
      }
      throw .corrupt(file: file, offset: offset, why: "\(error)")
    }
  }

  private func file(at place: LogPosition) -> (path: String, offset: UInt64) {
    let batch = [given.log, given.pass].compactMap(\.self).first { $0.contains(place) }
    let position = batch?.lowerBound ?? place
    var file = segments.last { $0.position <= position }
    if let pass = pass?.batches.bytes.file, position >= pass.header.firstPosition { file = pass }
    guard let file else { return (directory.path, position) }
    return (directory.filePath(file.name), file.offset(of: position))
  }
}

extension LogFile {
  var bytesBehindHeader: UInt64 { size - min(size, UInt64(FileHeader.byteCount)) }

  /// The offset of a position in a file; not before the file's first position.
  package func offset(of position: LogPosition) -> UInt64 {
    UInt64(FileHeader.byteCount) + (position - header.firstPosition)
  }
}
