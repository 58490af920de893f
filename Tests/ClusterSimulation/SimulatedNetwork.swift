// The network between routers and shards: connects, delays, breaks.
//
// Owns the connections. One thread.

import NIOCore
import NodeCore
import RingstoreAPI

final class SimulatedNetwork {
  /// What a client waits for a connect at most; as the links' own configuration has it.
  private static let connectNanosMax: UInt64 = 3_000_000_000

  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  /// Those of which either side still knows.
  private var connections: [SimulatedConnection] = []
  /// Every connection of the run; events in progress name them.
  private var kept: [SimulatedConnection] = []
  private var connectionsEver = 0
  /// By router and shard: until when frames are slow.
  private var slowUntilNanos: [[UInt64]]
  /// The same: until when nothing that the router sends arrives, over new connections as well.
  private var heldUntilNanos: [[UInt64]]
  var faultsHappen = true
  /// How slow this run's network is altogether.
  private let delayNanosMax: UInt64

  init(context: SimulationContext, cluster: SimulatedCluster) {
    self.context = context
    self.cluster = cluster
    let configuration = context.configuration
    slowUntilNanos = Array(
      repeating: Array(repeating: 0, count: configuration.shards), count: configuration.routers)
    heldUntilNanos = slowUntilNanos
    let scale = UInt64([1, 1, 4, 20][context.number(0...3)])
    delayNanosMax = configuration.network.delayNanosMax * scale
  }

  // MARK: - Routers' side

  /// Dials. The outcome comes to the router later.
  func connect(
    router: Int, shard: Int, lane: LinkLane, generation: UInt64
  ) -> SimulatedConnection {
    connectionsEver += 1
    let delay = { [unowned self] in delayNanos(router, shard) }
    let connection = SimulatedConnection(
      number: connectionsEver, router: router, shard: shard, lane: lane, generation: generation,
      toShard: Direction(context: context, delay: delay),
      toRouter: Direction(context: context, delay: delay))
    connection.toShard.deliver = { [unowned self, unowned connection] item in
      cluster.shards[shard].arrived(item, connection)
    }
    connection.toRouter.deliver = { [unowned self, unowned connection] item in
      cluster.routers[router].arrived(item, connection)
    }
    connections.removeAll { $0.phase == .closed && !$0.isOpenAtShard && $0.toShard.isCut }
    kept.append(connection)
    connections.append(connection)
    note(.connecting, connection)
    connection.toShard.hold(untilNanos: heldUntilNanos[router][shard])
    connection.toShard.send(.connect)
    context.after(Self.connectNanosMax) { [unowned self, unowned connection] in
      guard connection.phase == .connecting else { return }
      context.cover(.connectTimedOut)
      close(connection)
      cluster.routers[router].lost(connection, "connect timed out")
    }
    return connection
  }

  func sendToShard(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    note(
      tellsClockOnly(toShard: frame) ? .clock : .frameToShard, connection,
      UInt64(frame.readableBytes))
    connection.toShard.send(.frame(frame))
    if context.configuration.sabotage == .repeatsFrames, context.chance(0.01) {
      connection.toShard.send(.frame(frame))
    }
  }

  /// The router closes: what it has sent may still arrive, and may arrive late. Its core may be
  /// told of what comes in after all; it has to know that the connection counts no more.
  func close(_ connection: SimulatedConnection) {
    guard connection.phase != .closed else { return }
    connection.phase = .closed
    note(.closed, connection)
    connection.toRouter.cut(
      lagNanos: lagNanos(), keepsNothing: context.chance(0.7),
      notice: (.closed("late"), lagNanos()))
    connection.toShard.cut(lagNanos: lagNanos(), notice: (.closed("closed"), lagNanos()))
  }

  // MARK: - Shards' side

  func sendToRouter(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    note(
      tellsClockOnly(toRouter: frame) ? .clock : .frameToRouter, connection,
      UInt64(frame.readableBytes))
    connection.toRouter.send(.frame(frame))
  }

  /// The shard ends the stream, after all that it has sent.
  func end(_ connection: SimulatedConnection, _ reason: String) {
    connection.isOpenAtShard = false
    connection.toRouter.send(.closed(reason))
  }

  /// The shard's process is gone. Routers learn it from their kernels, or not at all where the
  /// machine is gone with it.
  func crash(shard: Int) {
    let isSilent = context.chance(0.3)
    for connection in connections where connection.shard == shard {
      guard connection.isOpenAtShard || !connection.toShard.isCut else { continue }
      connection.isOpenAtShard = false
      connection.toShard.cut(keepsNothing: true)
      connection.toRouter.cut(
        notice: isSilent ? nil : (.closed("reset by peer"), delayNanos(connection.router, shard)))
    }
  }

