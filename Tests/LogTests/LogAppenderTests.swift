// What an appender makes of a store's effects: positions, numbers of batches, buffers that are used
// again.

import Store
import Testing

@testable import Log

@Suite struct LogAppenderTests {
  private let effect = OwnedEffect(
    database: 0, slot: 7, key: Bytes("key".utf8), version: 1,
    change: .put(Bytes("value".utf8), .never))

  private func append(_ effects: Int, to appender: LogAppender) {
    for _ in 0..<effects { effect.lend { appender.willApply($0) } }
    appender.groupEnded(slot: 7)
  }

  @Test func withoutEffectsThereIsNothingToTakeAndThePositionStays() {
    let appender = LogAppender(position: 1_000)
    #expect(appender.isEmpty && appender.takeBatch() == nil)
    #expect(appender.position == 1_000)
    #expect(appender.openBatch == 1 && appender.lastBatch == 0)
    appender.groupEnded(slot: 1)
    #expect(appender.isEmpty)
  }

  @Test func aPositionLiesBehindAWholeGroupAndBatchesFollowOneAnother() throws {
    let appender = LogAppender(position: 1_000)
    effect.lend { appender.willApply($0) }
    #expect(appender.position == 1_000)
    appender.groupEnded(slot: 7)
    let first = appender.position
    append(2, to: appender)
    #expect(appender.lastBatch == 1)
    let batch = try #require(appender.takeBatch())
    #expect(appender.takeBatch() == nil)
    #expect(batch.position == 1_000 && batch.end == appender.position && batch.number == 1)
    #expect(batch.bytes.count == batch.count && appender.isEmpty)
    // 1 byte of change, 1 of database, 8 of version, 1 + 3 of key, 1 + 5 of value.
    #expect(first == 1_000 + 40 + 8 + 20)
    #expect(appender.openBatch == 2 && appender.lastBatch == 1)
    append(1, to: appender)
    #expect(try #require(appender.takeBatch()).position == batch.end)
  }

  @Test func aLongBatchIsClosedByItselfBehindAWholeGroup() throws {
    let appender = LogAppender(position: 0)
    let value = Bytes(repeating: 1, count: 5 << 20)
    let large = OwnedEffect(
      database: 0, slot: 7, key: [], version: 1, change: .put(value, .never))
    for _ in 0..<8 { large.lend { appender.willApply($0) } }
    appender.groupEnded(slot: 7)
    append(1, to: appender)
    #expect(appender.openBatch == 2)
    let batch = try #require(appender.takeBatch())
    #expect(batch.count > 40 << 20)
    let next = try #require(appender.takeBatch())
    #expect(next.position == batch.end && next.number == 2 && appender.isEmpty)
  }

  @Test func buffersAreUsedAgainButNotTheLargeOnes() throws {
    let appender = LogAppender(position: 0)
    append(1, to: appender)
    let first = try #require(appender.takeBatch())
    append(1, to: appender)
    appender.recycle(first)
    let second = try #require(appender.takeBatch())
    append(1, to: appender)
    #expect(appender.takeBatch() === first)
    for _ in 0..<200_000 { append(1, to: appender) }
    let large = try #require(appender.takeBatch())
    #expect(large !== second && large.bytes.count > LogAppender.keptBytesMax)
    appender.recycle(large)
    append(1, to: appender)
    _ = appender.takeBatch()
    append(1, to: appender)
    #expect(appender.takeBatch() !== large)
  }

  @Test func recordsOfStateStandBetweenGroups() throws {
    let appender = LogAppender(position: 0, epoch: 5)
    appender.append(.versionCeiling(1 << 40))
    #expect(appender.position == 40 + 8 + 8)
    appender.append(.slotMap([1, 2, 3]))
    let batch = try #require(appender.takeBatch())
    #expect(batch.epoch == 5 && batch.count == 40 + 16 + 11)
  }
}
