// One loop of a router: the real core, and a driver that stands between it and the simulated
// network and clients as RouterService does between it and sockets.
//
// Owns the core and its links' connections. One thread.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import RouterNode

final class SimulatedRouter: RouterDriver {
  /// Silence after which a router asks, and what it waits for the reply: two seconds in all.
  private static let silenceNanosMax: UInt64 = 1_000_000_000
  /// The end of a tick comes this much after the event that made output, at most.
  private static let tickNanosMax: UInt64 = 60_000

  let number: Int
  /// Whether its slot map is the one that the shards obey.
  let isObeyed: Bool
  let context: SimulationContext
  unowned let cluster: SimulatedCluster
  private let identity: RouterIdentity
  private let map: SlotMap
  private let limits: Limits
  private let linkLimits: LinkLimits
  private let seed: UInt64
  private(set) lazy var core = RouterCore(
    identity: identity, map: map, limits: limits,
    linkLimits: linkLimits, firstGeneration: seed % 1000, seed: seed,
    clock: { [context] in context.nowNanos }, driver: self)

  private var links: [[LinkLane: SimulatedConnection]]
  private var lanesWithOutput: [(shard: Int, lane: LinkLane)] = []
  private var isFlushPlanned = false
  private var hasStarted = false
  private(set) var isDraining = false
  private var wakeupNanos: UInt64 = .max
  private var wakeups = 0
  /// The calls on one key in progress or ended, by the core's id.
  private(set) var callsByID: [UInt64: SimulatedCall] = [:]
  var saboteur: RouterFaultInjector

  init(
    number: Int, map: SlotMap, isObeyed: Bool, limits: Limits, linkLimits: LinkLimits,
    context: SimulationContext, cluster: SimulatedCluster
  ) {
    self.number = number
    self.isObeyed = isObeyed
    self.map = map
    self.limits = limits
    self.linkLimits = linkLimits
    self.context = context
    self.cluster = cluster
    seed = context.random.next()
    identity = RouterIdentity(
      cluster: SimulatedCluster.name, router: "router-\(context.random.next())/\(number)")
    links = Array(repeating: [:], count: map.shards.count)
    saboteur = RouterFaultInjector(context.configuration.sabotage, shards: map.shards.count)
  }

  func start() {
    hasStarted = true
    core.tick()
    eventHandled()
  }

  /// The numbers of the shards of its map.
  var members: [Int] {
    core.shardIDs.compactMap { SimulatedCluster.shardIDs.firstIndex(of: $0) }
  }

  // MARK: - Clients' calls

  /// Takes a batch that was read from a client.
  func place(_ batch: [SimulatedCall]) {
    for call in batch where !call.hasEnded {
      switch call.kind {
      case .oneKey: placeOneKey(call)
      case .manyKeys(let calls): start(calls.command.id, call)
      case .everyShard(let command): start(command, call)
      case .listStream: openStream(call)
      case .scan(let walk): start(walk.isScan ? .scan : .keys, call)
      case .backup: start(.backup, call)
      }
    }
    eventHandled()
  }

  /// Places a call that a line has become.
  func place(_ line: any KeyedCall, _ call: SimulatedCall) {
    placeOneKey(call, line)
    eventHandled()
  }

  private func placeOneKey(_ call: SimulatedCall, _ line: (any KeyedCall)? = nil) {
    guard let command = call.items[0].call.model.command?.id else { return }
    let request = call.request()
    if let remembered = saboteur.rememberedReply(to: call, context) {
      deliver(remembered, to: call)
      return
    }
    call.order = cluster.nextOrder()
    if let delay = saboteur.delayNanos(request, context) {
      context.after(delay) { [unowned self] in
        guard !call.hasEnded else { return }
        submit(call, command, request)
        eventHandled()
      }
      return
    }
    if let line {
      submitted(
        call,
        core.submit(
          line, CallContext(deadlineNanos: call.deadlineNanos),
          endsAtDeadline: call.client.isPipeline, caller: call))
    } else {
      submit(call, command, request)
    }
  }

  private func submit(_ call: SimulatedCall, _ command: CommandID, _ request: ByteBuffer) {
    let message = request.withUnsafeReadableBytes { OwnedBytes(copying: $0) }
    let id = message.withBytes {
      core.submit(
        UInt32(command.rawValue), message: $0, in: message.block,
        CallContext(deadlineNanos: call.deadlineNanos), endsAtDeadline: call.client.isPipeline,
        caller: call)
    }
    submitted(call, id)
  }

