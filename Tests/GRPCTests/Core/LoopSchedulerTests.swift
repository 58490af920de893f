// Turns: work without end that lets others in between.

import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import GRPC

private final class Target: Flushable {
  var isMarkedDirty = false
  var flushes = 0
  var onFlush: () -> Void = {}
  func flushNow() {
    flushes += 1
    onFlush()
  }
}

@Suite(.timeLimit(.minutes(15))) struct LoopSchedulerTests {
  @Test func workWaitsForALaterTurnThanTheOneItWasQueuedIn() {
    let loop = EmbeddedEventLoop()
    let scheduler = LoopScheduler(eventLoop: loop)
    var order: [String] = []
    scheduler.yieldThenRun {
      order.append("a")
      scheduler.yieldThenRun { order.append("c") }
    }
    scheduler.yieldThenRun { order.append("b") }
    loop.run()
    #expect(order.isEmpty, "not in this tick")
    loop.advanceTime(by: LoopScheduler.turnPause)
    #expect(order == ["a", "b"])
    #expect(scheduler.hasTurns)
    loop.advanceTime(by: LoopScheduler.turnPause)
    #expect(order == ["a", "b", "c"])
    #expect(!scheduler.hasTurns)
    loop.advanceTime(by: .seconds(1))
    #expect(order.count == 3)
  }

  @Test func aTargetThatWaitsForItsTurnIsNotFlushedInBetween() {
    let loop = EmbeddedEventLoop()
    let flusher = FlushCoalescer(eventLoop: loop)
    let target = Target()
    target.onFlush = { if target.flushes < 3 { flusher.markDirtyForNextTurn(target) } }
    flusher.markDirty(target)
    loop.run()
    #expect(target.flushes == 1)
    flusher.markDirty(target)
    loop.run()
    #expect(target.flushes == 1)
    loop.advanceTime(by: LoopScheduler.turnPause)
    #expect(target.flushes == 2)
    loop.advanceTime(by: LoopScheduler.turnPause)
    #expect(target.flushes == 3)
    #expect(!target.isMarkedDirty)
  }

  /// As when thousands of connections end at once: each has a piece of work that waits for a turn.
  @Test func aLongQueueOfWorkLetsTheLoopLookAtItsSockets() throws {
    let pieces = 20_000
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer {
      try? clients.syncShutdownGracefully()
      try? group.syncShutdownGracefully()
    }
    let loop = group.next()
    let done = NIOLockedValueBox(0)
    let seen = NIOLockedValueBox<Int?>(nil)
    let server = try ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        seen.withLockedValue { $0 = $0 ?? done.withLockedValue { $0 } }
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    let address = try #require(server.localAddress)
    let begun = loop.makePromise(of: Void.self)
    let ended = loop.makePromise(of: Void.self)
    loop.execute {
      let scheduler = LoopScheduler(eventLoop: loop)
      for _ in 0..<pieces {
        scheduler.yieldThenRun {
          Self.burn()
          let number = done.withLockedValue {
            $0 += 1
            return $0
          }
          if number == 1 { begun.succeed() }
          if number == pieces { ended.succeed() }
          _ = scheduler.hasTurns
        }
      }
    }
    try begun.futureResult.wait()
    try ClientBootstrap(group: clients).connect(to: address).wait().close().wait()
    try ended.futureResult.wait()
    #expect(seen.withLockedValue { $0 } ?? .max < pieces)
  }

  /// Runs a chain of at most `turns` links on a real loop, each begun by `next`, and tells how many
  /// had run when a connection that another thread made meanwhile was accepted.
  func linksBeforeAccept(
    turns: Int, burns: Bool,
    next: @escaping @Sendable (LoopScheduler, any EventLoop, @escaping () -> Void) -> Void
  ) throws -> Int {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer {
      try? clients.syncShutdownGracefully()
      try? group.syncShutdownGracefully()
    }
    let loop = group.next()
    let run = NIOLockedValueBox(0)
    let seen = NIOLockedValueBox<Int?>(nil)
    let server = try ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        seen.withLockedValue { $0 = $0 ?? run.withLockedValue { $0 } }
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    let address = try #require(server.localAddress)
    let begun = loop.makePromise(of: Void.self)
    let ended = loop.makePromise(of: Void.self)
    loop.execute {
      let scheduler = LoopScheduler(eventLoop: loop)
      begun.succeed()
      for _ in 0..<2 {
        func link() {
          if burns { Self.burn() }
          let number = run.withLockedValue {
            $0 += 1
            return $0
          }
          if seen.withLockedValue({ $0 != nil }) || number > turns { return ended.succeed() }
          next(scheduler, loop, link)
        }
        link()
      }
    }
    try begun.futureResult.wait()
    let client = ClientBootstrap(group: clients).connect(to: address)
    try ended.futureResult.wait()
    try client.wait().close().wait()
    return seen.withLockedValue { $0 } ?? .max
  }

  /// Work that outlasts the pause between two turns.
  private static func burn() {
    let until = NIODeadline.now() + .microseconds(60)
    while NIODeadline.now() < until {}
  }

  @Test func twoChainsOfTurnsLetTheLoopLookAtItsSockets() throws {
    let links = try linksBeforeAccept(turns: 20_000, burns: true) { scheduler, _, link in
      scheduler.yieldThenRun(link)
    }
    #expect(links < 20_000)
  }

  @Test func evenWhenEachTurnMakesOtherWorkThatOutlastsThePause() throws {
    let links = try linksBeforeAccept(turns: 20_000, burns: false) { scheduler, loop, link in
      scheduler.yieldThenRun {
        link()
        loop.execute { Self.burn() }
      }
    }
    #expect(links < 20_000)
  }
}
