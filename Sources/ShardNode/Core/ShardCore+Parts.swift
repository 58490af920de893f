// Slices of every-shard calls, on this shard's own keys. Each does a bounded amount of work and
// says where the next begins; nothing is kept between slices.

import NIOCore
import Patterns
import Placement
import RingstoreAPI
import Store

extension ShardCore {
  /// Work of a slice is counted in keys looked at; a slot without keys counts as a fraction of one,
  /// so that walking an empty store ends in few slices.
  private static let emptySlotsPerVisit = 16

  func executePart(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    switch InternalMethod(rawValue: method) {
    case .keysPart: try keysPart(message, into: &response)
    case .dbSizePart: try dbSizePart(message, into: &response)
    case .resetPart: try resetPart(message, into: &response)
    case .describePart: try describePart(into: &response)
    case .listStreamPart, .statsPart, .shutdownPart, nil: throw .unbatchable(method: method)
    }
  }

  private func keysPart(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeysPartRequest.init, message)
    if let refusal = limits.refusal(database: request.database) { throw refusal }
    let pattern = try patterns.pattern(request.pattern)
    let database = Int(request.database)
    var budget = SliceBudget(visits: Int(request.maxVisits), bytes: Int(request.maxBytes))
    var slot = Int(min(request.startSlot, UInt32(Slots.count)))
    var cursor = request.cursor
    while slot < Slots.count, !budget.isSpent {
      guard store.keyCount(database: database, slot: slot) > 0 else {
        budget.passEmptySlot()
        (slot, cursor) = (slot + 1, 0)
        continue
      }
      let scanned = store.scan(
        database: database, slot: slot, cursor: cursor, maxVisits: budget.visitsLeft
      ) { key, _ in
        if pattern.matches(key) {
          response.writeKeysPartKey(key)
          budget.bytes -= key.count
        }
        return budget.bytes > 0
      }
      budget.visits -= scanned.visited
      cursor = scanned.next
      if cursor == 0 { slot += 1 }
    }
    response.writeKeysPartEnd(
      nextSlot: UInt32(slot), nextCursor: cursor, done: slot == Slots.count)
  }

  private func resetPart(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(ResetPartRequest.init, message)
    if let refusal = limits.refusal(database: request.database) { throw refusal }
    let databases =
      request.allDatabases
      ? 0..<Int(limits.databases) : Int(request.database)..<Int(request.database) + 1
    var budget = SliceBudget(visits: Int(request.maxVisits), bytes: .max)
    var slot = Int(min(request.startSlot, UInt32(Slots.count)))
    var reply = ResetPartReply(removed: 0, nextSlot: 0, done: false)
    while slot < Slots.count, !budget.isSpent {
      for database in databases {
        guard store.keyCount(database: database, slot: slot) > 0 else {
          budget.passEmptySlot()
          continue
        }
        let removed = store.reset(slot: slot, database: database)
        budget.visits -= removed
        reply.removed += Int64(removed)
      }
      slot += 1
    }
    reply.nextSlot = UInt32(slot)
    reply.done = slot == Slots.count
    response.writeResetPartReply(reply)
  }

  private func dbSizePart(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(DbSizeView.init, message)
    if let refusal = limits.refusal(database: request.database) { throw refusal }
    let keys =
      request.allDatabases
      ? store.totalKeyCount : store.keyCount(database: Int(request.database))
    response.writeDbSizeResponse(keys: Int64(keys))
  }

  private func describePart(into response: inout ByteBuffer) throws(CallError) {
    guard let node: [UInt8] = try? describe().serializedBytes() else {
      throw .internalError("the node's description can't be encoded")
    }
    response.writeBytes(node)
  }

  /// What a slice may still spend.
  private struct SliceBudget {
    var visits: Int
    var bytes: Int
    private var emptySlots = 0

    init(visits: Int, bytes: Int) {
      self.visits = max(visits, 1)
      self.bytes = max(bytes, 1)
    }

    var isSpent: Bool { visits <= 0 || bytes <= 0 }
    var visitsLeft: Int { max(visits, 1) }

    mutating func passEmptySlot() {
      emptySlots += 1
      if emptySlots % ShardCore.emptySlotsPerVisit == 0 { visits -= 1 }
    }
  }
}
