// When calls are due, and that their latencies count from then: on a virtual clock, with a server
// that replies when the test says so.

import NodeCore
import Testing

@testable import LoadGenerator

private let second: UInt64 = 1_000_000_000

@Suite struct OpenLoopTests {
  private func schedule(
    _ rate: Double, _ spacing: CallSpacing, thread: Int = 0, of threads: Int = 1, seed: UInt64 = 1
  ) -> ArrivalSchedule {
    ArrivalSchedule(
      rate: rate, spacing, startNanos: second, thread: thread, of: threads, seed: seed)
  }

  private func due(_ schedule: ArrivalSchedule, _ count: Int) -> [UInt64] {
    var schedule = schedule
    return (0..<count).map { _ in
      defer { schedule.advance() }
      return schedule.nextNanos
    }
  }

  @Test func evenlySpacedCallsAreDueAtMultiplesOfTheirPauseAlsoAfterADay() {
    #expect(due(schedule(1_000, .even), 4) == [0, 1, 2, 3].map { second + $0 * 1_000_000 })
    var schedule = schedule(3, .even)
    for _ in 0..<(3 * 86_400) { schedule.advance() }
    #expect(schedule.nextNanos == second + 86_400 * second)
  }

  @Test func evenlySpacedCallsOfThreadsComeInTurn() {
    let all = (0..<4).flatMap { due(schedule(1_000, .even, thread: $0, of: 4), 2) }.sorted()
    #expect(all == (0..<8).map { second + $0 * 1_000_000 })
  }

  @Test func pausesOfPoissonsSpacingHaveTheMeanAndTheSpreadOfTheExponential() {
    let moments = due(schedule(1_000, .poisson), 100_001)
    let pauses = zip(moments.dropFirst(), moments).map { Double($0 - $1) / 1e6 }
    let mean = pauses.reduce(0, +) / Double(pauses.count)
    #expect(abs(mean - 1) < 0.02)
    let variance = pauses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(pauses.count)
    #expect(abs(variance - 1) < 0.05)
    let long = pauses.count { $0 > 1 }
    #expect(abs(Double(long) / Double(pauses.count) - 0.3679) < 0.01)
  }

  @Test func whatIsLeftOfAScheduleIsCountedNotWalkedThrough() {
    let schedule = schedule(1_000, .even)
    #expect(schedule.callsLeft(before: second) == 0)
    #expect(schedule.callsLeft(before: second + 1) == 1)
    #expect(schedule.callsLeft(before: 2 * second) == 1_000)
  }

  /// One connection with one call at a time, to a server that needs a millisecond for each call and
  /// stands still from second 3 to second 4. The run counts from second 1 to 11.
  private func run(_ pacing: CallPacing) throws -> LoadTally {
    let span = LoadSpan(
      startNanos: second, measuredFromNanos: second, endNanos: 11 * second, callsMax: nil)
    let source = CallSource(
      drawing: try CallMix("get=1"), on: KeyChooser(.uniform, keys: 10), seed: 1)
    var core = LoadCore(source, pacing, span)
    var now: UInt64 = 0
    var roomSince: UInt64 = 0
    while true {
      switch core.next(at: now, roomSinceNanos: roomSince) {
      case .wait(let until): now = until
      case .over: return core.tally
      case .call(let call):
        now += 1_000_000
        if now > 3 * second, now < 4 * second { now = 4 * second }
        core.finished(call, at: now, .done(found: true), sent: 10, received: 20)
        roomSince = now
      }
    }
  }

  @Test func aPauseOfTheServerIsMetByEveryCallThatWasDueInIt() throws {
    let open = try run(.open(schedule(500, .even)))
    #expect(open.done == 5_000 && open.unsent == 0)
    // 500 calls were due in the pause, and the backlog behind it takes another second to vanish,
    // because half of the capacity is left for it. So about a fifth of the calls was late, by up to
    // a second.
    let late = open.latencies
    #expect(late.nanos(atPercentile: 75) <= 1_001_000)
    #expect(late.nanos(atPercentile: 85) > 100_000_000)
    #expect(late.nanos(atPercentile: 99) > 900_000_000)
    #expect(late.maxNanos >= 990_000_000)
    // The calls waited for room, so the generator itself was not late.
    #expect(open.lags.maxNanos <= 1_000_000)
  }

  @Test func aClosedLoopMeetsAPauseOnce() throws {
    let closed = try run(.closed)
    #expect(closed.done == 9_001)
    #expect(closed.latencies.nanos(atPercentile: 99.9) <= 1_001_000)
    #expect(closed.latencies.maxNanos >= 990_000_000)
  }

  @Test func callsThatWereDueAndFoundNoRoomBeforeTheEndAreReported() throws {
    let open = try run(.open(schedule(2_000, .even)))
    #expect(open.done == 9_001)
    #expect(open.done + open.unsent == 20_000)
  }

  @Test func aCallThatCouldHaveBeenSentEarlierMakesTheGeneratorLate() throws {
    let span = LoadSpan(
      startNanos: second, measuredFromNanos: second, endNanos: 3 * second, callsMax: nil)
    let source = CallSource(
      drawing: try CallMix("get=1"), on: KeyChooser(.uniform, keys: 10), seed: 1)
    var core = LoadCore(source, .open(schedule(1_000, .even)), span)
    guard case .call = core.next(at: second + 700) else {
      Issue.record("the first call is due")
      return
    }
    #expect(core.tally.lags.maxNanos == 700)
    guard case .call = core.next(at: 2 * second, roomSinceNanos: 2 * second - 5) else {
      Issue.record("the second call is due")
      return
    }
    #expect(core.tally.lags.maxNanos == 700)
  }

  @Test func theWarmUpCountsForNothingAndCallsAreCountedBehindIt() throws {
    let span = LoadSpan(
      startNanos: 0, measuredFromNanos: second, endNanos: nil, callsMax: 10)
    let source = CallSource(
      drawing: try CallMix("get=1"), on: KeyChooser(.uniform, keys: 10), seed: 1)
    var core = LoadCore(source, .closed, span)
    var now: UInt64 = 0
    var made = 0
    while case .call(let call) = core.next(at: now) {
      made += 1
      now += second / 4
      core.finished(call, at: now, .done(found: true))
    }
    #expect(made == 4 + 10)
    #expect(core.tally.done == 10)
  }

  @Test(arguments: [1, 2, 3, 7])
  func eachKeyGetsItsCallOnceWhateverTheNumberOfThreads(threads: Int) {
    var seen: [String] = []
    for thread in 0..<threads {
      let source = CallSource(
        .delete, onEachOf: 5, in: [.strings, .lists], first: thread, step: threads)
      var core = LoadCore(
        source, .closed,
        LoadSpan(startNanos: 0, measuredFromNanos: 0, endNanos: nil, callsMax: nil))
      while case .call(let call) = core.next(at: 1) { seen.append("\(call.space) \(call.key)") }
    }
    let all = ["strings", "lists"].flatMap { space in (0..<5).map { "\(space) \($0)" } }
    #expect(seen.sorted() == all.sorted())
  }

  @Test func anEarlyEndCountsWhatWasDueUntilThen() throws {
    let span = LoadSpan(
      startNanos: second, measuredFromNanos: second, endNanos: 11 * second, callsMax: nil)
    let source = CallSource(
      drawing: try CallMix("get=1"), on: KeyChooser(.uniform, keys: 10), seed: 1)
    var core = LoadCore(source, .open(schedule(1_000, .even)), span)
    core.finish(at: 2 * second)
    #expect(core.isOver && core.tally.unsent == 1_000)
    #expect(core.next(at: 2 * second) == .over)
  }
}
