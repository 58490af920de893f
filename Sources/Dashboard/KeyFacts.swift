// The reply of Inspect for a key, with its own memory. A value; any thread.

import RingstoreAPI
import TextForms

struct KeyFacts: Sendable {
  let isFound: Bool
  let type: V1.ValueType
  let encoding: V1.ValueEncoding
  let bytes: Int64
  let length: Int64
  let idleMillis: Int64
  let ttlMillis: Int64?
  let version: UInt64
  let slot: UInt32
  let shard: String

  init(_ reply: V1.InspectResponse) {
    isFound = reply.found
    type = reply.type
    encoding = reply.encoding
    bytes = reply.bytes
    length = reply.length
    idleMillis = reply.idleMillis
    ttlMillis = reply.ttlMillis
    version = reply.version
    slot = reply.slot
    shard = String(decoding: reply.shard, as: UTF8.self)
  }

  /// What a list of keys shows of each; nothing for one that is gone, or whose shard is
  /// unreachable.
  static func listed(_ facts: KeyFacts?) -> [JSONValue.Member] {
    let facts = facts.flatMap { $0.isFound ? $0 : nil }
    return [
      .init("type", facts.map { .string($0.typeName) } ?? .null),
      .init("ttl_millis", facts?.ttlMillis.map { .integer($0) } ?? .null),
      .init("length", facts.map { .integer($0.length) } ?? .null),
      .init("bytes", facts.map { .integer($0.bytes) } ?? .null),
    ]
  }

  /// Everything.
  var members: [JSONValue.Member] {
    guard isFound else {
      return [
        .init("found", .bool(false)), .init("slot", .count(slot)), .init("shard", .string(shard)),
      ]
    }
    return [
      .init("found", .bool(true)), .init("slot", .count(slot)), .init("shard", .string(shard)),
      .init("encoding", .string(encodingName)), .init("idle_millis", .integer(idleMillis)),
      .init("version", .bits(version)),
    ] + Self.listed(self)
  }

  private var typeName: String {
    switch type {
    case .string: "string"
    case .list: "list"
    default: "unknown"
    }
  }

  private var encodingName: String {
    switch encoding {
    case .integer: "integer"
    case .inline: "inline"
    case .block: "block"
    case .chunks: "chunks"
    default: "unknown"
    }
  }
}
