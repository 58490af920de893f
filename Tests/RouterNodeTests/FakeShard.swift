// A shard as the random test plays it: two lanes whose frames arrive when the test says so, in no
// order between each other; replies at once, in parts, or late. It notes in which order the calls
// on each key were executed.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI

@testable import RouterNode

final class FakeShard {
  /// A lane's connection: frames in progress in both directions.
  final class Connection {
    let lane: LinkLane
    let generation: UInt64
    var toShard: [ByteBuffer] = []
    var toRouter: [ByteBuffer] = []
    var isConnected = false
    var isAccepted = false

    init(_ lane: LinkLane, _ generation: UInt64) {
      self.lane = lane
      self.generation = generation
    }
  }

  /// A reply that comes in parts, or a slice that has yet to be run.
  struct Pending {
    let id: UInt64
    let lane: LinkLane
    let isStream: Bool
    let isSlice: Bool
    var left: Int
    var credit = 0
  }

  /// Old connections too: what is in progress on them may still arrive.
  private(set) var connections: [Connection] = []
  private var newestGeneration: UInt64 = 0
  private var pending: [Pending] = []
  /// The ids of the calls on each key, in the order of their execution. Ids grow as calls are
  /// submitted.
  private(set) var executed: [[UInt8]: [UInt64]] = [:]

  /// Calls whose request was not what the client had sent.
  private(set) var brokenRequests = 0

  /// What the values of large Sets are made of.
  static let valueByte: UInt8 = 0x5A
  /// How long they are.
  static let valueBytes = 70_000

  static let largeBytes = 300_000
  static let partBytes = 50_000
  static let streamBytes = 900_000

  /// What large replies and streams are made of: each part has a byte of its own.
  static func part(at offset: Int, count: Int) -> [UInt8] {
    Array(repeating: UInt8(truncatingIfNeeded: offset / partBytes), count: count)
  }

  static let largeReply = whole(largeBytes)
  static let stream = whole(streamBytes)

  private static func whole(_ count: Int) -> [UInt8] {
    stride(from: 0, to: count, by: partBytes).flatMap {
      part(at: $0, count: min(partBytes, count - $0))
    }
  }

  func dialed(_ generation: UInt64) {
    connections += LinkLane.allCases.map { Connection($0, generation) }
  }

  func connection(_ lane: LinkLane, _ generation: UInt64) -> Connection? {
    connections.first { $0.lane == lane && $0.generation == generation }
  }

  /// Connections with something in progress to the shard.
  var withInput: [Connection] { connections.filter { !$0.toShard.isEmpty } }

  func forgetOld(before generation: UInt64) {
    connections.removeAll { $0.generation < generation && $0.toShard.isEmpty }
  }

  // MARK: - Frames

  func receive(_ connection: Connection, _ random: inout SplitMix64) throws {
    let frame = connection.toShard.removeFirst()
    let message = try Ringstore_Internal_V1_RouterFrame(
      serializedBytes: Array(frame.readableBytesView))
    if message.hasHello {
      newestGeneration = max(newestGeneration, message.hello.generation)
      pending.removeAll { _ in connection.generation == newestGeneration && isFirst(connection) }
      connection.isAccepted = true
      var reply = Ringstore_Internal_V1_ShardFrame()
      reply.hello.accepted = true
      reply.hello.incarnation = 1
      reply.hello.mapInForce = true
      reply.clockMillis = 1
      connection.toRouter.append(ByteBuffer(bytes: try reply.serializedBytes() as [UInt8]))
    }
    guard connection.generation == newestGeneration else { return }
    let cancelled = Set(message.cancels)
    for call in message.calls {
      try execute(call, connection, isCancelled: cancelled.contains(call.id), &random)
    }
    for id in message.cancels { cancel(id) }
    for credit in message.credits {
      guard let place = pending.firstIndex(where: { $0.id == credit.id }) else { continue }
      pending[place].credit += Int(credit.bytes)
    }
  }

