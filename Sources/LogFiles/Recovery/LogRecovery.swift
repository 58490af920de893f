// A start: reads what a directory holds into a sink, in steps; then makes it durable, cleans up and
// begins a segment of a new life. Its driver may do other things between two steps.
//
//     let recovery = try LogRecovery(directory, into: sink, numbers, settings)
//     while let progress = try recovery.step() { tell(progress) }
//     let start = try recovery.begin()
//
// A refusal leaves the files as they were found. One thread.

package import Log

/// What is recovered goes here. It says from which of the two it wants the next batch, which is how a
/// pass and the log are merged.
package protocol LogSink: AnyObject {
  var wantsPass: Bool { get }

  /// - Returns: false where it wants the pass first: it is given the same batch again.
  func takeLog(_ batch: Batch) throws(LogSinkFailure) -> Bool

  func takePass(_ batch: Batch) throws(LogSinkFailure)

  /// The log is read to its end.
  func logEnded(at end: LogPosition) throws(LogSinkFailure)
}

/// What a sink finds wrong with a batch.
package struct LogSinkFailure: Error, Sendable {
  /// Of the record concerned.
  package let position: LogPosition
  package let sentence: String

  package init(position: LogPosition, sentence: String) {
    self.position = position
    self.sentence = sentence
  }
}

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
  private var state: State
  private var progress: LogProgress

  private enum State {
    case reads(LogReader, pass: FileBatches?)
    case repairs(LogRepair, LogEnd)
    case ready(LogEnd?)
    case done
  }

  /// - Parameter step: bytes that one step reads or writes, about.
  package init(
    _ directory: LogDirectory, into sink: any LogSink, _ numbers: LogStartNumbers,
    _ settings: LogFileSettings, step: Int = 1 << 20
  ) throws(LogRefusal) {
    self.directory = directory
    self.sink = sink
    self.numbers = numbers
    self.settings = settings
    self.stepBytes = step
    let contents = try LogContents(of: directory)
    self.contents = contents
    var total: UInt64 = 0
    if contents.isNew {
      state = .ready(nil)
    } else {
      let reader = try LogReader(
        directory, segments: contents.segments, from: contents.begin, step: step)
      var pass: FileBatches?
      if let file = contents.pass {
        pass = try refusing { () throws(FileError) in
          try FileBatches(file, in: directory, step: step)
        }
        total += pass?.bytes.bytesLeft ?? 0
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
      var count = 0
      while count == 0, case .reads = state { count = try read(reader, pass) }
      progress.bytesDone += UInt64(count)
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

  /// Reads a piece of a file, or hands a batch on.
  /// - Returns: bytes read.
  private func read(_ reader: LogReader, _ pass: FileBatches?) throws(LogRefusal) -> Int {
    if sink.wantsPass, let pass { return try readPass(pass) }
    switch try reader.next() {
    case .read(let count): return count
    case .batch(let batch):
      while try !handOn({ () throws(LogSinkFailure) in try sink.takeLog(batch) }, nil) {
        guard let pass else {
          throw .missing(
            file: directory.filePath(.pass(contents.begin)), why: "the log needs a pass")
        }
        _ = try readPass(pass)
      }
      return 0
    case .end(let end):
      _ = try handOn({ () throws(LogSinkFailure) in try sink.logEnded(at: end.position) }, nil)
      progress = LogProgress(
        phase: .writing, bytesDone: 0,
        bytesTotal: end.position - min(end.position, end.committed))
      state = .repairs(LogRepair(directory, contents, end, step: stepBytes), end)
      return 0
    }
  }

  private func readPass(_ pass: FileBatches) throws(LogRefusal) -> Int {
    let outcome = try refusing { () throws(FileError) in try pass.next() }
    switch outcome {
    case .read(let count): return count
    case .batch(let batch):
      try handOn({ () throws(LogSinkFailure) in try sink.takePass(batch) }, pass.bytes.file)
      return 0
    case .end(let fault):
      throw .corrupt(
        file: directory.filePath(pass.bytes.file.name), offset: pass.offset,
        why: fault.map { "\($0)" } ?? "the pass has no end")
    }
  }

  /// Says file and offset of what the sink finds wrong.
  private func handOn<R>(
    _ body: () throws(LogSinkFailure) -> R, _ pass: LogFile?
  ) throws(LogRefusal) -> R {
    do throws(LogSinkFailure) {
      return try body()
    } catch {
      let file = pass ?? contents.segments.last { $0.position <= error.position }
      guard let file else {
        throw .corrupt(file: directory.path, offset: error.position, why: error.sentence)
      }
      let offset = UInt64(FileHeader.byteCount) + (error.position &- file.position)
      throw .corrupt(file: directory.filePath(file.name), offset: offset, why: error.sentence)
    }
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
