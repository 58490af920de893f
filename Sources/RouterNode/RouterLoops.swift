// The state shared by the loops of a router: the list of them, for summed counters, and the request
// to stop. Thread-safe.

import NIOConcurrencyHelpers
import NIOCore
import NodeCore
import StandardServices

final class RouterLoops: Sendable {
  private let services = NIOLockedValueBox<[NIOLoopBound<RouterService>]>([])
  private let onShutdown: (@Sendable () -> Void)?
  /// Reads the list of shards again; nil: it can't be.
  let readList: ReadShards?
  private let isEnding = NIOLockedValueBox(false)
  /// The incarnation of each shard that was reported as a restart last.
  private let restarts = NIOLockedValueBox<[String: UInt64]>([:])

  /// Problems of links, as shard and reason, and the loops that have them.
  private let troubles = NIOLockedValueBox<[String: Set<ObjectIdentifier>]>([:])

  /// The loops whose link to a shard is ready.
  private let ready = NIOLockedValueBox<[String: Set<ObjectIdentifier>]>([:])
  private let count: Int
  /// The newest slot map that was logged as in force; the first one is not logged.
  private let epochTold = NIOLockedValueBox<UInt64>(1)

  /// - Parameter count: how many loops there are.
  init(count: Int = 1, readList: ReadShards? = nil, onShutdown: (@Sendable () -> Void)?) {
    self.count = count
    self.readList = readList
    self.onShutdown = onShutdown
  }

  /// Notes the loops, once there are all of them.
  func set(_ services: [NIOLoopBound<RouterService>]) {
    self.services.withLockedValue { $0 = services }
  }

  var isSingle: Bool { services.withLockedValue(\.count) <= 1 }

  /// All loops; none while the router starts.
  var all: [NIOLoopBound<RouterService>] { services.withLockedValue { $0 } }

  /// Adds up the counters of all loops. They are fetched on each loop's thread, so counting costs
  /// only an addition.
  func counters(on eventLoop: any EventLoop) -> EventLoopFuture<[String: Int64]> {
    let parts = services.withLockedValue { $0 }.map { bound in
      bound.eventLoop.submit { bound.value.ownCounters }
    }
    return EventLoopFuture.reduce([:], parts, on: eventLoop) { sum, part in
      sum.merging(part) { $0 &+ $1 }
    }
  }

  /// What all loops serve.
  func health(on eventLoop: any EventLoop) -> EventLoopFuture<NodeHealth> {
    let parts = services.withLockedValue { $0 }.map { bound in
      bound.eventLoop.submit { bound.value.loopHealth }
    }
    return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).map { parts -> NodeHealth in
      guard let first = parts.first else { return NodeHealth(notReadyReason: nil, shards: []) }
      return parts.dropFirst().reduce(first) { $0.and($1) }
    }
  }

  /// The links of all loops, in order.
  func linkReports(on eventLoop: any EventLoop) -> EventLoopFuture<[LinkReport]> {
    let parts = services.withLockedValue { $0 }.enumerated().map { number, bound in
      bound.eventLoop.submit { bound.value.ownLinkReports(loop: number) }
    }
    return EventLoopFuture.reduce([], parts, on: eventLoop) { $0 + $1 }
  }

  /// The slow calls that all loops have kept.
  func slowCalls(isReset: Bool, on eventLoop: any EventLoop) -> EventLoopFuture<SlowCalls> {
    let parts = services.withLockedValue { $0 }.map { bound in
      bound.eventLoop.submit { bound.value.slowCalls(isReset: isReset) }
    }
    return EventLoopFuture.reduce(SlowCalls(), parts, on: eventLoop) { $0 + $1 }
  }

  /// Whether a loop is the first to report that a shard has come back with this incarnation: each
  /// loop detects it separately, and it is one restart.
  func isNewRestart(shard: String, incarnation: UInt64) -> Bool {
    restarts.withLockedValue { known in
      known.updateValue(incarnation, forKey: shard) != incarnation
    }
  }

  /// Whether no other loop has reported that a shard can't be reached for this reason. All of them
  /// detect it separately, and one line is enough.
  func isNewTrouble(shard: String, reason: String, of loop: RouterService) -> Bool {
    troubles.withLockedValue { troubles in
      let loops = troubles[Self.trouble(shard, reason), default: []]
      troubles[Self.trouble(shard, reason)] = loops.union([ObjectIdentifier(loop)])
      return loops.isEmpty
    }
  }

  /// A loop's link to a shard is ready. Returns whether the links of all loops are now ready: they
  /// are logged once.
  func linkReady(shard: String, of loop: RouterService) -> Bool {
    troubleEnded(shard: shard, of: loop)
    return ready.withLockedValue { ready in
      ready[shard, default: []].insert(ObjectIdentifier(loop))
      return ready[shard]?.count == count
    }
  }

  /// A loop's link to a shard is not ready any more.
  func linkLost(shard: String, of loop: RouterService) {
    _ = ready.withLockedValue { $0[shard]?.remove(ObjectIdentifier(loop)) }
  }

  /// Whether a loop is the first to report that this slot map is in force.
  func isNewMap(epoch: UInt64) -> Bool {
    epochTold.withLockedValue { told in
      defer { told = max(told, epoch) }
      return epoch > told
    }
  }

  /// A loop has reached a shard.
  private func troubleEnded(shard: String, of loop: RouterService) {
    troubles.withLockedValue { troubles in
      for key in troubles.keys where key.hasPrefix(Self.trouble(shard, "")) {
        troubles[key]?.remove(ObjectIdentifier(loop))
        if troubles[key]?.isEmpty == true { troubles[key] = nil }
      }
    }
  }

  private static func trouble(_ shard: String, _ reason: String) -> String {
    shard + "\n" + reason
  }

  /// Notifies the process, once, that a client requested the node to stop. The following drain
  /// completes the calls in progress, including that one.
  func endNode() {
    let isFirst = isEnding.withLockedValue { isEnding in
      defer { isEnding = true }
      return !isEnding
    }
    if isFirst { onShutdown?() }
  }
}
