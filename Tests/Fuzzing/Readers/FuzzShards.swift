// A router's side of links: two shards send what the steps of the input say, as replies to calls
// that clients have made and that the router has sent, or to none: Hellos, replies in one piece and
// in many, errors, notices of waiting, returned calls, maps, and frames of any bytes. Connections
// end and are made again, clients go or read nothing, time passes.
//
// Nothing may trap. Each client gets one reply at most, and none after it has gone; a reply in
// pieces is as long as announced; what the router sends must be decodable. When all clients have
// gone and all links are lost nothing may be left of their calls.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import RouterNode

extension FuzzReader {
  package static let shards = FuzzReader(
    name: "shards", seeds: LinkSeeds.shards, triesInTests: 300
  ) { input in
    try LinkedRouter().run(LinkScript(input))
  }
}

/// What is done by a step: the low bits of its byte. The others are a lane (16), a shard (32), and
/// whether the router's output stays where it is (128).
enum ShardStep: UInt8 {
  case rawFrame, connected, hello, submit, reply, notice, part, error, parked, map, callerGoes
  case callerReads, time, lost, operation, returned
}

private final class LinkedRouter {
  private let clients = PlayedClients()
  private let clock = FuzzClock()
  private let core: RouterCore<PlayedClients>
  /// The calls that the router has sent to each shard, and not cancelled since.
  private var sent: [[UInt64]] = [[], []]
  /// Shard, lane and generation of the connections that the core was told of.
  private var told: Set<[UInt64]> = []

  init() throws {
    var limits = Limits()
    (limits.maxMessageBytes, limits.bulkBytesMin) = (6_000, 300)
    (limits.largeReplyMemoryBytesMax, limits.replyMemoryBytesMax) = (4_000, 4_000)
    var linkLimits = LinkLimits()
    (linkLimits.callsInFlightMax, linkLimits.bulkCallsInFlightMax) = (6, 3)
    (linkLimits.waitingBytesMax, linkLimits.frameBytes) = (4_000, 500)
    guard let map = LinkMaps.map(5) else { throw Finding("there is no map") }
    let clock = clock
    core = RouterCore(
      identity: RouterIdentity(cluster: LinkMaps.cluster, router: "r/0"), map: map,
      limits: limits, linkLimits: linkLimits, firstGeneration: 1, seed: 1,
      clock: { clock.nowNanos }, driver: clients)
    core.tick()
  }

  func run(_ script: LinkScript) throws {
    var script = script
    while let what = script.step() {
      take(what, &script)
      if what & 128 == 0 { try takeOutput() }
      if let problem = clients.problem { throw Finding(problem) }
      for shard in sent.indices {
        for lane in LinkLane.allCases where core.callsInFlight(shard: shard, lane: lane) < 0 {
          throw Finding("fewer calls are in flight than none")
        }
      }
    }
    try end()
  }

  private func take(_ what: UInt8, _ script: inout LinkScript) {
    guard let step = ShardStep(rawValue: what & 15) else { return }
    let shard = Int(what >> 5 & 1)
    let lane: LinkLane = what & 16 == 0 ? .calls : .bulk
    switch step {
    case .rawFrame: receive(ByteBuffer(bytes: script.bytes()), shard, lane)
    case .connected:
      // A connection is told once of: the frame that it begins with has one Hello.
      let connection = [UInt64(shard), lane == .calls ? 0 : 1, generation(shard)]
      guard told.insert(connection).inserted else { return }
      core.linkConnected(shard: shard, lane: lane, generation: generation(shard))
    case .hello: receive(PlayedShard.hello(&script), shard, lane)
    case .map: receive(PlayedShard.map(&script), shard, lane)
    case .reply, .notice, .part, .error, .parked, .returned:
      let id = call(script.byte(), shard)
      receive(PlayedShard.reply(step, id, &script), shard, lane)
    case .submit: submit(&script)
    case .operation: start(&script)
    case .callerGoes:
      if let id = clients.goes(Int(script.byte())) { core.cancel(id) }
    case .callerReads:
      for id in clients.reads(Int(script.byte())) { core.callerWritable(id) }
    case .time:
      clock.nowNanos += UInt64(script.byte()) * 40_000_000
      core.tick()
    case .lost:
      core.linkLost(shard: shard, lane: lane, generation: generation(shard), reason: "lost")
    }
  }

