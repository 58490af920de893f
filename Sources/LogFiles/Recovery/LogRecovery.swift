// A start: reads a directory into a sink, in steps; then makes the data durable, cleans up and
// begins a segment of a new life. Its driver may do other work between two steps.
//
//     let recovery = try LogRecovery(directory, numbers, settings) { begin in
//       LogMerge(into: target, passBegin: begin)
//     }
//     while let progress = try recovery.step() { tell(progress) }
//     let start = try recovery.begin()
//
// A refusal changes no files. One thread.

package import Log

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

/// Random numbers for a start, passed in.
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
  private let numbers: LogStartNumbers
  private let settings: LogFileSettings
  private let stepBytes: Int
  private let stepWork: Int
  private var state: State
  private var progress: LogProgress

  private enum State {
    case reads(LogReplay)
    case repairs(LogRepair, LogEnd)
    case ready(LogEnd?)
    case done
  }

  /// - Parameters:
  ///   - stepBytes: bytes that one step reads or writes, about.
  ///   - stepWork: effects and keys that one step replays, about.
  ///   - makeSink: gets the begin of the pass, nil: there is none.
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
    let sink = makeSink(contents.pass?.position)
    var total: UInt64 = 0
    if contents.isNew {
      state = .ready(nil)
    } else {
      let replay = try LogReplay(
        directory, segments: contents.segments, passes: contents.pass.map { [$0] } ?? [],
        from: contents.begin, stepBytes: stepBytes, sink)
      total = replay.bytesTotal
      state = .reads(replay)
    }
    progress = LogProgress(phase: .reading, bytesDone: 0, bytesTotal: total)
  }

  /// Does the next part of the work.
  /// - Returns: nil when all is done but `begin`.
  package func step() throws(LogRefusal) -> LogProgress? {
    try reportingFreeSpace { () throws(LogRefusal) in try proceed() }
  }

  private func reportingFreeSpace<R>(_ body: () throws(LogRefusal) -> R) throws(LogRefusal) -> R {
    try LogFiles.reportingFreeSpace(
      of: directory.path, directory.files, needed: settings.sizes.first, body)
  }

  private func proceed() throws(LogRefusal) -> LogProgress? {
    switch state {
    case .reads(let replay):
      switch try replay.step(work: stepWork) {
      case .read(let count): progress.bytesDone += UInt64(count)
      case .done(let end):
        progress = LogProgress(
          phase: .writing, bytesDone: 0,
          bytesTotal: end.position - min(end.position, end.committed))
        state = .repairs(LogRepair(directory, contents, end, step: stepBytes), end)
      }
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

  /// A sentence for the operator about the cut torn end; nil: none.
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
    return try reportingFreeSpace { () throws(LogRefusal) in
      try refusing { () throws(FileError) in
        try LogRepair.begin(header, in: directory, contents, end: end, settings)
      }
    }
  }
}
