// When a shard makes passes by itself, how fast, and when its writers wait for one or for the disk.
// The rules are PassPacing's (Log); these tests are on their use.

import Commands
import Log
import LogFiles
import NodeCore
import RingstoreAPI
import Store
import Testing

@testable import ShardNode

@Suite(.serialized)
struct PassPaceTests {
  private static let valueBytes = 60 << 10
  private static let keys = 64
  /// No test writes more: a log of 120 MiB, for which the tests take turns.
  private static let writesMax = 2_000

  private let logging = LoggingShard()
  private var shard: ShardFixture { logging.shard }
  private var core: ShardCore { logging.shard.core }
  private let value = String(repeating: "v", count: valueBytes)

  init() {
    logging.log.passes.wantsTurn = { [unowned core = logging.shard.core] in
      if let passes = core.log?.passes { core.turns.enqueue(passes) }
    }
  }

  /// Overwrites one of the keys after another, so the live data doesn't grow.
  private func write(_ number: Int) -> CallError? {
    let error = shard.failure(.set, Requests.set("k\(number % Self.keys)", value))
    logging.commit()
    return error
  }

  /// Writes until a pass begins.
  private func writeUntilAPassBegins() throws {
    for number in 0..<Self.writesMax where logging.disk.passes.isEmpty {
      #expect(write(number) == nil)
    }
    try #require(logging.disk.passes.count == 1)
  }

  /// The turns that are due.
  private func runTurns() {
    core.endExpired()
    shard.runTurns()
  }

  private var isTaken: Bool { logging.disk.passes.last?.lastAsOf != nil }

  @Test func aPassBeginsByItselfWhenTheLogIsLongEnough() throws {
    try writeUntilAPassBegins()
    let live = Self.keys * Self.valueBytes
    let least = PassPacing.slackBytes + live * 7 / 4
    let begin = Int(logging.disk.passes[0].begin)
    #expect((least...least + live).contains(begin))
  }

  @Test func itIsTakenAtItsPaceAndEndsByItself() throws {
    try writeUntilAPassBegins()
    runTurns()
    #expect(!isTaken && core.dueNanos != nil, "time must pass")
    var millis = 0
    while !isTaken, millis < 60_000 {
      logging.shard.clock.advance(millis: 20)
      millis += 20
      runTurns()
    }
    // A chunk goes at once, so up to two are ahead of the pace.
    let paced = Self.keys * Self.valueBytes - (2 << 20)
    #expect(isTaken && millis >= paced * 1_000 / PassPacing.bytesPerSecond && millis < 2_000)
    logging.disk.completePass()
    logging.log.takeEvents()
    #expect(logging.log.passes.completedCount == 1 && logging.log.passes.progress == nil)
    #expect(write(0) == nil && logging.disk.passes.count == 1)
  }

  @Test func writesHaveItGoFaster() throws {
    try writeUntilAPassBegins()
    runTurns()
    var count = 0
    while !isTaken, count < Self.keys {
      #expect(write(count) == nil)
      count += 1
      // What waits is looked at again after a time; the pace of so short a time is nothing.
      core.turns.enqueue(logging.log.passes)
      runTurns()
    }
    #expect(isTaken, "a log that grows by a quarter of the data is enough")
    #expect(count * 4 * Self.valueBytes >= Self.keys * Self.valueBytes - (2 << 20))
  }

  @Test func aPassThatIsTooSlowMakesWritersWaitUntilItIsComplete() throws {
    var told: [Bool] = []
    logging.log.onStall = { told.append($0) }
    logging.disk.isSlow = true
    try writeUntilAPassBegins()
    runTurns()
    // Twice what the bound allows; but writers continue for a second while the pass hurries.
    for number in 0..<Self.keys { #expect(write(number) == nil) }
    runTurns()
    #expect(!isTaken && told.isEmpty)
    shard.clock.advance(millis: 1_001)
    #expect(write(0) == nil, "found out at its end")
    #expect(told == [true])
    #expect(write(1)?.reason == .logStalled)
    #expect(shard.failure(.get, Requests.key("k1")) == nil, "reads continue")
    #expect(core.describe().detail.contains("LOG_STALLED"))
    #expect(core.notReadyReason == nil, "the disk doesn't stand")
    logging.disk.takePass()
    logging.log.passes.wantsTurn()
    runTurns()
    #expect(isTaken && write(1)?.reason == .logStalled, "it is not complete")
    logging.disk.completePass()
    logging.log.takeEvents()
    #expect(told == [true, false] && core.describe().detail.isEmpty)
    #expect(write(1) == nil)
  }

  @Test func whatTheDiskHasNotWrittenIsBoundedAndRefusedBeyondThat() throws {
    var refusal: CallError?
    var count = 0
    while refusal == nil, count < Self.writesMax {
      refusal = shard.failure(.set, Requests.set("k\(count % Self.keys)", value))
      logging.tick()
      count += 1
    }
    #expect(refusal?.reason == .logStalled)
    let bound = ShardLog.queuedBytesMax
    #expect((bound...bound + 2 * Self.valueBytes).contains(logging.log.bytesWaiting))
    #expect(core.describe().detail.contains("LOG_STALLED"))
    #expect(core.notReadyReason?.contains("LOG_STALLED") == true)
    #expect(shard.failure(.get, Requests.key("k1")) == nil, "reads continue")
    logging.commit()
    #expect(core.describe().detail.isEmpty && core.notReadyReason == nil)
    #expect(write(0) == nil)
  }
}
