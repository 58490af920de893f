// Lookups of names that hang: which ones they delay, and which not. The lookup and the clock are
// the tests' own.

import Dispatch
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import GRPC

/// Lookups that end when the test lets them. Thread-safe.
private final class HeldLookups: Sendable {
  private let begun = NIOLockedValueBox<[String]>([])
  private let held = NIOLockedValueBox<[DispatchSemaphore]>([])
  private let isOver = NIOLockedValueBox(false)
  /// An element for each lookup that began to hang.
  private let (holds, hold) = AsyncStream.makeStream(of: Void.self)
  let now = NIOLockedValueBox(NIODeadline.uptimeNanoseconds(1))

  /// The hosts that were looked up, in order.
  var hosts: [String] { begun.withLockedValue { $0 } }

  func make() -> NameLookups {
    NameLookups { [self] host, port in
      let semaphore = DispatchSemaphore(value: 0)
      begun.withLockedValue { $0.append(host) }
      if host == "lost" {
        held.withLockedValue { $0.append(semaphore) }
        hold.yield()
        if !isOver.withLockedValue({ $0 }) { semaphore.wait() }
      }
      return Result { try SocketAddress(ipAddress: "127.0.0.1", port: port) }.map { [$0] }
    } clock: { [now] in
      now.withLockedValue { $0 }
    }
  }

  func pass(_ time: TimeAmount) { now.withLockedValue { $0 = $0 + time } }

  func release() {
    for semaphore in held.withLockedValue({ $0 }) { semaphore.signal() }
  }

  /// Waits until so many lookups hang.
  func waitUntilHeld(_ count: Int) async throws {
    var iterator = holds.makeAsyncIterator()
    while held.withLockedValue({ $0.count }) < count {
      guard await iterator.next() != nil else { throw CancellationError() }
    }
  }

  /// Runs a test; past its time limit nothing hangs any more, so that it ends and fails.
  static func run(
    _ body: (HeldLookups, NameLookups) async throws -> Void
  ) async throws {
    let held = HeldLookups()
    try await withTaskCancellationHandler {
      try await body(held, held.make())
    } onCancel: {
      held.isOver.withLockedValue { $0 = true }
      held.release()
    }
  }
}

@Suite(.timeLimit(.minutes(15))) struct NameLookupTests {
  private let loop = MultiThreadedEventLoopGroup.singleton.any()

  @Test func aHostThatIsNotFoundDelaysNoOther() async throws {
    try await HeldLookups.run { held, lookups in
      let lost = lookups.addresses(host: "lost", port: 1, on: loop)
      try await held.waitUntilHeld(1)
      let found = try await lookups.addresses(host: "found", port: 2, on: loop).get()
      #expect(found.map(\.port) == [2])
      held.release()
      #expect(try await lost.get().map(\.port) == [1])
    }
  }

  @Test func attemptsAtOneTimeShareALookup() async throws {
    try await HeldLookups.run { held, lookups in
      let attempts = (0..<3).map { _ in lookups.addresses(host: "lost", port: 1, on: loop) }
      try await held.waitUntilHeld(1)
      held.release()
      for attempt in attempts { #expect(try await attempt.get().count == 1) }
      #expect(held.hosts == ["lost"])
      // Nothing is remembered: the next attempt looks again.
      let next = lookups.addresses(host: "lost", port: 1, on: loop)
      try await held.waitUntilHeld(2)
      held.release()
      _ = try await next.get()
      #expect(held.hosts == ["lost", "lost"])
    }
  }

  @Test func anOldLookupIsNotSharedAndTheirNumberIsBounded() async throws {
    try await HeldLookups.run { held, lookups in
      var attempts: [EventLoopFuture<[SocketAddress]>] = []
      for number in 1...NameLookups.lookupsPerHostMax + 2 {
        attempts.append(lookups.addresses(host: "lost", port: 1, on: loop))
        try await held.waitUntilHeld(min(number, NameLookups.lookupsPerHostMax))
        held.pass(NameLookups.sharedFor)
      }
      held.release()
      for attempt in attempts { #expect(try await attempt.get().count == 1) }
      #expect(held.hosts.count == NameLookups.lookupsPerHostMax)
    }
  }

  @Test func eachFamilyGetsItsOwn() async throws {
    let lookups = NameLookups { _, port in
      Result {
        try ["127.0.0.1", "::1"].map { try SocketAddress(ipAddress: $0, port: port) }
      }
    }
    let resolver = HostResolver(lookups: lookups, eventLoop: loop)
    let v6 = try await resolver.initiateAAAAQuery(host: "both", port: 1).get()
    let v4 = try await resolver.initiateAQuery(host: "both", port: 1).get()
    #expect(v6.map(\.ipAddress) == ["::1"])
    #expect(v4.map(\.ipAddress) == ["127.0.0.1"])
  }

  @Test func theSystemIsQueried() async throws {
    let found = try await NameLookups.shared.addresses(host: "localhost", port: 7, on: loop).get()
    #expect(!found.isEmpty)
    #expect(found.allSatisfy { $0.port == 7 })
    await #expect(throws: LookupFailure.self) {
      try await NameLookups.shared.addresses(host: "no host at all", port: 7, on: loop).get()
    }
  }
}
