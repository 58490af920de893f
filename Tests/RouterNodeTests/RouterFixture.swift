// A router's core with a driver that only notes what it is asked, and shards played by the test.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Users

@testable import RouterNode

final class RouterFixture {
  let driver = RecordingDriver()
  private(set) var core: RouterCore<RecordingDriver>!
  var nowNanos: UInt64 = 1_000_000_000
  /// Whether requests come in memory that the router may keep.
  var givesBlocks = false

  init(
    shards: [String] = ["a", "b"], limits: Limits = Limits(), linkLimits: LinkLimits = LinkLimits()
  ) throws {
    let map = try SlotMap.initial(
      shards.map { ShardDescription(id: $0, address: "h:1", weight: 1) })
    core = RouterCore(
      identity: RouterIdentity(cluster: "test", router: "r/0"), map: map, limits: limits,
      linkLimits: linkLimits, firstGeneration: 10, seed: 1, clock: { [unowned self] in nowNanos },
      driver: driver)
    core.tick()
  }

  func advance(millis: UInt64) {
    nowNanos += millis * 1_000_000
    core.tick()
  }

  /// Plays a shard that accepts both lanes. Returns the Hello that it got on the calls lane.
  ///
  /// - Parameter inForce: whether the shard says that the map is in force.
  @discardableResult
  func accept(
    _ shard: Int, incarnation: UInt64 = 1, inForce: Bool = true, ran: [UInt64] = [],
    recovers: Bool = false
  ) throws -> Ringstore_Internal_V1_Hello {
    let hello = try greet(
      shard, .calls, incarnation: incarnation, inForce: inForce, ran: ran, recovers: recovers)
    try greet(shard, .bulk, incarnation: incarnation, inForce: inForce, recovers: recovers)
    return hello
  }

  /// Plays a shard that accepts a lane.
  @discardableResult
  func greet(
    _ shard: Int, _ lane: LinkLane, incarnation: UInt64 = 1, inForce: Bool = true,
    ran: [UInt64] = [], recovers: Bool = false, lineage: DataLineage? = nil,
    records: LineageRecords = LineageRecords()
  ) throws -> Ringstore_Internal_V1_Hello {
    let generation = driver.connections[shard] ?? 0
    core.linkConnected(shard: shard, lane: lane, generation: generation)
    let frame = try sent(to: shard, lane)
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.hello.accepted = true
    reply.hello.incarnation = incarnation
    reply.hello.mapInForce = inForce
    reply.hello.ranCalls = ran
    reply.hello.recovers = recovers
    reply.hello.tell(lineage)
    reply.hello.tell(records)
    reply.clockMillis = 1
    try receive(reply, from: shard, lane)
    return frame.hello
  }

  /// Shards that are asked whether they hold the map say so.
  func hold(_ shards: [Int]) throws {
    for shard in shards {
      var reply = Ringstore_Internal_V1_ShardFrame()
      reply.mapReply.step = .adopt
      reply.mapReply.accepted = true
      reply.mapReply.inForce = true
      reply.mapReply.round = core.agreement.round
      try receive(reply, from: shard)
    }
  }

  func acceptAll() throws {
    for shard in core.shardIDs.indices { try accept(shard) }
  }

  /// What the router has to send on a lane; it counts as sent from now on.
  func sent(
    to shard: Int, _ lane: LinkLane = .calls
  ) throws -> Ringstore_Internal_V1_RouterFrame {
    driver.withOutput.remove(RecordingDriver.Lane(shard: shard, lane: lane))
    var bytes: [UInt8] = []
    while let frame = core.takeFrame(shard: shard, lane: lane) {
      bytes += frame.joined.readableBytesView
    }
    return try Ringstore_Internal_V1_RouterFrame(serializedBytes: bytes)
  }

  func receive(
    _ frame: Ringstore_Internal_V1_ShardFrame, from shard: Int, _ lane: LinkLane = .calls
  ) throws {
    let bytes: [UInt8] = try frame.serializedBytes()
    let generation = driver.connections[shard] ?? 0
    bytes.withUnsafeBytes {
      core.linkReceived(shard: shard, lane: lane, generation: generation, frame: $0)
    }
  }

  /// Replies to a call that the router has sent.
  func reply(
    _ id: UInt64, from shard: Int, _ lane: LinkLane = .calls, _ response: [UInt8] = [1],
    more: Bool = false
  ) throws {
    var frame = Ringstore_Internal_V1_ShardFrame()
    var reply = Ringstore_Internal_V1_LinkReply()
    reply.id = id
    reply.response = .init(response)
    reply.more = more
    frame.replies = [reply]
    try receive(frame, from: shard, lane)
  }

  /// Announces a large reply.
  func announce(_ id: UInt64, from shard: Int, _ lane: LinkLane = .calls, bytes: Int) throws {
    var notice = ByteBuffer()
    LinkV1.LargeReplyNotice(totalBytes: UInt64(bytes)).write(into: &notice)
    try reply(id, from: shard, lane, Array(notice.readableBytesView), more: true)
  }

