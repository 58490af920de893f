// What an event loop counts of its turns, as the metrics show it. Its clock moves on command.

import MetricTypes
import NIOCore
import NIOEmbedded
import NodeCore
import Testing

@testable import GRPC

@Suite struct LoopMetricsTests {
  private let loop = EmbeddedEventLoop()

  /// A task that takes this long, and begins before everything else that is due then.
  private func delay(_ duration: TimeAmount, at deadline: NIODeadline) {
    loop.scheduleTask(deadline: deadline) { loop.advanceTime(by: duration) }
  }

  private func counts(_ scheduler: LoopScheduler) -> [Double?] {
    var metrics = MetricCollection()
    metrics.add(scheduler.meter.report, loop: 3)
    return ["ringstore_loop_turns_total", "ringstore_loop_late_turns_total"].map {
      metrics.value(of: $0, [MetricLabel("loop", "3")])
    }
  }

  @Test func aTurnThatBeginsLateIsCountedAndPostponedOnce() {
    let scheduler = LoopScheduler(eventLoop: loop)
    let late = TimeAmount.nanoseconds(Int64(LoopScheduler.latenessNanosMax) + 1)
    let due = loop.now + LoopScheduler.turnPause
    delay(late, at: due)
    // However late the turn is after that, it isn't postponed again.
    delay(.seconds(1), at: due + late + LoopScheduler.turnPause)
    var isDone = false
    scheduler.yieldThenRun { isDone = true }
    loop.advanceTime(to: due)
    #expect(!isDone)
    #expect(counts(scheduler) == [0, 1])
    loop.advanceTime(by: .seconds(2))
    #expect(isDone)
    #expect(counts(scheduler) == [1, 1])
  }

  @Test func aTurnThatBeginsInTimeIsNotCountedAsLate() {
    let scheduler = LoopScheduler(eventLoop: loop)
    let due = loop.now + LoopScheduler.turnPause
    delay(.nanoseconds(Int64(LoopScheduler.latenessNanosMax)), at: due)
    var isDone = false
    scheduler.yieldThenRun { isDone = true }
    loop.advanceTime(to: due)
    #expect(isDone)
    #expect(counts(scheduler) == [1, 0])
  }
}
