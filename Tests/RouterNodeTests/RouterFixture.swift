// A router's core with a driver that only notes what it is asked, and shards played by the test.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import SwiftProtobuf

@testable import RouterNode

/// A driver that remembers. Callers are numbers.
final class RecordingDriver: RouterDriver {
  enum Outcome: Equatable {
    case answered([UInt8])
    case failed(CallError)

    var error: CallError? {
      if case .failed(let error) = self { return error }
      return nil
    }
  }

  var outcomes: [Int: Outcome] = [:]
  /// Connections asked for and not dropped: the generation of each shard's.
  var connections: [Int: UInt64] = [:]
  var connectCount = 0
  var paused: [Int: Int] = [:]
  var events: [RouterEvent] = []

  func answer(_ caller: Int, response: UnsafeRawBufferPointer) {
    precondition(outcomes[caller] == nil, "caller \(caller) was answered twice")
    outcomes[caller] = .answered(Array(response))
  }

  func fail(_ caller: Int, error: CallError) {
    precondition(outcomes[caller] == nil, "caller \(caller) was answered twice")
    outcomes[caller] = .failed(error)
  }

  func connect(shard: Int, address: String, generation: UInt64) {
    connections[shard] = generation
    connectCount += 1
  }

  func disconnect(shard: Int, generation: UInt64) {
    if connections[shard] == generation { connections[shard] = nil }
  }

  func linkHasOutput(shard: Int) {}
  func pauseReading(for caller: Int) { paused[caller, default: 0] += 1 }
  func resumeReading(for caller: Int) { paused[caller, default: 0] -= 1 }
  func note(_ event: RouterEvent) { events.append(event) }
}

final class RouterFixture {
  let driver = RecordingDriver()
  private(set) var core: RouterCore<RecordingDriver>!
  var nowNanos: UInt64 = 1_000_000_000

  init(shards: [String] = ["a", "b"], linkLimits: LinkLimits = LinkLimits()) throws {
    let map = try SlotMap.initial(
      shards.map { ShardDescription(id: $0, address: "h:1", weight: 1) })
    core = RouterCore(
      identity: RouterIdentity(cluster: "test", router: "r/0"), map: map, limits: Limits(),
      linkLimits: linkLimits, firstGeneration: 10, seed: 1, clock: { [unowned self] in nowNanos },
      driver: driver)
    core.tick()
  }

  func advance(millis: UInt64) {
    nowNanos += millis * 1_000_000
    core.tick()
  }

  /// Plays a shard that accepts the link. Returns the Hello that it got.
  @discardableResult
  func accept(_ shard: Int, incarnation: UInt64 = 1) throws -> Ringstore_Internal_V1_Hello {
    let generation = driver.connections[shard] ?? 0
    core.linkConnected(shard: shard, generation: generation)
    let frame = try sent(to: shard)
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.hello.accepted = true
    reply.hello.incarnation = incarnation
    try receive(reply, from: shard)
    return frame.hello
  }

  func acceptAll() throws {
    for shard in core.shardIDs.indices { try accept(shard) }
  }

  /// What the router has to send to a shard; it counts as sent from now on.
  func sent(to shard: Int) throws -> Ringstore_Internal_V1_RouterFrame {
    var bytes: [UInt8] = []
    while let frame = core.takeFrame(shard: shard) { bytes += frame.readableBytesView }
    return try Ringstore_Internal_V1_RouterFrame(serializedBytes: bytes)
  }

  func receive(_ frame: Ringstore_Internal_V1_ShardFrame, from shard: Int) throws {
    let bytes: [UInt8] = try frame.serializedBytes()
    let generation = driver.connections[shard] ?? 0
    bytes.withUnsafeBytes { core.linkReceived(shard: shard, generation: generation, frame: $0) }
  }

  /// Answers a call that the router has sent.
  func reply(_ id: UInt64, from shard: Int, _ response: [UInt8] = [1]) throws {
    var frame = Ringstore_Internal_V1_ShardFrame()
    var reply = Ringstore_Internal_V1_LinkReply()
    reply.id = id
    reply.response = .init(response)
    frame.replies = [reply]
    try receive(frame, from: shard)
  }

  func lose(_ shard: Int) {
    core.linkLost(
      shard: shard, generation: driver.connections[shard] ?? 0, reason: "connection reset")
  }

  /// A key that belongs to a shard.
  func key(of shard: Int) -> String {
    for number in 0... {
      let key = "key\(number)"
      if Array(key.utf8).withUnsafeBytes({ core.owner(of: $0) }) == shard { return key }
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
  func set(_ key: String, caller: Int, deadlineNanos: UInt64? = nil) -> UInt64? {
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    return submit(.set, request, caller: caller, deadlineNanos: deadlineNanos)
  }

  private func submit(
    _ id: CommandID, _ request: some Message, caller: Int, deadlineNanos: UInt64? = nil
  ) -> UInt64? {
    let bytes: [UInt8] = (try? request.serializedBytes()) ?? []
    return bytes.withUnsafeBytes {
      core.submit(
        UInt32(id.rawValue), message: $0, deadlineNanos: deadlineNanos, timeoutMillis: 0,
        caller: caller)
    }
  }

  func start(_ id: CommandID, _ request: some Message, caller: Int) throws -> UInt64? {
    let bytes: [UInt8] = try request.serializedBytes()
    let operation = try bytes.withUnsafeBytes { raw in
      try OperationFactory.make(
        id, message: raw, limits: core.limits,
        describe: {
          DescribeMerge(
            cluster: "test", map: SlotMapMessage.encode(core.map), router: nil,
            shardIDs: core.shardIDs)
        })
    }
    return core.start(operation, caller: caller)
  }
}