  /// Whether the other lane of the same link has not been greeted yet.
  private func isFirst(_ connection: Connection) -> Bool {
    !connections.contains { $0.generation == connection.generation && $0.isAccepted }
  }

  private func execute(
    _ call: Ringstore_Internal_V1_LinkCall, _ connection: Connection, isCancelled: Bool,
    _ random: inout SplitMix64
  ) throws {
    let isSlice = call.method == InternalMethod.keysPart.rawValue
    let isStream = call.method == InternalMethod.listStreamPart.rawValue
    if isCancelled {
      send(connection.lane) { $0.writeReply(.link, id: call.id, error: .cancelled) }
      return
    }
    if !isSlice, !isStream {
      let key = try Ringstore_V1_Key(serializedBytes: call.request).key
      executed[Array(key), default: []].append(call.id)
      if call.request.count > Self.valueBytes {
        let value = try Ringstore_V1_KeyValue(serializedBytes: call.request).value
        let isWhole = value.count == Self.valueBytes && value.allSatisfy { $0 == Self.valueByte }
        if !isWhole { brokenRequests += 1 }
      }
    }
    let isLarge = !isSlice && !isStream && Int.random(in: 0..<3, using: &random) == 0
    if isLarge {
      send(connection.lane) { frame in
        var notice = ByteBuffer()
        LinkV1.LargeReplyNotice(totalBytes: UInt64(Self.largeBytes)).write(into: &notice)
        notice.withUnsafeReadableBytes {
          frame.writeReply(.link, id: call.id, response: $0, more: true)
        }
      }
    }
    if isLarge || isSlice || isStream {
      pending.append(
        Pending(
          id: call.id, lane: connection.lane, isStream: isStream, isSlice: isSlice,
          left: isStream ? Self.streamBytes : Self.largeBytes))
    } else {
      send(connection.lane) { $0.writeReply(.link, id: call.id, response: noBytes) }
    }
  }

  private func cancel(_ id: UInt64) {
    guard let place = pending.firstIndex(where: { $0.id == id }) else { return }
    let lane = pending.remove(at: place).lane
    send(lane) { $0.writeReply(.link, id: id, error: .cancelled) }
  }

  // MARK: - Replies

  var hasWork: Bool { pending.contains { $0.isSlice || $0.credit > 0 } }

  /// Runs a slice, or sends one part of a reply.
  func work(_ random: inout SplitMix64, mayFail: Bool) {
    let ready = pending.indices.filter { pending[$0].isSlice || pending[$0].credit > 0 }
    guard let place = ready.randomElement(using: &random) else { return }
    let next = pending[place]
    if mayFail, Int.random(in: 0..<40, using: &random) == 0 {
      pending.remove(at: place)
      send(.bulk) { $0.writeReply(.link, id: next.id, error: .viewExpired) }
      return
    }
    if next.isSlice {
      pending.remove(at: place)
      send(next.lane) { frame in
        var reply = ByteBuffer()
        LinkV1.KeysPartReply(nextSlot: 0, nextCursor: 0, done: true).write(into: &reply)
        reply.withUnsafeReadableBytes {
          frame.writeReply(.link, id: next.id, response: $0)
        }
      }
      return
    }
    let total = next.isStream ? Self.streamBytes : Self.largeBytes
    let start = total - next.left
    let count = min(Self.partBytes, next.left)
    pending[place].left -= count
    pending[place].credit -= count
    let isLast = pending[place].left == 0
    if isLast { pending.remove(at: place) }
    send(.bulk) { frame in
      Self.part(at: start, count: count).withUnsafeBytes {
        frame.writeReply(.link, id: next.id, response: $0, more: !isLast)
      }
    }
  }

  private func send(_ lane: LinkLane, _ write: (inout ByteBuffer) -> Void) {
    guard let connection = connection(lane, newestGeneration) else { return }
    var frame = ByteBuffer()
    write(&frame)
    connection.toRouter.append(frame)
  }
}
