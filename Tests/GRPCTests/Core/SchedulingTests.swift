// Backoff, deadlines and the flush at the end of a tick.

import NIOCore
import NIOEmbedded
import TestSeeds
import Testing

@testable import GRPC

@Suite struct SchedulingTests {
  @Test func delaysGrowToTheLimitAndStayWithinTheJitter() {
    var random = SeededRandom.forTest("backoff")
    var backoff = Backoff()
    var expected = 100_000_000.0
    for _ in 0..<40 {
      let delay = Double(backoff.nextNanos(using: &random))
      #expect(delay >= expected * 0.799 && delay <= expected * 1.201)
      expected = min(expected * 1.6, 5_000_000_000)
    }
    backoff.reset()
    let first = backoff.nextNanos(using: &random)
    #expect(first <= 120_000_001)
  }

  @Test func jitterSpreadsTheDelays() {
    var random = SeededRandom.forTest("jitter")
    let delays = Set(
      (0..<20).map { _ in
        var backoff = Backoff()
        return backoff.nextNanos(using: &random)
      })
    #expect(delays.count > 10)
  }

  @Test func absurdConfigurationSaturates() {
    var random = SeededRandom.forTest("saturate")
    var steady = Backoff(baseNanos: .max, multiplier: 10, maxNanos: .max, jitter: 0)
    var jittery = Backoff(baseNanos: .max, multiplier: 10, maxNanos: .max, jitter: 1)
    var delays: [UInt64] = []
    for _ in 0..<100 {
      #expect(run { steady.nextNanos(using: &random) } == .max)
      delays.append(jittery.nextNanos(using: &random))
    }
    // Half of the factors are above 1.
    #expect(delays.contains(.max) && delays.contains { $0 < .max })
  }

  @Test func deadlinesComeOutInOrderAndRemovedOnesDoNot() {
    var queue = DeadlineQueue<String>()
    let late = queue.insert(deadlineNanos: 30, "late")
    queue.insert(deadlineNanos: 10, "early")
    let middle = queue.insert(deadlineNanos: 20, "middle")
    #expect(queue.nextDeadlineNanos == 10)
    #expect(run { queue.remove(middle) } == "middle")
    #expect(run { queue.remove(middle) } == nil)
    #expect(run { queue.popExpired(nowNanos: 9) } == nil)
    #expect(run { queue.popExpired(nowNanos: 10) } == "early")
    #expect(run { queue.popExpired(nowNanos: 29) } == nil)
    #expect(run { queue.popExpired(nowNanos: 30) } == "late")
    #expect(run { queue.remove(late) } == nil)
    #expect(queue.isEmpty)
  }

  @Test func aStaleHandleDoesNotRemoveTheEntryThatReusesItsSlot() {
    var queue = DeadlineQueue<Int>()
    let old = queue.insert(deadlineNanos: 1, 1)
    queue.remove(old)
    queue.insert(deadlineNanos: 2, 2)
    #expect(run { queue.remove(old) } == nil)
    #expect(queue.count == 1)
  }

  @Test func theDeadlineQueueAgreesWithASortedList() {
    var random = SeededRandom.forTest("deadlines")
    var queue = DeadlineQueue<Int>()
    var model: [Int: (deadline: UInt64, handle: DeadlineQueue<Int>.Handle)] = [:]
    var now: UInt64 = 0
    for token in 0..<5000 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0, 1:
        let deadline = now + UInt64.random(in: 0..<1000, using: &random)
        model[token] = (deadline, queue.insert(deadlineNanos: deadline, token))
      case 2:
        guard let victim = model.keys.randomElement(using: &random) else { continue }
        let handle = model.removeValue(forKey: victim)?.handle
        #expect(run { handle.flatMap { queue.remove($0) } } == victim)
      default:
        now += UInt64.random(in: 0..<100, using: &random)
        var last: UInt64 = 0
        while let expired = queue.popExpired(nowNanos: now) {
          let deadline = model.removeValue(forKey: expired)?.deadline ?? .max
          #expect(deadline <= now && deadline >= last)
          last = deadline
        }
        #expect(model.values.allSatisfy { $0.deadline > now })
      }
      #expect(queue.count == model.count)
      #expect(queue.nextDeadlineNanos == model.values.map(\.deadline).min())
    }
  }

  /// #expect can't call mutating methods itself.
  private func run<Value>(_ body: () -> Value) -> Value { body() }

  private final class Target: Flushable {
    var isMarkedDirty = false
    var flushes = 0
    var onFlush: (() -> Void)?
    func flushNow() {
      flushes += 1
      onFlush?()
    }
  }

  @Test func manyMarksInATickMakeOneFlushForEachTarget() {
    let loop = EmbeddedEventLoop()
    let flusher = FlushCoalescer(eventLoop: loop)
    let targets = [Target(), Target()]
    for _ in 0..<3 { for target in targets { flusher.markDirty(target) } }
    #expect(targets.map(\.flushes) == [0, 0])
    loop.run()
    #expect(targets.map(\.flushes) == [1, 1])
    flusher.markDirty(targets[0])
    loop.run()
    #expect(targets.map(\.flushes) == [2, 1])
  }

  @Test func aMarkSetWhileFlushingIsFlushedToo() {
    let loop = EmbeddedEventLoop()
    let flusher = FlushCoalescer(eventLoop: loop)
    let first = Target()
    let second = Target()
    first.onFlush = {
      if first.flushes == 1 {
        flusher.markDirty(second)
        flusher.markDirty(first)
      }
    }
    flusher.markDirty(first)
    loop.run()
    #expect(first.flushes == 2)
    #expect(second.flushes == 1)
  }

  @Test func whatIsWrittenFirstMayHoldTheRestAndLetItGo() {
    let loop = EmbeddedEventLoop()
    let flusher = FlushCoalescer(eventLoop: loop)
    let log = Target()
    let connection = Target()
    log.onFlush = { if log.flushes == 1 { flusher.release() } }
    flusher.markDirty(connection)
    flusher.markFirst(log)
    flusher.hold()
    connection.onFlush = { #expect(log.flushes > 0) }
    loop.run()
    #expect(log.flushes == 1 && connection.flushes == 1)
    // Once more, and the log doesn't get its bytes out at once.
    flusher.hold()
    flusher.markFirst(log)
    flusher.markDirty(connection)
    loop.run()
    #expect(log.flushes == 2 && connection.flushes == 1)
    flusher.markFirst(log)
    loop.run()
    #expect(log.flushes == 3, "it isn't held itself")
    flusher.release()
    loop.run()
    #expect(connection.flushes == 2 && log.flushes == 3)
  }
}
