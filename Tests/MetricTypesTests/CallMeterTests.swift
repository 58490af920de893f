// Calls that are counted one by one, and calls of a tick that are counted together.

import MetricTypes
import Testing

@Suite struct CallMeterTests {
  private let meter = CallMeter(places: 8, slowLog: SlowLog(slowNanos: 1_000_000, largeBytes: 100))

  @Test func aCallThatIsRecordedIsCountedForItsCommandAndOutcomeAndForNoOther() throws {
    meter.record(3, isError: false, nanos: 5_000)
    meter.record(3, isError: false, nanos: 7_000)
    meter.record(3, isError: true, nanos: 1_000)
    let good = try #require(meter.counts(3, isError: false))
    #expect(good.count == 2)
    #expect(good.sumNanos == 12_000)
    #expect(meter.counts(3, isError: true)?.count == 1)
    #expect(meter.counts(2, isError: true) == nil)
    #expect(meter.counts(4, isError: false) == nil)
  }

  @Test func theTotalHasTheCallsOfAllCommandsWithErrorsAndWithoutAndNothingElse() {
    let others = 3..<5
    #expect(meter.total(leavingOut: others).durations.count == 0)
    meter.record(0, isError: false, nanos: 1_000)
    meter.record(7, isError: false, nanos: 2_000)
    meter.record(7, isError: true, nanos: 3_000)
    for place in others { meter.record(place, isError: true, nanos: 9_000) }
    let total = meter.total(leavingOut: others)
    #expect(total.durations.count == 3 && total.errors == 1)
    #expect(total.durations.sumNanos == 6_000)
  }

  @Test(arguments: [-1, 8, Int.max, Int.min])
  func placesThatThereAreNotArePassedOver(place: Int) {
    meter.record(place, isError: false, nanos: 1)
    meter.note(place, isError: true, tickNanos: 1)
    #expect(!meter.isPending)
    #expect(meter.counts(place, isError: true) == nil)
  }

  @Test func allCallsOfATickTakeFromItsBeginningToItsEnd() {
    for _ in 0..<3 { meter.note(1, isError: false, tickNanos: 10_000) }
    meter.note(2, isError: true, tickNanos: 12_000)
    #expect(meter.counts(1, isError: false) == nil)
    #expect(meter.isPending)
    meter.commit(nowNanos: 60_000)
    #expect(!meter.isPending)
    #expect(meter.counts(1, isError: false)?.sumNanos == 150_000)
    #expect(meter.counts(2, isError: true)?.sumNanos == 50_000)
    #expect(meter.ticks.count == 1)
    // The next tick has its own beginning.
    meter.note(1, isError: false, tickNanos: 70_000)
    meter.commit(nowNanos: 71_000)
    #expect(meter.counts(1, isError: false)?.sumNanos == 151_000)
  }

  @Test func aClockThatStandsOrAnEntranceThatKnewNoTimeCountsNothingButTheCall() {
    meter.note(1, isError: false, tickNanos: 0)
    meter.commit(nowNanos: 5_000_000)
    meter.note(1, isError: false, tickNanos: 9_000)
    meter.commit(nowNanos: 8_000)
    #expect(meter.counts(1, isError: false)?.count == 2)
    #expect(meter.counts(1, isError: false)?.sumNanos == 0)
  }

  @Test func aSlowTickIsInTheSlowLogWithItsNumberOfCallsAndItsBusiestCommand() throws {
    meter.note(1, isError: false, tickNanos: 1_000)
    meter.note(2, isError: false, tickNanos: 1_000)
    meter.note(2, isError: false, tickNanos: 1_000)
    meter.commit(nowNanos: 1_001_000)
    let slow = try #require(meter.slowLog.slow.latest.first)
    #expect(slow.kind == .tick)
    #expect(slow.calls == 3)
    #expect(slow.place == 2)
    #expect(slow.durationNanos == 1_000_000)
    meter.note(2, isError: false, tickNanos: 2_000)
    meter.commit(nowNanos: 3_000)
    #expect(meter.slowLog.slow.total == 1)
  }

  @Test func theSlowLogKeepsTheLatestCallsNewestFirstAndCountsAll() {
    var log = SlowLog(slowNanos: 1_000, largeBytes: 10) { 7 }
    for number in 0..<300 {
      var call = SlowCall(place: number, durationNanos: 1_000, isError: false)
      call.requestBytes = number % 2 == 0 ? 10 : 9
      log.note(call)
    }
    #expect(log.slow.total == 300)
    #expect(log.slow.latest.count == SlowLog.entriesMax)
    #expect(log.slow.latest.first?.place == 299)
    #expect(log.slow.latest.last?.place == 300 - SlowLog.entriesMax)
    #expect(log.slow.latest.first?.unixMillis == 7)
    #expect(log.large.total == 150)
    #expect(log.large.latest.first?.place == 298)
  }

  @Test(arguments: [5, 200])
  func aSlowLogThatForgetsContinuesCountingAndKeepsTheLatest(before: Int) {
    var log = SlowLog(slowNanos: 1_000, largeBytes: 10) { 7 }
    var call = SlowCall(place: 0, durationNanos: 1_000, isError: false)
    call.replyBytes = 10
    for _ in 0..<before { log.note(call) }
    log.reset()
    #expect(log.slow.latest.isEmpty && log.large.latest.isEmpty)
    for number in 1...SlowLog.entriesMax + 1 {
      call.place = number
      log.note(call)
    }
    #expect(log.slow.latest.map(\.place) == (2...SlowLog.entriesMax + 1).reversed())
    #expect(log.large.total == UInt64(before + SlowLog.entriesMax + 1))
  }

  @Test func withoutThresholdsNothingIsSlowOrLarge() {
    var log = SlowLog()
    var call = SlowCall(place: 1, durationNanos: .max - 1, isError: true)
    call.replyBytes = .max - 1
    log.note(call)
    #expect(log.slow.total == 0)
    #expect(log.large.total == 0)
  }
}
