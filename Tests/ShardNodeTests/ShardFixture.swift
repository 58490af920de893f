// A shard's core without a network, and requests as a client would encode them.

import Commands
import GRPC
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf

@testable import ShardNode

struct ShardFixture {
  let core: ShardCore
  let clock: ManualClock

  /// - Parameter now: the clock; nil: `clock`, which stands still.
  init(
    id: String = "a", limits: Limits = Limits(), incarnation: UInt64 = 7,
    now: (() -> UInt64)? = nil
  ) {
    let clock = ManualClock()
    self.clock = clock
    core = ShardCore(
      cluster: "test", id: id, incarnation: incarnation, version: "1", limits: limits,
      clock: now ?? { clock.nowNanos }, wallMillis: { clock.wallMillis }, uptimeMillis: { 5 })
  }

  /// Runs turns until there are none. Returns how many there were.
  @discardableResult
  func runTurns() -> Int {
    var count = 0
    while core.hasTurns {
      core.runTurn()
      count += 1
    }
    return count
  }

  /// Executes a call and decodes its response.
  func call<Response: Message>(
    _ id: CommandID, _ request: some Message, as: Response.Type = Response.self
  ) throws -> Response {
    var response = ByteBuffer()
    try execute(UInt32(id.rawValue), request, into: &response)
    return try Response(serializedBytes: Array(response.readableBytesView))
  }

  func execute(
    _ method: UInt32, _ request: some Message, into response: inout ByteBuffer
  ) throws {
    let bytes: [UInt8] = try request.serializedBytes()
    _ = try bytes.withUnsafeBytes { raw in
      try core.execute(method, raw, into: &response, core.context(nowNanos: core.clock()))
    }
  }

  /// The error that a call fails with, or nil if it succeeds.
  func failure(_ id: CommandID, _ request: some Message) -> CallError? {
    var response = ByteBuffer(string: "before")
    do {
      try execute(UInt32(id.rawValue), request, into: &response)
      return nil
    } catch {
      return error as? CallError
    }
  }

  @discardableResult
  func set(_ key: String, _ value: String, database: UInt32 = 0) throws -> Ringstore_V1_Status {
    try call(.set, Requests.set(key, value, database: database))
  }

  func get(_ key: String, database: UInt32 = 0) throws -> Ringstore_V1_Value {
    try call(.get, Requests.key(key, database: database))
  }

  /// Appends to a list.
  func push(_ key: String, _ values: [String]) throws {
    let _: Ringstore_V1_Status = try call(.rPush, Requests.push(key, values))
  }

  /// All elements of a list; none if there is no such key.
  func list(_ key: String) throws -> [String] {
    let list: Ringstore_V1_ListValues = try call(.lRange, Requests.range(key, 0, -1))
    return list.values.map { String(decoding: $0, as: UTF8.self) }
  }
}

/// A clock that moves only when it is advanced.
final class ManualClock {
  var nowNanos: UInt64 = 1_000
  /// The wall clock. It is looked at once a second of the other one.
  var wallMillis: Int64 = 1_700_000_000_000

  /// Advances both clocks.
  func advance(millis: Int64) {
    nowNanos += UInt64(millis) * 1_000_000
    wallMillis += millis
  }

  /// The wall clock is set, and looked at before the next call.
  func jump(to millis: Int64) {
    nowNanos += 1_000_000_000
    wallMillis = millis
  }
}

enum Requests {
  static func key(_ key: String, database: UInt32 = 0) -> Ringstore_V1_Key {
    var request = Ringstore_V1_Key()
    request.key = .init(key.utf8)
    request.database = database
    return request
  }

  static func set(_ key: String, _ value: String, database: UInt32 = 0) -> Ringstore_V1_KeyValue {
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    request.value = .init(value.utf8)
    request.database = database
    return request
  }

  static func push(_ key: String, _ values: [String]) -> Ringstore_V1_ListInsert {
    var request = Ringstore_V1_ListInsert()
    request.key = .init(key.utf8)
    request.values = values.map { .init($0.utf8) }
    return request
  }

  static func range(_ key: String, _ start: Int64, _ stop: Int64) -> Ringstore_V1_ListRange {
    var request = Ringstore_V1_ListRange()
    request.key = .init(key.utf8)
    request.start = start
    request.stop = stop
    return request
  }

  static func increment(_ key: String, by delta: Int64) -> Ringstore_V1_IncrByRequest {
    var request = Ringstore_V1_IncrByRequest()
    request.key = .init(key.utf8)
    request.delta = delta
    return request
  }
}

/// The maps that the tests speak of.
enum Maps {
  static func of(_ ids: [String], epoch: UInt64 = 1) throws -> SlotMap {
    let map = try SlotMap.initial(ids.map { ShardDescription(id: $0, address: "h:1", weight: 1) })
    return try SlotMap(epoch: epoch, shards: map.shards, ranges: map.ranges)
  }

  static func shard(_ id: String) -> ShardDescription {
    ShardDescription(id: id, address: "h:1", weight: 1)
  }
}
