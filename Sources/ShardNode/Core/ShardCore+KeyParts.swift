// Parts of the calls that select keys among all: a random key, hot keys, the largest keys. As with
// all parts, a slice does a limited amount of work.
//
// The core's event loop.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store

extension ShardCore {
  /// Keys drawn in one slice, as long as they have expired. Each draw reads the headers of all
  /// tables.
  private static let drawsMax = 16
  /// A reply with keys ends with the key that reaches this size.
  private static let keyBytesMax = 64 << 10

  func randomKeyPart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try LinkV1.RandomKeyPartRequest(request: message)
    try KeyAccess.check(database: request.database, context, keyspace.keyLimits)
    let database = Int(request.database)
    var random = SplitMix64(seed: request.seed)
    var hasExpired = false
    if context.principal?.isRestricted == true {
      return drawAllowedKey(database, &random, context).write(into: &response)
    }
    for _ in 0..<Self.drawsMax {
      let drawn = store.drawKey(
        database: database, nowMillis: context.wallMillis, using: &random)
      switch drawn {
      case .key(let key, let slot):
        visited(key, slot: slot, database: database)
        return LinkV1.RandomKeyPartReply(
          key: key, found: true, keys: Int64(store.keyCount(database: database))
        ).write(into: &response)
      case .expired: hasExpired = true
      case .none:
        visitedAll()
        return LinkV1.RandomKeyPartReply().write(into: &response)
      }
    }
    LinkV1.RandomKeyPartReply(again: hasExpired).write(into: &response)
  }

  /// For a caller that may see only some of the keys: the first drawn key that it may see. Their
  /// number is estimated from the share of drawn keys that it may see.
  private func drawAllowedKey(
    _ database: Int, _ random: inout SplitMix64, _ context: CallContext
  ) -> AllowedKey {
    var (draws, allowed): (Int64, Int64) = (0, 0)
    var found: [UInt8]?
    draw: for _ in 0..<Self.drawsMax {
      switch store.drawKey(database: database, nowMillis: context.wallMillis, using: &random) {
      case .key(let key, let slot):
        visited(key, slot: slot, database: database)
        draws += 1
        guard KeyAccess.mayList(key, context) else { continue }
        allowed += 1
        if found == nil { found = Array(key) }
      case .expired: continue
      case .none:
        visitedAll()
        break draw
      }
    }
    let keys = Int64(store.keyCount(database: database))
    return AllowedKey(
      key: found, keys: draws == 0 ? 0 : max(1, keys * allowed / draws), isEmpty: keys == 0)
  }

  private struct AllowedKey {
    let key: [UInt8]?
    let keys: Int64
    let isEmpty: Bool

    func write(into response: inout ByteBuffer) {
      (key ?? []).withUnsafeBytes { key in
        LinkV1.RandomKeyPartReply(
          key: key, found: self.key != nil, keys: self.key == nil ? 0 : keys,
          hidden: self.key == nil && !isEmpty
        ).write(into: &response)
      }
    }
  }

  /// Samples reveal nothing about stored data, so the reply waits for nothing.
  func hotKeysPart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try V1.HotKeysRequest(request: message)
    let start = response.writerIndex
    let hottest = keyspace.hotKeys.hottest(Int(request.count), nowMillis: context.wallMillis)
    var shard = id
    shard.withUTF8 { shard in
      for hot in hottest where response.writerIndex - start < Self.keyBytesMax {
        hot.key.bytes.withUnsafeBytes { key in
          let database = UInt32(hot.key.database)
          guard KeyAccess.mayList(key, database: database, context) else { return }
          response.append(
            V1.HotKeysResponse.Field.keys,
            V1.HotKey(
              key: key, database: database, slot: UInt32(hot.slot),
              shard: UnsafeRawBufferPointer(shard), callsPerSecond: hot.rate, share: hot.share,
              samples: hot.samples))
        }
      }
    }
  }

  func bigKeysPart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try LinkV1.BigKeysPartRequest(request: message)
    if request.allDatabases {
      try KeyAccess.checkPlace(inDatabase: request.database, keyspace.keyLimits)
    } else {
      try KeyAccess.check(database: request.database, context, keyspace.keyLimits)
    }
    var slice = BigKeySlice(request, shard: id)
    var budget = SliceBudget(visits: request.maxVisits, clock)
    let start = response.writerIndex
    let databaseEnd = request.allDatabases ? Int(limits.databases) : Int(request.database) + 1
    var (database, slot) = (Int(request.database), Int(request.startSlot))
    var cursor = request.cursor
    while database < databaseEnd, !budget.isSpent,
      response.writerIndex - start < Self.keyBytesMax
    {
      guard slot < Slots.count, store.keyCount(database: database) > 0,
        KeyAccess.mayUse(database: UInt32(database), context)
      else {
        (database, slot, cursor) = (database + 1, 0, 0)
        continue
      }
      guard store.keyCount(database: database, slot: slot) > 0 else {
        budget.passEmptySlot()
        (slot, cursor) = (slot + 1, 0)
        continue
      }
      let walked = store.walk(
        database: database, slot: slot, cursor: cursor, maxVisits: budget.visitsLeft,
        nowMillis: context.wallMillis
      ) { facts, _ in
        // Four steps of matching a pattern for each look at memory.
        budget.visit(steps: 4 * facts.measuringSteps)
        visited(facts.key, slot: slot, database: database)
        if KeyAccess.mayList(facts.key, context) {
          slice.look(at: facts, slot: slot, database: database, into: &response)
        }
        return !budget.isSpent && response.writerIndex - start < Self.keyBytesMax
      }
      cursor = walked.next
      if cursor == 0 { slot += 1 }
    }
    slice.reply.nextDatabase = UInt32(database)
    slice.reply.nextSlot = UInt32(slot)
    slice.reply.nextCursor = cursor
    slice.reply.done = database >= databaseEnd
    // The slice has written its keys.
    slice.reply.write(into: &response)
  }
}

/// The large keys that a slice finds.
private struct BigKeySlice {
  /// All but the keys.
  var reply = LinkV1.BigKeysPartReply()
  private let request: LinkV1.BigKeysPartRequest
  private var shard: String

  init(_ request: LinkV1.BigKeysPartRequest, shard: String) {
    self.request = request
    self.shard = shard
  }

  mutating func look(
    at facts: KeyFacts, slot: Int, database: Int, into response: inout ByteBuffer
  ) {
    let (bytes, length) = (Int64(facts.memoryBytes), Int64(facts.length))
    switch facts.type {
    case .none: return
    case .string:
      reply.strings += 1
      reply.stringBytes += bytes
      guard bytes > request.stringBytesAbove else { return }
    case .list:
      reply.lists += 1
      reply.listBytes += bytes
      guard bytes > request.listBytesAbove || length > request.listLengthAbove else { return }
    }
    shard.withUTF8 { shard in
      response.append(
        LinkV1.BigKeysPartReply.Field.keys,
        V1.BigKey(
          key: facts.key, database: UInt32(database), type: V1.ValueType(facts.type), bytes: bytes,
          length: length, slot: UInt32(slot), shard: UnsafeRawBufferPointer(shard)))
    }
  }
}
