// What a shard's metrics tell of its log in trouble: alerts read them.

import Log
import MetricTypes
import NodeCore
import Testing

@testable import ShardNode

@Suite struct LogMetricsTests {
  private let logging = LoggingShard()
  private var core: ShardCore { logging.shard.core }

  private func value(_ definition: MetricDefinition, _ label: MetricLabel? = nil) -> Double? {
    var metrics = MetricCollection()
    core.addMetrics(to: &metrics)
    let family = metrics.families.first { $0.definition.name == definition.name }
    let series = family?.series.first { series in
      label.map { series.labels.contains($0) } ?? true
    }
    guard case .number(let number)? = series?.value else { return nil }
    return number
  }

  @Test func aDiskThatStandsIsStalledUntilItContinues() throws {
    #expect(value(NodeMetric.logStalled) == 0)
    _ = try logging.shard.set("k", "v")
    logging.tick()
    #expect(value(NodeMetric.logStalled) == 0)
    logging.shard.clock.nowNanos += ShardLog.stallNanos + 1
    for _ in 0..<2 { core.watchLinks() }
    #expect(value(NodeMetric.logStalled) == 1)
    logging.commit()
    #expect(value(NodeMetric.logStalled) == 0)
  }

  @Test func aPassThatIsAbandonedIsCountedAndRunsNoLonger() throws {
    let abandoned = MetricLabel("result", "abandoned")
    let passes = try #require(core.log?.passes)
    passes.wantsTurn = { [core] in core.turns.enqueue(passes) }
    _ = passes.ask()
    while core.hasTurns { core.runTurn() }
    #expect(value(NodeMetric.passRunning) == 1 && value(NodeMetric.passes, abandoned) == 0)
    logging.disk.abandonPass(try #require(logging.disk.passes.first).begin)
    logging.log.takeEvents()
    #expect(value(NodeMetric.passRunning) == 0 && value(NodeMetric.passes, abandoned) == 1)
    #expect(value(NodeMetric.passes, MetricLabel("result", "completed")) == 0)
  }
}
