// A shard's life with its log, from a seed: it writes, makes passes, is killed, ends and starts again,
// and its lanes do their steps in any order. A fault at the nth call of the file system stops it; then
// the scenario holds what is found against what was told.
//
// The model is a list: which life wrote each number. A start must find a prefix of it, which holds all
// that was told as synced (after a power loss) or as written (after a kill), and what an earlier start
// has found.

import Log
import LogFiles
import SimulatedDisk
import TestSeeds

/// Takes numbers and the lives that wrote them, from a pass and the log. A pass holds the lives of all
/// numbers up to its begin, and says up to where the log must go.
package final class HistorySink: LogSink {
  package private(set) var lives: [UInt8] = []
  package private(set) var complaint: String?
  private let begin: LogPosition
  private var lastAsOf: LogPosition
  private var isPassWanted: Bool
  private var end: LogPosition = 0
  private var hasEnded = false

  package init(passBegin: LogPosition?) {
    begin = passBegin ?? 0
    lastAsOf = begin
    isPassWanted = passBegin != nil
  }

  package func givePass(_ batch: Batch) {
    for record in batch.records {
      switch record.type {
      case RecordType.slotMap.rawValue: lives += record.payload
      case RecordType.slotState.rawValue:
        lastAsOf = record.payload.loadUnaligned(as: UInt64.self)
        isPassWanted = false
      default: complaint = "strange record in a pass"
      }
    }
  }

  package func passEnded() throws(ReplayFault) { complaint = "a pass without an end" }

  package func giveLog(_ batch: Batch) throws(ReplayFault) {
    end = batch.end
    for record in batch.records where record.end > begin {
      if record.type == RecordType.cleanStop.rawValue { continue }
      let number = record.payload.loadUnaligned(as: UInt64.self)
      if number != UInt64(lives.count + 1) {
        complaint = "number \(number) follows \(lives.count)"
      }
      lives.append(record.payload[8])
    }
  }

  package func logEnded() {
    hasEnded = true
    if max(end, begin) < lastAsOf {
      complaint = "the log ends at \(end), and the pass is as of \(lastAsOf)"
    }
  }

  package func advance(work: Int) throws(ReplayFault) -> LogMerge.Wish {
    if complaint != nil, !hasEnded { return .log }
    return isPassWanted ? .pass : hasEnded ? .nothing : .log
  }
}

/// A batch in a pass's file, as it has to be there.
package final class PassBatch: PassBytes, @unchecked Sendable {
  private let batch: LogBatch
  private var isWritten = false

  package init(_ batch: LogBatch) { self.batch = batch }

  package var byteCount: Int { batch.count }

  package func nextBatch(
    at position: LogPosition, committed: LogPosition, epoch: UInt64, identity: LogIdentity
  ) -> [UnsafeRawBufferPointer]? {
    if isWritten { return nil }
    isWritten = true
    // The appender's positions are those of a pass, so it stands where it belongs.
    precondition(position == batch.position)
    batch.seal(committed: committed, lineage: identity.lineage, life: identity.life)
    return [batch.bytes]
  }
}

struct CrashFailure: Error, CustomStringConvertible {
  let description: String
}

