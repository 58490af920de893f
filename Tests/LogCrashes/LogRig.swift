// A log on a file system, without threads and without a store: what is written are records of state
// that carry numbers, and a start says which numbers it found. The clock is the test's.

import Log
import LogFiles
import SimulatedDisk

/// Takes the numbers that the records of a log carry, and no pass.
package final class NumberSink: LogSink {
  package private(set) var numbers: [UInt64] = []
  private var hasEnded = false

  package init() {}

  package func givePass(_ batch: Batch) {}
  package func passEnded() throws(ReplayFault) {}

  package func giveLog(_ batch: Batch) throws(ReplayFault) {
    for record in batch.records where record.type == RecordType.slotMap.rawValue {
      numbers.append(record.payload.loadUnaligned(as: UInt64.self))
    }
  }

  package func logEnded() { hasEnded = true }
  package func advance(work: Int) throws(ReplayFault) -> LogMerge.Wish {
    hasEnded ? .nothing : .log
  }
}

/// Bytes that stand for a chunk of a pass: one batch, which isn't one.
package final class TestPassBytes: PassBytes, @unchecked Sendable {
  private let bytes: UnsafeMutableRawBufferPointer
  private var isWritten = false

  package init(_ bytes: [UInt8]) {
    self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
    self.bytes.copyBytes(from: bytes)
  }

  deinit { bytes.deallocate() }

  package var byteCount: Int { bytes.count }

  package func nextBatch(
    at position: LogPosition, committed: LogPosition, epoch: UInt64, identity: LogIdentity
  ) -> [UnsafeRawBufferPointer]? {
    if isWritten { return nil }
    isWritten = true
    let half = bytes.count / 2
    return [
      UnsafeRawBufferPointer(rebasing: bytes[..<half]),
      UnsafeRawBufferPointer(rebasing: bytes[half...]),
    ]
  }
}