  private func generation(_ shard: Int) -> UInt64 { clients.connections[shard] ?? 0 }

  /// One of the calls that a shard has, or any number.
  private func call(_ choice: UInt8, _ shard: Int) -> UInt64 {
    guard choice < 240, !sent[shard].isEmpty else { return UInt64(choice) }
    return sent[shard][Int(choice) % sent[shard].count]
  }

  private func receive(_ frame: ByteBuffer, _ shard: Int, _ lane: LinkLane) {
    let bytes = Array(frame.readableBytesView)
    bytes.withUnsafeBytes {
      core.linkReceived(shard: shard, lane: lane, generation: generation(shard), frame: $0)
    }
  }

  // MARK: - Clients

  private func context(_ deadline: UInt8) -> CallContext {
    CallContext(
      deadlineNanos: deadline == 0 ? nil : clock.nowNanos + UInt64(deadline) * 10_000_000)
  }

  private func submit(_ script: inout LinkScript) {
    let (method, deadline) = (UInt32(script.byte()), script.byte())
    let request = PlayedClients.request(&script)
    let caller = clients.begin(gathers: deadline & 1 == 1)
    let id = request.withUnsafeReadableBytes {
      core.submit(
        method, message: $0, context(deadline), endsAtDeadline: true, caller: caller)
    }
    clients.began(caller, id)
  }

  private func start(_ script: inout LinkScript) {
    let commands: [CommandID] = [
      .mGet, .mSet, .keys, .scan, .dbSize, .reset, .stats, .describe, .randomKey, .bigKeys,
      .hotKeys, .backup, .digest, .snapshot, .mLRange, .lRangeStream,
    ]
    let (choice, deadline) = (commands[Int(script.byte()) % 16], script.byte())
    let request = PlayedClients.request(&script)
    let caller = clients.begin(gathers: false)
    let id = request.withUnsafeReadableBytes { message -> UInt64? in
      if choice == .lRangeStream {
        return core.openStream(message: message, context(deadline), caller: caller)
      }
      do throws(CallError) {
        let operation = try OperationFactory.make(
          choice, message: message, context(deadline), limits: core.limits
        ) {
          DescribeMerge(
            cluster: LinkMaps.cluster, map: core.map, router: nil, shardIDs: core.shardIDs)
        }
        return core.start(operation, context(deadline), caller: caller, as: choice)
      } catch {
        clients.fail(caller, error: error)
        return nil
      }
    }
    if let id, deadline > 0, id >> 63 == 1 {
      core.endOperation(id, atNanos: clock.nowNanos + UInt64(deadline) * 10_000_000)
    }
    clients.began(caller, id)
  }

  // MARK: - What the router sends

  private func takeOutput() throws {
    while let (shard, lane) = clients.lanesWithOutput.popLast() {
      while var frame = core.takeFrame(shard: shard, lane: lane) {
        try frame.joined.withUnsafeReadableBytes { bytes in
          guard let decoded = try? LinkV1.RouterFrame(bytes) else {
            throw Finding("the router sends what can't be decoded")
          }
          guard sent.indices.contains(shard) else { return }
          sent[shard] += decoded.calls.map(\.id)
          sent[shard].removeFirst(max(0, sent[shard].count - 100))
        }
        core.reuse(&frame.head, shard: shard, lane: lane)
      }
    }
  }

  private func end() throws {
    for caller in clients.all { if let id = clients.goes(caller) { core.cancel(id) } }
    try takeOutput()
    for (shard, generation) in clients.connections {
      core.linkLost(shard: shard, lane: .calls, generation: generation, reason: "lost")
    }
    for _ in 0..<30 {
      clock.nowNanos += 1_000_000_000
      core.tick()
      try takeOutput()
    }
    if let problem = clients.problem { throw Finding(problem) }
    guard core.callsUnderWay == 0, core.callsParked == 0, core.callsWaiting == 0,
      core.repliesInParts == 0, core.requestedReplyBytes == 0, core.operationsUnderWay == 0,
      core.replyMemory.heldBytes == 0, clients.areTidy
    else { throw Finding("something is left when the clients have gone") }
  }
}