  private func submitted(_ call: SimulatedCall, _ id: UInt64?) {
    call.id = id
    if let id { callsByID[id] = call }
  }

  private func start(_ command: CommandID, _ call: SimulatedCall) {
    let request = call.request()
    do throws(CallError) {
      let operation = try request.withUnsafeReadableBytes { bytes throws(CallError) in
        try OperationFactory.make(
          command, message: bytes, CallContext(deadlineNanos: call.deadlineNanos), limits: limits
        ) {
          DescribeMerge(
            cluster: SimulatedCluster.name, map: nil, router: nil, shardIDs: core.shardIDs)
        }
      }
      call.id = core.start(
        operation, CallContext(deadlineNanos: call.deadlineNanos), caller: call)
    } catch {
      cluster.failed(call, error)
    }
  }

  private func openStream(_ call: SimulatedCall) {
    call.id = call.request().withUnsafeReadableBytes {
      core.openStream(
        message: $0, CallContext(deadlineNanos: call.deadlineNanos), caller: call)
    }
  }

  /// The client has gone away.
  func cancel(_ call: SimulatedCall) {
    guard let id = call.id else { return }
    core.cancel(id)
    eventHandled()
  }

  // MARK: - Links

  func connect(shard: Int, address: String, generation: UInt64) {
    for lane in LinkLane.allCases {
      if links[shard][lane] != nil {
        context.found(.leak, "router \(number) dials shard \(shard) though it has a connection")
      }
      links[shard][lane] = cluster.network.connect(
        router: number, shard: shard, lane: lane, generation: generation)
    }
    guard context.chance(0.02), let connection = links[shard][.bulk] else { return }
    context.cover(.connectFailedAtOnce)
    cluster.network.close(connection)
    lost(connection, "the address can't be resolved")
  }

  func disconnect(shard: Int, generation: UInt64) {
    for lane in LinkLane.allCases {
      guard let connection = links[shard][lane], connection.generation == generation else {
        continue
      }
      links[shard][lane] = nil
      cluster.network.close(connection)
    }
  }

  func linkHasOutput(shard: Int, lane: LinkLane) {
    if !lanesWithOutput.contains(where: { $0 == (shard, lane) }) {
      lanesWithOutput.append((shard, lane))
    }
    planFlush()
  }

  func pauseReading(for caller: SimulatedCall) {
    context.cover(.held)
    caller.holds += 1
    if let local = caller.local {
      local.caller?.pauseReading()
    } else {
      caller.client.connection.hold()
    }
  }

  func resumeReading(for caller: SimulatedCall) {
    if caller.holds == 0 {
      context.found(.pausesUnbalanced, "call \(caller.number) is to be released, and is not held")
    }
    caller.holds -= 1
    if let local = caller.local {
      local.caller?.resumeReading()
    } else {
      caller.client.connection.release()
    }
  }

  // MARK: - Calls that wait for values

  func parked(_ caller: SimulatedCall) -> Bool {
    if caller.isParked || caller.hasEnded {
      context.found(.leak, "it waits for a value already, or has ended: \(caller.text)")
    }
    guard caller.client.parks() else {
      context.cover(.parkedTooOften)
      return false
    }
    caller.isParked = true
    caller.parkedNanos = context.nowNanos
    return true
  }

  func unparked(_ caller: SimulatedCall) {
    if !caller.isParked {
      context.found(.leak, "it waits for no value: \(caller.text)")
    }
    caller.isParked = false
    caller.unparkedEvent = context.eventNumber
    caller.client.unparks()
  }

  /// The router is asked to stop: no call waits for a value any more.
  func drain() {
    isDraining = true
    core.endParked()
    eventHandled()
  }

  func note(_ event: RouterEvent) {
    switch event {
    case .linkReady(let shard, _):
      let index = SimulatedCluster.shardIDs.firstIndex(of: shard) ?? 0
      context.note(.ready, number, index)
      context.cover(.linkReady)
      if let frame = saboteur.linkReady(shard: index), let connection = links[index][.calls] {
        cluster.network.sendToShard(frame, connection)
      }
    case .shardRestarted: context.cover(.restartNoticed)
    case .linkRefused, .linkLost, .linkDraining, .mapPending, .mapInForce, .shardDropped,
      .lossAccepted:
      break
    }
  }