package final class CrashScenario {
  package let disk: SimulatedDisk
  private let rig: LogRig
  private var random: SeededRandom
  private var steps: Int
  /// The life that wrote each number, from 1 on.
  private var history: [UInt8] = []
  /// Numbers that must be found, come what may.
  private var durable = 0
  /// Numbers that must be found unless the power goes.
  private var kept = 0
  /// Where a pass is: nil, or its appender.
  private var pass: LogAppender?
  /// Beyond a fault nothing continues.
  private var refusal: String?

  package init(seed: UInt64, policy: FsyncPolicy, steps: Int = 100) throws {
    self.steps = steps
    disk = try SimulatedDisk.withDirectory("data", seed: seed)
    rig = LogRig(disk, "data", policy)
    rig.settings.sizes = SegmentSizes(first: 6 << 10, largest: 12 << 10, fillStep: 3 << 10)
    rig.settings.reserveBytes = 5 << 10
    rig.settings.gatherBytesMax = 2 << 10
    random = SeededRandom(seed: seed &* 31)
  }

  /// Runs to the end, or until a fault has stopped it.
  package func run() throws {
    var awaitsFault = disk.hasFaults
    try start()
    while steps > 0, !disk.isOff, rig.failure == nil, refusal == nil {
      steps -= 1
      try step()
      if awaitsFault, !disk.hasFaults {
        awaitsFault = false
        try checkThatThePassEnds()
      }
    }
  }

  private func start() throws {
    pass = nil
    do {
      var sink: HistorySink?
      try rig.start { begin in
        let made = HistorySink(passBegin: begin)
        sink = made
        return made
      }
      if let sink { try check(sink) }
    } catch let error as LogRefusal {
      refusal = "\(error)"
    }
  }

  private func check(_ sink: HistorySink) throws {
    let found = sink.lives
    if let complaint = sink.complaint { throw CrashFailure(description: complaint) }
    guard found.count >= max(durable, kept) else {
      throw CrashFailure(
        description: "found \(found.count) numbers; \(durable) are durable, \(kept) were written")
    }
    guard found.count <= history.count, found == Array(history[..<found.count]) else {
      throw CrashFailure(description: "found other numbers than were written")
    }
    history = found
    // What a start has found is durable, as it serves it.
    durable = found.count
    rig.continueNumbers(after: UInt64(found.count))
  }

  private func noteDurable() { durable = max(durable, Int(rig.syncedNumber)) }

  private func step() throws {
    switch random.below(100) {
    case ..<30: write()
    case ..<55: rig.perform(.writer)
    case ..<80: rig.perform(.background)
    case ..<84: rig.now += UInt64(random.below(800)) * 1_000_000
    case ..<87: rig.syncNow()
    case ..<94: stepPass()
    case ..<96: rig.run()
    case ..<97: rig.run(until: rig.now + 1_000_000_000)
    case ..<98: try kill()
    case ..<99: try endAndStart()
    default: losePower(); try start()
    }
    noteDurable()
  }

  private func write() {
    for _ in 0..<1 + random.below(3) {
      let filler = random.chance(5) ? random.below(9000) : random.below(300)
      rig.write(
        marked: UInt8(truncatingIfNeeded: rig.life), filler: filler, directly: random.chance(2))
      history.append(UInt8(truncatingIfNeeded: rig.life))
    }
  }

  private func stepPass() {
    guard let pass else {
      // One at a time: the last one must be out of the way.
      guard rig.isPassOver else { return }
      let begin = rig.appender.position
      let appender = LogAppender(position: begin | 1 << 63)
      rig.beginPass(at: begin)
      appender.append(.slotMap(history))
      give(appender)
      self.pass = appender
      return
    }
    switch random.below(10) {
    case 0:
      rig.output?.abandonPass()
      self.pass = nil
    case 1...6:
      end(pass)
    default:
      pass.append(.slotMap([]))
      give(pass)
    }
  }

  private func end(_ pass: LogAppender) {
    pass.append(.slotState(withUnsafeBytes(of: rig.appender.position) { Array($0) }))
    give(pass)
    rig.output?.endPass(lastAsOf: rig.appender.position)
    self.pass = nil
  }

  private func give(_ appender: LogAppender) {
    while let batch = appender.takeBatch() { rig.output?.writePass(PassBatch(batch)) }
  }

  /// The process ends; the system keeps what it was given.
  private func kill() throws {
    guard !disk.isOff else { return }
    kept = Int(rig.writtenNumber)
    rig.end()
    try start()
  }

  private func endAndStart() throws {
    rig.output?.close()
    rig.run(until: rig.now + 2_000_000_000)
    guard !disk.isOff, rig.failure == nil else { return noteDurable() }
    guard rig.isClosed else { throw CrashFailure(description: "an end doesn't come") }
    durable = history.count
    losePower()
    try start()
  }

  private func losePower() {
    noteDurable()
    kept = 0
    rig.forget()
    disk.restart(
      after: PowerLoss.allCases[random.below(PowerLoss.allCases.count)], keepingFaults: true)
  }

  /// A pass that was begun is completed or given up, whatever has failed, if the log continues. Until
  /// then there is no other, and writers may have to wait for it.
  private func checkThatThePassEnds() throws {
    guard rig.failure == nil, refusal == nil, !disk.isOff else { return }
    if let pass { end(pass) }
    rig.run(until: rig.now + 2_000_000_000)
    guard rig.failure == nil, !rig.isPassOver else { return }
    throw CrashFailure(description: "a pass is neither complete nor given up")
  }

  /// After a fault: the power goes, now and then again during the start, and the start must find what
  /// it has to.
  package func recoverAndCheck() throws {
    noteDurable()
    rig.forget()
    refusal = nil
    disk.clearFaults()
    for _ in 0..<1 + random.below(3) {
      losePower()
      disk.setFault(.powerLoss, atCall: disk.calls + 1 + random.below(60))
      try start()
      noteDurable()
      disk.clearFaults()
      if !disk.isOff { break }
      refusal = nil
    }
    losePower()
    try start()
    if let refusal { throw CrashFailure(description: refusal) }
    write()
    rig.output?.close()
    rig.run(until: rig.now + 2_000_000_000)
    guard rig.isClosed else { throw CrashFailure(description: "the log can't be ended") }
    durable = history.count
    losePower()
    try start()
    if let refusal { throw CrashFailure(description: refusal) }
  }
}