  /// Ends a call with an error.
  func refuse(
    _ id: UInt64, from shard: Int, _ lane: LinkLane = .calls, _ error: CallError = .cancelled
  ) throws {
    var frame = ByteBuffer()
    frame.writeReply(.link, id: id, error: error)
    let generation = driver.connections[shard] ?? 0
    frame.withUnsafeReadableBytes {
      core.linkReceived(shard: shard, lane: lane, generation: generation, frame: $0)
    }
  }

  func lose(_ shard: Int, _ lane: LinkLane = .calls) {
    core.linkLost(
      shard: shard, lane: lane, generation: driver.connections[shard] ?? 0,
      reason: "connection reset")
  }

  /// Whether nothing is left of all the calls there were.
  var isTidy: Bool {
    core.callsUnderWay == 0 && core.callsParked == 0 && core.callsWaiting == 0
      && core.repliesInParts == 0
      && core.requestedReplyBytes == 0 && core.operationsUnderWay == 0 && core.sequencer.isEmpty
      && core.sequencer.callCount == 0 && core.replyMemory.heldBytes == 0
      && driver.paused.values.allSatisfy { $0 == 0 }
      && driver.expected.values.allSatisfy { $0 == 0 }
      && core.links.allSatisfy {
        $0.isIdle && $0.waitingBytes == 0 && $0.calls.waitingCount + $0.bulk.waitingCount == 0
      }
  }

  /// A key that belongs to a shard.
  func key(of shard: Int) -> String {
    for number in 0... {
      let key = "key\(number)"
      let slot = Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) }
      if core.map.owner(ofSlot: slot) == shard { return key }
    }
    preconditionFailure("no key belongs to shard \(shard)")
  }

  @discardableResult
  func get(_ key: String, caller: Int) -> UInt64? {
    var request = Ringstore_V1_Key()
    request.key = .init(key.utf8)
    return submit(.get, request, caller: caller)
  }

  @discardableResult
  func set(
    _ key: String, bytes: Int = 0, caller: Int, deadlineNanos: UInt64? = nil
  ) -> UInt64? {
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    request.value = .init(repeating: FakeShard.valueByte, count: bytes)
    return submit(.set, request, caller: caller, deadlineNanos: deadlineNanos)
  }

  @discardableResult
  func pop(_ key: String, caller: Int) -> UInt64? {
    var request = Ringstore_V1_Key()
    request.key = .init(key.utf8)
    return submit(.lPop, request, caller: caller)
  }

  @discardableResult
  func move(_ key: String, to destination: String, caller: Int) -> UInt64? {
    var request = Ringstore_V1_ListMoveRequest()
    request.key = .init(key.utf8)
    request.destination = .init(destination.utf8)
    return submit(.lMove, request, caller: caller)
  }

  func openStream(
    _ key: String, caller: Int, _ context: CallContext = CallContext()
  ) throws -> UInt64? {
    var request = Ringstore_V1_ListRange()
    request.key = .init(key.utf8)
    request.stop = -1
    let bytes: [UInt8] = try request.serializedBytes()
    return bytes.withUnsafeBytes {
      core.openStream(message: $0, context, caller: caller)
    }
  }

  @discardableResult
  func submit(
    _ id: CommandID, _ request: some Message, caller: Int, deadlineNanos: UInt64? = nil,
    _ principal: Principal? = nil
  ) -> UInt64? {
    let bytes: [UInt8] = (try? request.serializedBytes()) ?? []
    return withRequest(bytes) { message, block in
      core.submit(
        UInt32(id.rawValue), message: message, in: block,
        CallContext(principal, deadlineNanos: deadlineNanos), endsAtDeadline: true, caller: caller)
    }
  }

  /// Lends a request as the transport would, and overwrites it afterwards unless it may be kept.
  private func withRequest<R>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer, LargeBlock?) throws -> R
  ) rethrows -> R {
    if givesBlocks {
      let owned = bytes.withUnsafeBytes { OwnedBytes(copying: $0) }
      return try owned.withBytes { try body($0, owned.block) }
    }
    var lent = bytes
    return try lent.withUnsafeMutableBytes { raw in
      defer { raw.initializeMemory(as: UInt8.self, repeating: 0xEE) }
      return try body(UnsafeRawBufferPointer(raw), nil)
    }
  }

  func start(
    _ id: CommandID, _ request: some Message, caller: Int, deadlineNanos: UInt64? = nil,
    _ principal: Principal? = nil
  ) throws -> UInt64? {
    let bytes: [UInt8] = try request.serializedBytes()
    let operation = try withRequest(bytes) { raw, block in
      try OperationFactory.make(
        id, message: raw, in: block, CallContext(), limits: core.limits,
        describe: {
          DescribeMerge(
            cluster: "test", map: core.map, router: nil,
            shardIDs: core.shardIDs)
        })
    }
    return core.start(
      operation, CallContext(principal, deadlineNanos: deadlineNanos), caller: caller)
  }
}
