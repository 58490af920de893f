// /api/keys and /api/key: the key browser. Each request is a few calls as the viewer makes them
// (Keys, Inspect, GetRange, LRange), and counts as one against the viewer's rate. Any thread.

import Admin
import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import TextForms

/// A page of keys, as it was read on the node's event loop.
struct KeyList: Sendable {
  var keys: [(key: [UInt8], facts: KeyFacts?)] = []
  /// Where the next page begins; empty: there is none.
  var next: [UInt8] = []
  var unreachable: [(shard: String, message: String)] = []
}

extension Dashboard {
  func keys(
    _ request: AdminRequest, _ query: DashboardQuery
  ) async throws(CallError) -> JSONValue {
    let database = try query.number("database", 0...UInt32.max, missing: 0)
    let prefix = try query.bytes("prefix")
    let after = try query.bytes("after")
    let limit = try query.number(
      "limit", 1...DashboardLimits.keysMax, missing: DashboardLimits.keysMax)
    let list: KeyList = try await calls.perform(as: request.caller) { calls, tell in
      KeyListing(calls, database: database) { tell($0) }.begin(prefix, after: after, limit: limit)
    }
    return .object([
      .init(
        "keys",
        .array(
          list.keys.map { entry in
            entry.key.withUnsafeBytes {
              .object(JSONValue.members(ofKey: $0) + KeyFacts.listed(entry.facts))
            }
          })),
      .init("next", .string(Base64URL.encode(list.next))),
      .init(
        "unreachable",
        .array(
          list.unreachable.map {
            .object([.init("shard", .string($0.shard)), .init("message", .string($0.message))])
          })),
    ])
  }

  func key(
    _ request: AdminRequest, _ query: DashboardQuery
  ) async throws(CallError) -> JSONValue {
    let database = try query.number("database", 0...UInt32.max, missing: 0)
    let key = try query.bytes("key")
    let seen: KeyPreview.Seen = try await calls.perform(as: request.caller) { calls, tell in
      KeyPreview(calls, database: database, key) { tell($0) }.begin()
    }
    var members = seen.facts.members
    if seen.facts.isFound {
      let values = seen.values?.map { value in
        JSONValue.object([
          .init("bytes", .string(Base64URL.encode(value.bytes))),
          .init("length", .count(value.length)),
        ])
      }
      members.append(.init("preview", values.map { .array($0) } ?? .null))
      members.append(.init("preview_refusal", seen.refusal.map { .string($0) } ?? .null))
    }
    return .object(members)
  }
}

/// Reads one page of keys, then the facts about each. Event loop of the node.
private final class KeyListing {
  private let calls: LocalCalls
  private let database: UInt32
  private let context: CallContext
  private let tell: (Result<KeyList, CallError>) -> Void
  private var list = KeyList()
  private var unfinished = 0

  init(
    _ calls: LocalCalls, database: UInt32, tell: @escaping (Result<KeyList, CallError>) -> Void
  ) {
    self.calls = calls
    self.database = database
    self.tell = tell
    context = calls.pageContext()
  }

  func begin(_ prefix: [UInt8], after: [UInt8], limit: UInt32) {
    var message = ByteBuffer()
    prefix.withUnsafeBytes { prefix in
      after.withUnsafeBytes { after in
        V1.KeysRequest(
          pattern: prefix.isEmpty ? nil : V1.Pattern(kind: .prefix(prefix)), database: database,
          limit: limit, pageToken: after, allowPartial: true
        ).write(into: &message)
      }
    }
    calls.call(.keys, request: message, context) { [self] outcome in
      switch outcome.flatMap(\.merged) {
      case .success(let reply): read(reply)
      case .failure(let error): tell(.failure(error))
      }
    }
  }

  private func read(_ reply: ByteBuffer) {
    reply.withUnsafeReadableBytes { bytes in
      guard let found = try? V1.KeysResponse(bytes) else {
        return tell(.failure(.internalError("The reply can't be decoded.")))
      }
      list.keys = found.keys.map { (Array($0), nil) }
      list.next = Array(found.nextPageToken)
      list.unreachable = found.unreachable.map {
        (String(decoding: $0.shard, as: UTF8.self), String(decoding: $0.message, as: UTF8.self))
      }
      unfinished = list.keys.count
      guard unfinished > 0 else { return tell(.success(list)) }
      let keys = list.keys.map(\.key)
      for (place, key) in keys.enumerated() { inspect(key, place) }
    }
  }

  private func inspect(_ key: [UInt8], _ place: Int) {
    key.withUnsafeBytes { key in
      _ = calls.dispatcher.call(
        Command.inspect.call(V1.InspectRequest(key: key, database: database)), context, for: nil
      ) { [self] outcome in
        if case .success(let reply) = outcome, let facts = V1.InspectResponse(reply) {
          list.keys[place].facts = KeyFacts(facts)
        }
        unfinished -= 1
        if unfinished == 0 { tell(.success(list)) }
      }
    }
  }
}
