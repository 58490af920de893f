// A start: reads what a directory holds into a sink, in steps; then makes it durable, cleans up and
// begins a segment of a new life. Its driver may do other things between two steps.
//
//     let recovery = try LogRecovery(directory, numbers, settings) { begin in
//       LogMerge(into: target, passBegin: begin)
//     }
//     while let progress = try recovery.step() { tell(progress) }
//     let start = try recovery.begin()
//
// A refusal leaves the files as they were found. One thread.

package import Log

/// What is recovered goes here: `LogMerge`, or what stands for it in a test. It says which file it
/// wants the next batch of; the batch stays good until it asks for the next one of the same file.
package protocol LogSink: AnyObject {
  func givePass(_ batch: Batch)
  func passEnded() throws(ReplayFault)
  func giveLog(_ batch: Batch) throws(ReplayFault)
  func logEnded()
  /// Goes on until so much work is done, or something has to be read.
  func advance(work: Int) throws(ReplayFault) -> LogMerge.Wish
}

extension LogMerge: LogSink {}

/// How far a start is.
package struct LogProgress: Sendable, Equatable {
  package enum Phase: Sendable {
    case reading
    /// What was read is made durable.
    case writing
  }

  package var phase: Phase
  package var bytesDone: UInt64
  package var bytesTotal: UInt64
}

/// Random numbers for a start, given from outside.
package struct LogStartNumbers: Sendable {
  /// For a directory that is new.
  package var identity: NewLogIdentity
  /// Of this run of the process.
  package var life: UInt64
  /// For a directory that is new, else that of the files, if it is greater.
  package var epoch: UInt64

  package init(identity: NewLogIdentity, life: UInt64, epoch: UInt64 = 0) {
    self.identity = identity
    self.life = life
    self.epoch = epoch
  }
}