  // MARK: - What the network brings

  func arrived(_ item: NetworkItem, _ connection: SimulatedConnection) {
    guard connection.phase != .closed else {
      arrivedLate(item, connection)
      return
    }
    connection.lastHeardNanos = context.nowNanos
    connection.pingSentNanos = nil
    switch item {
    case .connected:
      connection.phase = .open
      cluster.network.note(.connected, connection)
      cluster.network.cameUp(connection)
      watch(connection)
      core.linkConnected(
        shard: connection.shard, lane: connection.lane, generation: connection.generation)
    case .refused:
      context.cover(.connectRefused)
      cluster.network.close(connection)
      lost(connection, "connection refused")
    case .closed(let reason):
      cluster.network.close(connection)
      lost(connection, reason)
    case .frame(let frame):
      frame.withUnsafeReadableBytes {
        core.linkReceived(
          shard: connection.shard, lane: connection.lane, generation: connection.generation,
          frame: $0)
      }
    case .connect, .ping, .pong: break
    }
    eventHandled()
  }

  /// A driver need not keep news of a dropped connection from the core.
  private func arrivedLate(_ item: NetworkItem, _ connection: SimulatedConnection) {
    let (shard, lane) = (connection.shard, connection.lane)
    let generation = connection.generation
    context.cover(.staleNews)
    switch item {
    case .connected:
      core.linkConnected(shard: shard, lane: lane, generation: generation)
    case .frame(let frame):
      frame.withUnsafeReadableBytes {
        core.linkReceived(shard: shard, lane: lane, generation: generation, frame: $0)
      }
    case .closed(let reason):
      core.linkLost(shard: shard, lane: lane, generation: generation, reason: reason)
    case .connect, .refused, .ping, .pong: break
    }
    eventHandled()
  }

  /// A connection that the router has not dropped itself is gone.
  func lost(_ connection: SimulatedConnection, _ reason: String) {
    cluster.network.note(.lost, connection)
    if links[connection.shard][connection.lane] === connection {
      links[connection.shard][connection.lane] = nil
    }
    core.linkLost(
      shard: connection.shard, lane: connection.lane, generation: connection.generation,
      reason: reason)
    eventHandled()
  }

  /// Asks a silent shard whether it lives, and gives it up.
  private func watch(_ connection: SimulatedConnection) {
    context.after(Self.silenceNanosMax) { [unowned self] in
      guard connection.phase == .open else { return }
      let now = context.nowNanos
      if let sent = connection.pingSentNanos, now >= sent + Self.silenceNanosMax {
        context.cover(.foundUnresponsive)
        cluster.network.close(connection)
        lost(connection, "nothing was received for too long")
        return
      }
      if connection.pingSentNanos == nil,
        now >= connection.lastHeardNanos + Self.silenceNanosMax
      {
        connection.pingSentNanos = now
        connection.toShard.send(.ping)
      }
      watch(connection)
    }
  }

  // MARK: - Ticks

  /// To be called after anything that may have changed when the core wants to be woken.
  func eventHandled() {
    guard hasStarted, let next = core.nextWakeupNanos, next < wakeupNanos else { return }
    wakeupNanos = next
    wakeups += 1
    let wakeup = wakeups
    context.at(next + context.nanos(upTo: 100_000)) { [unowned self] in
      guard wakeup == wakeups else { return }
      wakeupNanos = .max
      core.tick()
      eventHandled()
    }
  }

  private func planFlush() {
    guard !isFlushPlanned else { return }
    isFlushPlanned = true
    context.after(context.nanos(upTo: Self.tickNanosMax)) { [unowned self] in
      isFlushPlanned = false
      flush()
    }
  }

  /// The end of a tick: links send what they have. Now and then a link takes one frame only, as
  /// one whose socket is full might.
  private func flush() {
    let lanes = lanesWithOutput
    lanesWithOutput = []
    for (shard, lane) in lanes {
      while let frame = core.takeFrame(shard: shard, lane: lane) {
        if let connection = links[shard][lane] {
          cluster.network.sendToShard(frame.joined, connection)
        }
        guard context.chance(0.1) else { continue }
        linkHasOutput(shard: shard, lane: lane)
        break
      }
    }
    eventHandled()
  }
}
