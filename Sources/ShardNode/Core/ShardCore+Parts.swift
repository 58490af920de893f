// Parts of calls on every shard, on this shard's own keys. A slice does a limited amount of work,
// in keys, bytes and time, and returns where the next begins; nothing is kept between slices.
//
// The core's event loop.

import Commands
import NIOCore
import NodeCore
import Patterns
import Placement
import RingstoreAPI
import Store

extension ShardCore {
  /// How long a slice may take, in nanoseconds of the core's clock; the key that exceeds it is
  /// still processed.
  package static let sliceNanosMax: UInt64 = 500_000

  /// - Returns: the rest of the work, if the reply comes later.
  func executePart(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, _ context: CallContext,
    into response: inout ByteBuffer
  ) throws(CallError) -> Remainder? {
    switch InternalMethod(rawValue: method) {
    case .keysPart: try keysPart(message, context, into: &response)
    case .dbSizePart: try dbSizePart(message, context, into: &response)
    case .resetPart: try resetPart(message, context, into: &response)
    case .describePart: describe().write(into: &response)
    case .statsPart: statsPart(into: &response)
    case .shutdownPart: shutdownRequested = true
    case .randomKeyPart: try randomKeyPart(message, context, into: &response)
    case .hotKeysPart: try hotKeysPart(message, context, into: &response)
    case .bigKeysPart: try bigKeysPart(message, context, into: &response)
    case .backupPart: try backupPart(message, into: &response)
    case .digestPart: return try digestPart(message)
    case .nodePart: return .part
    case .snapshotPart: return try snapshotPart(message, into: &response)
    case .listStreamPart, nil: throw .unbatchable(method: method)
    }
    return nil
  }

  /// Replies to a part that takes turns, or waits for an event.
  func replyLater(
    _ method: UInt32, _ request: ByteBuffer, _ context: CallContext, to reply: ReplyHandle
  ) {
    switch InternalMethod(rawValue: method) {
    case .snapshotPart: awaitSnapshot(request, to: reply)
    case .nodePart: replyToNodePart(request, context, to: reply)
    case .digestPart: walkForDigest(request, to: reply)
    default: reply.fail(.unbatchable(method: method))
    }
  }

  private func keysPart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try LinkV1.KeysPartRequest(request: message)
    try KeyAccess.check(database: request.database, context, keyspace.keyLimits)
    var slice = KeySlice(request, try patterns.pattern(request.pattern))
    var budget = SliceBudget(visits: request.maxVisits, clock)
    let database = Int(request.database)
    let endSlot = request.endSlot == 0 ? Slots.count : min(Int(request.endSlot), Slots.count)
    var slot = min(Int(request.startSlot), endSlot)
    var cursor = request.cursor
    while slot < endSlot, !budget.isSpent, !slice.isFull {
      guard store.keyCount(database: database, slot: slot) > 0 else {
        budget.passEmptySlot()
        (slot, cursor) = (slot + 1, 0)
        continue
      }
      let scanned = store.scan(
        database: database, slot: slot, cursor: cursor, maxVisits: budget.visitsLeft,
        nowMillis: context.wallMillis
      ) { key, type, cursorAfter in
        budget.visit(steps: slice.stepsMax(of: key))
        visited(key, slot: slot, database: database)
        guard KeyAccess.mayList(key, context) else { return !budget.isSpent }
        slice.look(at: key, type, cursorAfter, into: &response)
        return !budget.isSpent && !slice.isFull
      }
      if let failure = slice.failure { throw .badPattern(failure.description) }
      cursor = scanned.next
      if cursor == 0 { slot += 1 }
    }
    // The slice has written its keys.
    slice.positions.withUnsafeBufferPointer { positions in
      LinkV1.KeysPartReply(
        nextSlot: UInt32(slot), nextCursor: cursor, done: slot == endSlot,
        positions: RepeatedNumbers(positions)
      ).write(into: &response)
    }
  }

  private func resetPart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try LinkV1.ResetPartRequest(request: message)
    try KeyAccess.check(database: request.database, context, keyspace.keyLimits)
    let databases =
      request.allDatabases
      ? 0..<Int(limits.databases) : Int(request.database)..<Int(request.database) + 1
    var budget = SliceBudget(visits: request.maxVisits, clock)
    var slot = min(Int(request.startSlot), Slots.count)
    var reply = LinkV1.ResetPartReply()
    while slot < Slots.count, !budget.isSpent {
      for database in databases {
        guard store.keyCount(database: database, slot: slot) > 0 else {
          budget.passEmptySlot()
          continue
        }
        let removed = store.reset(slot: slot, database: database)
        // Many keys are only detached here; the garbage collection frees them in its own turns.
        budget.visit(count: min(removed, Self.freedAtOnceMax))
        reply.removed += Int64(removed)
      }
      slot += 1
    }
    visitedAll()
    reply.nextSlot = UInt32(slot)
    reply.done = slot == Slots.count
    reply.write(into: &response)
  }

  /// The most keys of a slot that the store frees at once.
  private static let freedAtOnceMax = 1_024

  private func dbSizePart(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try V1.DbSizeRequest(request: message)
    try KeyAccess.check(database: request.database, context, keyspace.keyLimits)
    let keys =
      request.allDatabases
      ? store.totalKeyCount : store.keyCount(database: Int(request.database))
    visitedAll()
    V1.DbSizeResponse(keys: Int64(keys)).write(into: &response)
  }

  /// The names are documented in StatsMerge.swift.
  private func statsPart(into response: inout ByteBuffer) {
    let prefix = NodeCounters.shardPrefix
    for (name, value) in counters.entries(prefix: prefix) {
      response.writeCounter(name, value)
    }
    for (name, value) in connectionCounters() { response.writeCounter(name, value) }
    response.writeCounter(prefix + "keys", Int64(store.totalKeyCount))
    response.writeCounter(prefix + "expiring_keys", Int64(store.expiringKeyCount))
    response.writeCounter(prefix + "expired_keys_total", store.expiredKeyCount)
    response.writeCounter(prefix + "evicted_keys_total", store.evictedKeyCount)
    response.writeCounter(prefix + "memory_refusals_total", memoryRefusals)
    response.writeCounter(prefix + "memory_bytes", Int64(store.memoryBytes))
    response.writeCounter(prefix + "used_bytes", Int64(store.usedBytes))
    response.writeCounter(prefix + "pinned_bytes", Int64(store.pinnedBytes))
    response.writeCounter(prefix + "views_expired_total", viewsExpired)
    response.writeCounter(prefix + "parked_calls", Int64(parked.count))
    response.writeCounter(prefix + "parked_calls_total", Int64(clamping: parked.total))
  }
}