package final class LogRecovery {
  package let directory: LogDirectory
  package let contents: LogContents
  private let sink: any LogSink
  private let numbers: LogStartNumbers
  private let settings: LogFileSettings
  private let stepBytes: Int
  private let stepWork: Int
  private var state: State
  private var progress: LogProgress

  private enum State {
    case reads(LogReader, pass: FileBatches?)
    case repairs(LogRepair, LogEnd)
    case ready(LogEnd?)
    case done
  }

  /// - Parameters:
  ///   - stepBytes: bytes that one step reads or writes, about.
  ///   - stepWork: effects and keys that one step replays, about.
  ///   - makeSink: is told where the pass begins, nil: there is none.
  package init(
    _ directory: LogDirectory, _ numbers: LogStartNumbers, _ settings: LogFileSettings,
    stepBytes: Int = 1 << 20, stepWork: Int = 1000,
    _ makeSink: (_ passBegin: LogPosition?) -> any LogSink
  ) throws(LogRefusal) {
    self.directory = directory
    self.numbers = numbers
    self.settings = settings
    self.stepBytes = stepBytes
    self.stepWork = stepWork
    let contents = try LogContents(of: directory)
    self.contents = contents
    sink = makeSink(contents.pass?.position)
    var total: UInt64 = 0
    if contents.isNew {
      state = .ready(nil)
    } else {
      let reader = try LogReader(
        directory, segments: contents.segments, from: contents.begin, step: stepBytes)
      var pass: FileBatches?
      if let file = contents.pass {
        let batches = try refusing { () throws(FileError) in
          try FileBatches(file, in: directory, step: stepBytes)
        }
        total += batches.bytes.bytesLeft
        pass = batches
      }
      total += reader.bytesLeft
      state = .reads(reader, pass: pass)
    }
    progress = LogProgress(phase: .reading, bytesDone: 0, bytesTotal: total)
  }

  /// Does the next part of the work.
  /// - Returns: nil when all is done but `begin`.
  package func step() throws(LogRefusal) -> LogProgress? {
    switch state {
    case .reads(let reader, let pass):
      progress.bytesDone += UInt64(try read(reader, pass))
    case .repairs(var repair, let end):
      let count = try refusing { () throws(FileError) in try repair.rewrite() }
      state = .repairs(repair, end)
      if let count {
        progress.bytesDone += UInt64(count)
      } else {
        try refusing { () throws(FileError) in try repair.cut() }
        state = .ready(end)
      }
    case .ready, .done: return nil
    }
    return progress
  }

  /// Reads a piece of a file, or replays so much of what was read.
  /// - Returns: bytes read.
  private func read(_ reader: LogReader, _ pass: FileBatches?) throws(LogRefusal) -> Int {
    var workLeft = stepWork
    while workLeft > 0 {
      let wish = try replaying(pass) { () throws(ReplayFault) in
        try sink.advance(work: workLeft)
      }
      // Small batches cost something as well.
      workLeft -= 1
      switch wish {
      case .turn: return 0
      case .pass:
        guard let pass else { preconditionFailure("there is no pass to ask for") }
        if let count = try readPass(pass) { return count }
      case .log:
        if let count = try readLog(reader, pass) { return count }
      case .nothing:
        guard let end = reader.end else { preconditionFailure("the log isn't read") }
        progress = LogProgress(
          phase: .writing, bytesDone: 0,
          bytesTotal: end.position - min(end.position, end.committed))
        state = .repairs(LogRepair(directory, contents, end, step: stepBytes), end)
        return 0
      }
    }
    return 0
  }

  /// - Returns: bytes read; nil where a batch was given.
  private func readLog(_ reader: LogReader, _ pass: FileBatches?) throws(LogRefusal) -> Int? {
    switch try reader.next() {
    case .read(let count): return count
    case .batch(let batch):
      try replaying(pass) { () throws(ReplayFault) in try sink.giveLog(batch) }
    case .end: sink.logEnded()
    }
    return nil
  }

  private func readPass(_ pass: FileBatches) throws(LogRefusal) -> Int? {
    let outcome = try refusing { () throws(FileError) in try pass.next() }
    switch outcome {
    case .read(let count): return count
    case .batch(let batch): sink.givePass(batch)
    case .end(let fault?):
      throw .corrupt(
        file: directory.filePath(pass.bytes.file.name), offset: pass.offset, why: "\(fault)")
    case .end(nil):
      try replaying(pass) { () throws(ReplayFault) in try sink.passEnded() }
    }
    return nil
  }

  /// Says file and offset of what can't be replayed.
  private func replaying<R>(
    _ pass: FileBatches?, _ body: () throws(ReplayFault) -> R
  ) throws(LogRefusal) -> R {
    do throws(ReplayFault) {
      return try body()
    } catch {
      let (file, offset) = file(at: error.position, pass)
      if let database = error.missingDatabase {
        throw .fewerDatabases(file: file, database: database)
      }
      throw .corrupt(file: file, offset: offset, why: "\(error)")
    }
  }

  private func file(
    at position: LogPosition, _ pass: FileBatches?
  ) -> (path: String, offset: UInt64) {
    var file = contents.segments.last { $0.position <= position }
    if let pass = pass?.bytes.file, position >= pass.header.firstPosition { file = pass }
    guard let file else { return (directory.path, position) }
    return (
      directory.filePath(file.name),
      UInt64(FileHeader.byteCount) + (position - file.header.firstPosition)
    )
  }

  /// What was cut off the log's end, for the operator; nil: nothing.
  package var cut: String? {
    guard case .ready(let end?) = state, let fault = end.fault else { return nil }
    let file = directory.filePath(contents.segments[end.segment].name)
    return "\(file) was cut at offset \(end.offset), as a crash had left it: \(fault)."
  }

  /// Begins the segment of the new life. Call it once, when `step` has returned nil.
  package func begin() throws(LogRefusal) -> LogStart {
    guard case .ready(let end) = state else {
      preconditionFailure("the log isn't read to its end")
    }
    state = .done
    let known = contents.segments.last?.header
    let position = end?.position ?? 0
    let header = FileHeader(
      kind: .log, lineage: known?.lineage ?? numbers.identity.lineage,
      directory: known?.directory ?? numbers.identity.directory,
      cluster: directory.owner.cluster, shard: directory.owner.shard,
      seedDigest: directory.owner.seedDigest, life: numbers.life,
      epoch: max(numbers.epoch, known?.epoch ?? 0), position: position, committed: position,
      newestPass: contents.pass?.position)
    return try refusing { () throws(FileError) in
      try LogRepair.begin(header, in: directory, contents, end: end, settings)
    }
  }
}