package final class LogRig {
  package static let owner = LogOwner(cluster: "cluster", shard: "shard-1", seedDigest: 77)

  package let files: any FileSystem
  package let path: String
  package var settings: LogFileSettings
  package private(set) var life: UInt64 = 0
  package private(set) var directory: LogDirectory?
  package private(set) var output: LogFileOutput?
  package private(set) var appender = LogAppender(position: 0)
  package var now: UInt64 = 0

  // What the log has told in this life.
  package private(set) var written: UInt64 = 0
  package private(set) var synced: UInt64 = 0
  package private(set) var completed: [LogPosition] = []
  package private(set) var abandoned: [LogPosition] = []
  package private(set) var passBytesBack = 0
  package private(set) var full: [Bool] = []
  package private(set) var failure: LogFailure?
  package private(set) var isGone = false
  package private(set) var isClosed = false
  /// The last number of each batch.
  private var numberOfBatch: [UInt64: UInt64] = [:]
  private var lastBatch: UInt64 = 0
  /// Batches that were written directly.
  package private(set) var directWrites = 0
  package private(set) var lastNumber: UInt64 = 0

  package init(_ files: any FileSystem, _ path: String, _ policy: FsyncPolicy) {
    self.files = files
    self.path = path
    settings = LogFileSettings(policy: policy)
    settings.sizes = SegmentSizes(first: 8 << 10, largest: 16 << 10, fillStep: 4 << 10)
    settings.reserveBytes = 8 << 10
    settings.gatherBytesMax = 4 << 10
    settings.passSyncBytes = 2 << 10
    settings.passStepBytes = 300
    settings.freeBytesMin = 0
    settings.restBytesMax = 512
  }

  /// The numbers whose batches were told as synced, and as written.
  package var syncedNumber: UInt64 { numberOfBatch[synced] ?? 0 }
  package var writtenNumber: UInt64 { numberOfBatch[written] ?? 0 }

  /// Recovers and begins to write.
  /// - Returns: the numbers found.
  @discardableResult
  package func start() throws -> [UInt64] {
    let sink = NumberSink()
    try start { _ in sink }
    return sink.numbers
  }

  package func start(_ makeSink: (LogPosition?) -> any LogSink) throws {
    forget()
    let directory = try LogDirectory.open(path, as: Self.owner, over: files)
    self.directory = directory
    life += 1
    let numbers = LogStartNumbers(
      identity: NewLogIdentity(lineage: Lineage(high: 1, low: 2), directory: 3), life: life)
    let recovery = try LogRecovery(
      directory, numbers, settings, stepBytes: 1 << 10, stepWork: 10, makeSink)
    while try recovery.step() != nil {}
    let start = try recovery.begin()
    appender = LogAppender(position: start.position)
    output = LogFileOutput(start, settings) {}
  }

  /// Forgets the process's objects.
  package func forget() {
    directory?.close()
    isPassOver = true
    (directory, output) = (nil, nil)
    (written, synced, numberOfBatch) = (0, 0, [:])
    (completed, abandoned, full, failure) = ([], [], [], nil)
    (isGone, isClosed, passBytesBack) = (false, false, 0)
  }

  /// The process ends: nothing that its objects still do reaches the files.
  package func end() {
    (files as? SimulatedDisk)?.endProcess()
    forget()
  }

  /// Gives the log what the appender has; the model's number is of the last batch.
  /// - Parameter directly: the loop writes it by itself, if the log lets it.
  package func give(asNumber number: UInt64, directly: Bool = false) {
    while let batch = appender.takeBatch() {
      let batchNumber = batch.number
      numberOfBatch[batchNumber] = number
      lastBatch = batchNumber
      if !directly || output?.takesDirectWrites != true {
        output?.write(batch)
      } else if output?.writeDirectly(batch) == true {
        written = batchNumber
        directWrites += 1
        appender.recycle(batch)
      }
    }
  }

  /// Has all that was given synced.
  package func syncNow() { output?.sync(upTo: lastBatch) }

  /// Gives the log one batch with as many records.
  package func write(_ count: Int = 1, filler: Int = 0, directly: Bool = false) {
    for _ in 0..<count {
      lastNumber += 1
      let number = withUnsafeBytes(of: lastNumber) { Array($0) }
      appender.append(.slotMap(number + [UInt8](repeating: 0xab, count: filler)))
    }
    give(asNumber: lastNumber, directly: directly)
  }

  /// Gives the log one batch with one number that a mark follows.
  package func write(marked mark: UInt8, filler: Int, directly: Bool) {
    lastNumber += 1
    let number = withUnsafeBytes(of: lastNumber) { Array($0) }
    appender.append(.slotMap(number + [mark] + [UInt8](repeating: 0xab, count: filler)))
    give(asNumber: lastNumber, directly: directly)
  }

  /// Whether there is no pass that may still complete.
  package private(set) var isPassOver = true

  package func beginPass(at begin: LogPosition) {
    isPassOver = false
    output?.beginPass(at: begin)
  }

  /// Continues the numbers after those that were found.
  package func continueNumbers(after number: UInt64) { lastNumber = number }

  /// Does steps until nothing is due. The clock stands still unless a lane's work is due later than
  /// now, and not after `until`.
  package func run(until end: UInt64? = nil, stepsMax: Int = 10_000) {
    guard let output else { return }
    for _ in 0..<stepsMax {
      takeEvents()
      var next: (lane: LogFileOutput.Lane, at: UInt64)?
      for lane in LogFileOutput.Lane.allCases {
        guard let at = output.due(lane, now: now) else { continue }
        if next.map({ at < $0.at }) ?? true { next = (lane, at) }
      }
      guard let next, next.at <= max(now, end ?? now) else { break }
      now = max(now, next.at)
      output.perform(next.lane, now: now)
    }
    if let end { now = max(now, end) }
    takeEvents()
  }

  /// One step of a lane, if it has something to do.
  package func perform(_ lane: LogFileOutput.Lane) {
    output?.perform(lane, now: now)
    takeEvents()
  }

  package func takeEvents() {
    for event in output?.takeEvents() ?? [] {
      switch event {
      case .written(let number, let batches):
        written = number
        for batch in batches { appender.recycle(batch) }
      case .synced(let number): synced = number
      case .passWritten(let chunk): passBytesBack += chunk.byteCount
      case .passCompleted(let begin):
        completed.append(begin)
        isPassOver = true
      case .passAbandoned(let begin):
        abandoned.append(begin)
        isPassOver = true
      case .diskFull(let isFull): full.append(isFull)
      case .failed(let failure): self.failure = failure
      case .directoryGone: isGone = true
      case .closed: isClosed = true
      }
    }
  }
}