/// What a shard says.
private enum PlayedShard {
  static func hello(_ script: inout LinkScript) -> ByteBuffer {
    typealias Field = LinkV1.HelloReply.Field
    let (kind, choice) = (script.byte(), script.byte())
    var frame = ByteBuffer()
    let hello = frame.beginLengthDelimited(LinkV1.ShardFrame.Field.hello)
    frame.write(Field.incarnation, UInt64(1 + kind >> 6))
    frame.write(Field.accepted, kind & 1 == 0)
    if kind & 1 == 1 {
      let refusals = LinkRefusal.allCases
      frame.write(Field.refusal, refusals[Int(kind >> 1) % refusals.count].rawValue)
    }
    frame.write(Field.mapInForce, kind & 2 == 0)
    frame.write(Field.serving, kind & 4 == 0)
    frame.write(Field.recovers, kind & 8 == 8)
    if kind & 16 == 16 { LinkMaps.append(LinkMaps.map(choice), as: Field.map, to: &frame) }
    for _ in 0..<choice >> 6 { frame.append(Field.ranCalls, script.number()) }
    frame.endLengthDelimited(hello)
    frame.append(LinkV1.ShardFrame.Field.clockMillis, UInt64(kind >> 4))
    return frame
  }

  static func map(_ script: inout LinkScript) -> ByteBuffer {
    let (kind, choice) = (script.byte(), script.byte())
    var frame = ByteBuffer()
    if kind & 1 == 0 {
      typealias Field = LinkV1.MapReply.Field
      let reply = frame.beginLengthDelimited(LinkV1.ShardFrame.Field.mapReply)
      frame.write(Field.step, LinkV1.SlotMapStep(rawValue: Int32(kind >> 1 & 3)))
      frame.write(Field.epoch, UInt64(choice >> 2 & 15))
      frame.write(Field.accepted, kind & 8 == 0)
      if kind & 16 == 16 { LinkMaps.append(LinkMaps.map(choice), as: Field.map, to: &frame) }
      frame.write(Field.inForce, kind & 32 == 0)
      frame.write(Field.round, script.number())
      frame.write(Field.versionsBelow, script.number())
      frame.endLengthDelimited(reply)
    } else {
      typealias Field = LinkV1.MapNews.Field
      let news = frame.beginLengthDelimited(LinkV1.ShardFrame.Field.mapNews)
      LinkMaps.append(LinkMaps.map(choice), as: Field.map, to: &frame)
      frame.write(Field.inForce, kind & 32 == 0)
      frame.write(Field.versionsBelow, script.number())
      frame.endLengthDelimited(news)
    }
    return frame
  }

  static func reply(_ step: ShardStep, _ id: UInt64, _ script: inout LinkScript) -> ByteBuffer {
    var frame = ByteBuffer()
    switch step {
    case .notice:
      var notice = ByteBuffer()
      LinkV1.LargeReplyNotice(totalBytes: script.number()).write(into: &notice)
      notice.withUnsafeReadableBytes {
        frame.writeReply(.link, id: id, response: $0, more: true)
      }
    case .part:
      let (count, kind) = (Int(script.byte()) * 4, script.byte())
      let part = [UInt8](repeating: 7, count: count)
      part.withUnsafeBytes {
        frame.writeReply(.link, id: id, response: $0, more: kind & 1 == 0)
      }
    case .error:
      let errors: [CallError] = [
        .cancelled, .deadlineExceeded, .undecodable(.truncated), .wrongShard(owner: nil),
        .unauthenticatedAnymore,
      ]
      frame.writeReply(.link, id: id, error: errors[Int(script.byte()) % errors.count])
    case .parked, .returned:
      let method = UInt32(script.byte())
      script.bytes().withUnsafeBytes { request in
        let call = LinkV1.LinkCall(id: id, method: method, request: request)
        if step == .parked {
          frame.writeParked(call)
        } else {
          frame.writeReturned(call, .wrongShard(owner: nil))
        }
      }
    default:
      script.bytes().withUnsafeBytes { frame.writeReply(.link, id: id, response: $0) }
    }
    return frame
  }
}