  // MARK: - Faults

  /// Breaks a connection, if there is one. Some get stuck before they break, so that much is under
  /// way then, which may arrive long after the router has continued with a new connection.
  func dropOne() {
    let open = connections.filter {
      $0.phase != .closed && !$0.toShard.isCut && !$0.toRouter.isCut
    }
    guard !open.isEmpty else { return }
    let connection = open[context.number(0...open.count - 1)]
    switch context.number(0...9) {
    case ..<5: jam(connection)
    case ..<8: drop(connection)
    default: cutOneWay(connection)
    }
  }

  /// A connection has just come up. Some break young, with their Hello in progress.
  func cameUp(_ connection: SimulatedConnection) {
    if faultsHappen, context.chance(context.configuration.network.breaksYoung) { jam(connection) }
  }

  private func jam(_ connection: SimulatedConnection) {
    connection.toShard.jamNanos = context.nanos(upTo: context.configuration.network.jamNanosMax)
    context.after(context.nanos(upTo: connection.toShard.jamNanos / 2)) { [self] in
      drop(connection)
    }
  }

  /// Both sides learn it at different times, or never.
  private func drop(_ connection: SimulatedConnection) {
    guard connection.phase != .closed, !connection.toShard.isCut else { return }
    note(.dropped, connection)
    let isBlackHole = context.chance(0.25)
    context.cover(isBlackHole ? .blackHole : .dropped)
    connection.toShard.cut(
      lagNanos: lagNanos(), notice: isBlackHole ? nil : (.closed("reset"), lagNanos()))
    connection.toRouter.cut(
      lagNanos: context.chance(0.5) ? 0 : lagNanos(),
      notice: isBlackHole ? nil : (.closed("connection reset"), lagNanos()))
  }

  /// One direction drops everything without an error; the other continues.
  private func cutOneWay(_ connection: SimulatedConnection) {
    note(.dropped, connection)
    context.cover(.cutOneWay)
    let direction = context.chance(0.5) ? connection.toShard : connection.toRouter
    direction.cut(lagNanos: lagNanos())
  }

  /// Whether each connection that a router believes in does exist.
  var isWhole: Bool {
    // One that is jammed will break.
    connections.allSatisfy {
      $0.phase == .closed
        || !($0.toShard.isCut || $0.toRouter.isCut || $0.toShard.jamNanos > 0)
    }
  }

  func slow(router: Int, shard: Int, forNanos nanos: UInt64) {
    context.note(.slowed, router, shard)
    slowUntilNanos[router][shard] = context.nowNanos + nanos
  }

  /// Holds what a router sends to a shard, now and then what comes back too; and mostly its further
  /// attempts to connect.
  func hold(router: Int, shard: Int, forNanos nanos: UInt64) {
    context.note(.slowed, router, shard)
    let untilNanos = context.nowNanos + nanos
    if context.chance(0.8) { heldUntilNanos[router][shard] = untilNanos }
    let holdsReplies = context.chance(0.3)
    for connection in connections where connection.router == router && connection.shard == shard {
      connection.toShard.hold(untilNanos: untilNanos)
      if holdsReplies { connection.toRouter.hold(untilNanos: untilNanos) }
    }
  }

  private func lagNanos() -> UInt64 {
    context.nanosOfAnyScale(upTo: context.configuration.network.stuckNanosMax)
  }

  private func delayNanos(_ router: Int, _ shard: Int) -> UInt64 {
    let isSlow = context.nowNanos < slowUntilNanos[router][shard]
    if context.chance(isSlow ? 0.2 : 0.004) { return lagNanos() }
    return 20_000 + context.nanos(upTo: isSlow ? delayNanosMax * 10 : delayNanosMax)
  }

  // MARK: - Record

  private func tellsClockOnly(toShard frame: ByteBuffer) -> Bool {
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.RouterFrame.Parts(bytes)
      guard case .heardMillis = try? parts.next(), case nil = try? parts.next() else {
        return false
      }
      return true
    }
  }

  private func tellsClockOnly(toRouter frame: ByteBuffer) -> Bool {
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.ShardFrame.Parts(bytes)
      guard case .clockMillis = try? parts.next(), case nil = try? parts.next() else {
        return false
      }
      return true
    }
  }

  func note(
    _ kind: SimulationTrace.Kind, _ connection: SimulatedConnection, _ word: UInt64 = 0
  ) {
    context.note(kind, connection.router, connection.shard, connection.generation, word)
  }
}
