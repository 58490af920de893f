// Defects of a router, put in on purpose: what a wrong driver, or a wrong core behind it, would do.
//
// Owns what the defects need to remember. One thread. Without sabotage it changes nothing.

import NIOCore
import NodeCore
import RingstoreAPI

struct RouterFaultInjector {
  private let sabotage: Sabotage?
  /// Writes to send again, by shard.
  private var lost: [[SimulatedCall]]
  private var memory: [[UInt8]: ByteBuffer] = [:]
  private var streams: [[UInt8]: [ByteBuffer]] = [:]

  init(_ sabotage: Sabotage?, shards: Int) {
    self.sabotage = sabotage
    lost = Array(repeating: [], count: shards)
  }

  /// The error that the client gets.
  mutating func changed(_ error: CallError, _ call: SimulatedCall) -> CallError {
    guard error.reason == .outcomeUnknown, let shard = error.shard else { return error }
    switch sabotage {
    case .resendsWrites:
      // Shards are named a, b, c ... in the order of their numbers.
      if let index = SimulatedCluster.shardIDs.firstIndex(of: shard) { lost[index].append(call) }
      return error
    case .hidesUnknownOutcomes:
      return .shardUnavailable(shard, "the connection was lost")
    default:
      return error
    }
  }

  /// A clock with which no frame is too old for a shard, as if its router had just heard it.
  static let newestClock = UInt64.max - LinkProtocol.callAgeMillisMax

  /// What else to send now that a link is ready.
  mutating func linkReady(shard: Int) -> ByteBuffer? {
    guard !lost[shard].isEmpty else { return nil }
    var frame = ByteBuffer()
    frame.append(LinkV1.RouterFrame.Field.heardMillis, Self.newestClock)
    let clockBytes = frame.readableBytes
    for call in lost[shard] {
      guard case .oneKey = call.kind, let id = call.id,
        let method = call.items[0].call.model.command?.method
      else { continue }
      call.request().withUnsafeReadableBytes {
        frame.writeCall(.link, id: id, method: method, request: $0)
      }
    }
    lost[shard] = []
    return frame.readableBytes > clockBytes ? frame : nil
  }

  /// How much later than its turn a call is sent; nil: at once.
  func delayNanos(_ request: ByteBuffer, _ context: SimulationContext) -> UInt64? {
    guard sabotage == .delaysLargeCalls, request.readableBytes > context.configuration.bulkBytesMin
    else {
      return nil
    }
    return context.nanos(upTo: 3_000_000)
  }

  /// The message of a stream that is passed on instead of the one that came.
  func mixed(_ message: ByteBuffer, _ call: SimulatedCall) -> ByteBuffer {
    guard sabotage == .mixesViews, let before = streams[call.items[0].key],
      call.messages.count > 0, before.count > call.messages.count
    else { return message }
    return before[call.messages.count]
  }

  mutating func streamed(_ call: SimulatedCall) {
    if sabotage == .mixesViews, case .listStream = call.kind {
      streams[call.items[0].key] = call.messages
    }
  }

  mutating func heard(_ call: SimulatedCall, _ response: UnsafeRawBufferPointer) {
    guard sabotage == .repliesFromMemory, case .oneKey = call.kind,
      call.items[0].call.isCall(of: .get)
    else { return }
    memory[call.items[0].key] = ByteBuffer(bytes: response)
  }

  /// The reply to a RandomKey instead of the one that came.
  func drawn(_ call: SimulatedCall) -> ByteBuffer? {
    guard sabotage == .drawsMissingKeys, call.presenceSince != nil else { return nil }
    var response = ByteBuffer()
    Array("none".utf8).withUnsafeBytes {
      V1.RandomKeyResponse(key: $0, found: true).write(into: &response)
    }
    return response
  }

  func rememberedReply(to call: SimulatedCall, _ context: SimulationContext) -> ByteBuffer? {
    guard sabotage == .repliesFromMemory, call.items[0].call.isCall(of: .get),
      let remembered = memory[call.items[0].key], context.chance(0.1)
    else { return nil }
    return remembered
  }
}
