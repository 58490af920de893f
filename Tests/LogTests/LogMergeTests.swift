// The cursor rule: whatever happens between the turns of a pass, the pass and the log make the same
// store again.

import Store
import TestSeeds
import Testing

@testable import Log

@Suite struct LogMergeTests {
  private func recovered(
    _ run: LoggedStore, _ pass: LoggedStore.Pass?, log: Bytes, from start: LogPosition = 0,
    seed: UInt64
  ) throws -> (picture: StorePicture, position: LogPosition, state: [StateRecord]) {
    let store = LoggedStore.makeStore()
    var state: [StateRecord] = []
    let target = StoreReplay(into: store) { state.append($0) }
    var recovery = Recovery(into: target, pass: pass, log: log, logStart: start, seed: seed)
    try recovery.run()
    return (StorePicture(store), recovery.merge.position, state)
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func aPassAndTheLogMakeTheSameStoreWhereverTheLogEnds(number: UInt64) throws {
    let seed = TestSeed.value &+ number
    let run = LoggedStore(seed: seed)
    try run.run(calls: 1_000)
    run.finishPass()
    var tried = 0
    for pass in run.passes {
      for (end, picture) in run.pictures where end >= pass.lastAsOf {
        if tried > 12, end != run.pictures.last?.end { continue }
        tried += 1
        let replayed = try recovered(run, pass, log: Bytes(run.log[..<Int(end)]), seed: seed)
        #expect(replayed.position == end)
        #expect(replayed.picture.difference(from: picture) == nil, "seed \(seed), end \(end)")
      }
    }
    #expect(tried > 2 && run.passes.count > 1, "seed \(seed)")
  }

  @Test func theLogAloneMakesTheSameStoreAndTellsAllState() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 1_000)
    let replayed = try recovered(run, nil, log: run.log, seed: 1)
    let picture = StorePicture(run.store)
    #expect(replayed.picture.difference(from: picture) == nil, "seed \(TestSeed.value)")
    #expect(replayed.state == run.state && !run.state.isEmpty)
  }

  @Test func stateBeforeThePassComesFromItsBeginningTheRestFromTheLog() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 1_000)
    run.finishPass()
    let pass = try #require(run.passes.last)
    #expect(try recovered(run, pass, log: run.log, seed: 1).state == run.state)
  }

  @Test func theLogMayBeginBeforeThePassButNotBehindIt() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 1_000)
    run.finishPass()
    let pass = try #require(run.passes.last)
    let picture = StorePicture(run.store)
    for end in [0] + run.pictures.map(\.end) {
      let log = Bytes(run.log[Int(end)...])
      if end <= pass.begin {
        let replayed = try recovered(run, pass, log: log, from: end, seed: 1)
        #expect(replayed.picture.difference(from: picture) == nil)
      } else if end < run.pictures.last?.end ?? 0 {
        #expect(throws: ReplayFault.self) {
          _ = try recovered(run, pass, log: log, from: end, seed: 1)
        }
      }
    }
  }

  @Test func aPassThatIsCutOrNewerThanTheLogIsRefused() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 600)
    run.beginPassIfNone()
    try run.run(calls: 20)
    run.finishPass()
    let pass = try #require(run.passes.last)
    var random = SeededRandom(seed: TestSeed.value)
    for _ in 0..<40 {
      var cut = pass
      cut.bytes.removeLast(Int.random(in: 1...pass.bytes.count, using: &random))
      let failure = #expect(throws: ReplayFault.self) {
        _ = try recovered(run, cut, log: run.log, seed: 1)
      }
      #expect(failure?.reason == .passIncomplete)
    }
    for (end, _) in run.pictures where end < pass.lastAsOf {
      expectRefusal(of: run, pass, logEnd: end)
    }
  }

  private func expectRefusal(
    of run: LoggedStore, _ pass: LoggedStore.Pass, logEnd end: LogPosition
  ) {
    let failure = #expect(throws: ReplayFault.self) {
      _ = try recovered(run, pass, log: Bytes(run.log[..<Int(end)]), seed: 1)
    }
    #expect(failure?.reason == .imageBehindLog, "log end \(end)")
  }

  /// All images were taken at the begin of the pass, so none of them needs the log.
  @Test func aLogThatEndsBeforeThePassBeginsIsRefused() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 200)
    run.finishPass()
    run.beginPass()
    run.finishPass()
    let pass = try #require(run.passes.last)
    #expect(pass.begin == pass.lastAsOf)
    let ends = run.pictures.map(\.end).filter { $0 < pass.begin }
    #expect(!ends.isEmpty)
    for end in ends { expectRefusal(of: run, pass, logEnd: end) }
  }

  // MARK: - Comparing

  @Test func laterPassesAreComparedWithTheStateAndNothingDiffers() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 1_500)
    run.finishPass()
    let store = LoggedStore.makeStore()
    let first = try #require(run.passes.first)
    var recovery = Recovery(
      into: StoreReplay(into: store), pass: first, log: run.log, seed: 1)
    for later in run.passes.dropFirst() {
      try recovery.run(untilPassEnds: true)
      try recovery.compare(later)
    }
    try recovery.run()
    #expect(run.passes.count > 2)
    #expect(StorePicture(store).difference(from: StorePicture(run.store)) == nil)
  }

  @Test func aLogWithoutAPassIsComparedAsWell() throws {
    let run = LoggedStore(seed: TestSeed.value)
    try run.run(calls: 1_000)
    run.finishPass()
    let store = LoggedStore.makeStore()
    var recovery = Recovery(into: StoreReplay(into: store), pass: nil, log: run.log, seed: 1)
    for pass in run.passes {
      try recovery.compare(pass)
      try recovery.run(untilPassEnds: true)
    }
    #expect(!run.passes.isEmpty)
  }
}

extension LoggedStore {
  /// One is in progress afterwards, or complete.
  func beginPassIfNone() {
    finishPass()
    takeBatch()
    beginPass()
  }
}
