// Cutting a log: what is before the cut is what a start finds, whatever was behind it, and all that
// was is laid aside.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct LogCutTests {
  @Test func aStartFindsWhatWasThereAtTheCutWhereverBatchesMeet() throws {
    let log = try StoredLog()
    try log.change(60)
    log.end()
    #expect(log.segments.count >= 3)
    let end = try StoredLog.start(try StoredLog.disk(log.files)).position
    for (position, picture) in log.pictures where position < end {
      let disk = try StoredLog.disk(log.files)
      let aside = try StoredLog.cut(disk, at: position)
      #expect(!aside.isEmpty)
      #expect(try StoredLog.verify(disk).isSound, "\(position)")
      let found = try StoredLog.start(disk)
      #expect(found.picture == picture, "\(position)")
    }
  }

  @Test func whatIsCutIsLaidAsideByteForByte() throws {
    let log = try StoredLog()
    try log.change(60)
    log.end()
    let files = log.files
    let position = try #require(log.pictures.keys.sorted().dropFirst(5).first)
    let disk = try StoredLog.disk(files)
    let aside = try StoredLog.cut(disk, at: position)
    #expect(aside.count == log.segments.count)
    for name in aside {
      guard case .aside(position, .segment(let begin), number: 1) = name else {
        Issue.record("\(name.text)")
        continue
      }
      let kept = try #require(disk.contents(of: "data/\(name.text)"))
      if begin == position {
        let offset = 4096 + Int(position)
        let cut = files["log-00000000000000000000"]?[offset...] ?? []
        #expect(kept[4096...].elementsEqual(cut.prefix(kept.count - 4096)))
        #expect(cut.dropFirst(kept.count - 4096).allSatisfy { $0 == 0 })
      } else {
        #expect(kept == files[LogFileName.segment(begin).text])
      }
    }
    // A second cut at one position has names of its own.
    _ = try StoredLog.start(disk)
    let again = try StoredLog.cut(disk, at: position)
    #expect(Set(again).isDisjoint(with: aside))
  }

  @Test func aPositionInsideOfABatchIsRefusedWithThoseBesideIt() throws {
    let log = try StoredLog()
    try log.change(6)
    log.end()
    let places = log.pictures.keys.sorted()
    let refusal = #expect(throws: CutRefusal.self) {
      try StoredLog.cut(log.disk, at: places[2] + 1)
    }
    #expect(
      refusal == .noBatch(places[2] + 1, below: places[2], above: places[3]))
    #expect(refusal?.description.contains("\(places[2]) and \(places[3])") == true)
    let end = try #require(places.last)
    #expect(throws: CutRefusal.beyond(end + 1, end: end)) {
      try StoredLog.cut(log.disk, at: end + 1)
    }
    #expect(throws: CutRefusal.nothingBehind(end)) { try StoredLog.cut(log.disk, at: end) }
  }

  @Test func belowWhatThePassNeedsNothingCanStartAndTheLowestPlaceThatCanIsNamed() throws {
    let log = try StoredLog()
    try log.change(60)
    try log.pass()
    try log.change(10)
    log.end()
    let files = log.files
    #expect(log.segments.first != "log-00000000000000000000")
    let places = log.pictures.keys.sorted()
    var lowest: LogPosition?
    var refused = 0
    for position in places.dropLast().reversed() {
      let disk = try StoredLog.disk(files)
      switch StoredLog.plan(disk, at: position) {
      case .success(let plan):
        #expect(plan.pass != nil)
        lowest = position
        try StoredLog.cut(disk, at: position)
        #expect(try StoredLog.start(disk).picture == log.pictures[position])
      case .failure(CutRefusal.noStart(_, _, let named)):
        refused += 1
        #expect(named == lowest, "\(position)")
      case .failure(CutRefusal.noBatch): refused += 1
      case .failure(let error): Issue.record("\(position): \(error)")
      }
    }
    #expect(lowest != nil && refused > 0)
  }

  @Test func betweenTheEndOfAPassAndTheSegmentThatNamesItThePassCounts() throws {
    let log = try StoredLog()
    try log.change(12)
    let begin = log.position
    let maker = PassMaker(of: log.store, begin: begin, state: [])
    log.rig.beginPass(at: begin)
    while !maker.isDone {
      _ = maker.take(asOf: log.position, keys: 100, bytes: 1 << 20)
      if let chunk = maker.takeChunk() { log.rig.output?.writePass(chunk) }
    }
    // The log continues before the pass is complete.
    try log.change(6)
    log.rig.output?.endPass(lastAsOf: maker.lastAsOf)
    log.end()
    #expect(log.segments.count == 2 || log.segments.count == 1)
    for position in log.pictures.keys.sorted() where position > begin && position < log.position {
      let disk = try StoredLog.disk(log.files)
      try StoredLog.cut(disk, at: position)
      let found = try StoredLog.start(disk)
      #expect(found.picture == log.pictures[position], "\(position)")
    }
  }

  @Test func aPassThatIsNotWholeBeforeTheCutGoesWithTheLogThatItNeeds() throws {
    let log = try StoredLog()
    try log.change(12)
    log.rig.run()
    let old = log.files
    try log.pass(changes: 4)
    try log.change(3)
    log.end()
    // The log from its beginning is there as well.
    let files = old.filter { $0.key.hasPrefix("log-") }.merging(log.files) { $1 }
    let pass = try #require(log.passes.first)
    let begin = try #require(LogPosition(pass.dropFirst(5)))
    let position = try #require(log.pictures.keys.filter { $0 > begin }.min())
    let disk = try StoredLog.disk(files)
    let aside = try StoredLog.cut(disk, at: position)
    #expect(aside.contains(.aside(at: position, .pass(begin), number: 1)))
    #expect(try StoredLog.start(disk).picture == log.pictures[position])
  }

  @Test func versionsThatWereGivenBehindTheCutAreBelowTheCeilingThatAStartFinds() throws {
    let log = try StoredLog()
    try log.change(12)
    log.end()
    let highest = try StoredLog.start(try StoredLog.disk(log.files)).store
    let position = log.pictures.keys.sorted()[3]
    let disk = try StoredLog.disk(log.files)
    try StoredLog.cut(disk, at: position)
    let found = try StoredLog.start(disk)
    #expect(found.ceiling > highest.versionMax)

  }

  @Test func aDamagedHeaderAMissingSegmentWhatIsBeforeIsGotBack() throws {
    let log = try StoredLog()
    try log.change(60)
    log.end()
    let second = log.segments[1]
    let position = try #require(LogPosition(second.dropFirst(4)))
    let damaged = try StoredLog.disk(log.files)
    damaged.flip(bit: 0x60 * 8, of: "data/\(second)")
    var files = log.files
    files[second] = nil
    for disk in [damaged, try StoredLog.disk(files)] {
      let finding = try #require(try StoredLog.verify(disk).findings.first)
      let plan = try #require(try finding.cut?.get())
      #expect(plan.position == position)
      try StoredLog.cut(disk, at: position)
      #expect(try StoredLog.start(disk).picture == log.pictures[position])
    }
  }

  @Test func anOlderSegmentWithADamagedHeaderIsLaidAsideAndNothingIsLost() throws {
    let log = try StoredLog()
    try log.change(12)
    log.rig.run()
    let old = log.files.filter { $0.key.hasPrefix("log-") }
    try log.change(60)
    try log.pass()
    try log.change(10)
    log.end()
    let name = "log-00000000000000000000"
    #expect(!log.segments.contains(name))
    let whole = try StoredLog.start(try StoredLog.disk(log.files))
    let disk = try StoredLog.disk(old.merging(log.files) { $1 })
    disk.flip(bit: 0x60 * 8, of: "data/\(name)")
    let finding = try #require(try StoredLog.verify(disk).findings.first)
    let plan = try #require(try finding.cut?.get())
    #expect(plan.effects == 0)
    try StoredLog.cut(disk, at: plan.position)
    #expect(try StoredLog.start(disk).picture == whole.picture)
  }

  @Test func afterAPowerLossAtAnyCallTheCutCanBeMadeAgain() throws {
    let log = try StoredLog()
    try log.change(40)
    log.end()
    let position = log.pictures.keys.sorted()[10]
    var call = 1
    var isOver = false
    while !isOver {
      let disk = try StoredLog.disk(log.files, seed: UInt64(call))
      disk.setFault(.powerLoss, atCall: disk.calls + call)
      do {
        try StoredLog.cut(disk, at: position)
        isOver = true
      } catch {}
      disk.restart()
      do {
        try StoredLog.cut(disk, at: position)
      } catch CutRefusal.nothingBehind {
        // It was done.
      }
      let found = try StoredLog.start(disk)
      #expect(found.picture == log.pictures[position], "call \(call)")
      call += 1
    }
    #expect(call > 20)
  }

  @Test func aFailingDiskIsReportedAndLosesNothing() throws {
    let log = try StoredLog()
    try log.change(40)
    log.end()
    let position = log.pictures.keys.sorted()[10]
    let whole = try StoredLog.disk(log.files)
    let before = whole.calls
    try StoredLog.cut(whole, at: position)
    let calls = whole.calls - before
    #expect(calls > 20)
    for call in 1...calls {
      let disk = try StoredLog.disk(log.files)
      disk.setFault(.error(FileErrorCode.noSpace), atCall: disk.calls + call)
      let isCut = (try? StoredLog.cut(disk, at: position)) != nil
      disk.clearFaults()
      disk.endProcess()
      if !isCut {
        do {
          try StoredLog.cut(disk, at: position)
        } catch CutRefusal.nothingBehind {
        }
      }
      #expect(try StoredLog.start(disk).picture == log.pictures[position], "call \(call)")
    }
  }
}
