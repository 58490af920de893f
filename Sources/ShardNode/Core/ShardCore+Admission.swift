// The only check of "may this call run now", before anything is executed, for calls of every
// protocol: whether its caller may make it, and what the node can't do for a while (loading, a full
// disk, a stalled log).
//
// A shard that drains still replies: its routers and clients are asked to send no more, and calls
// that still arrive were already in flight.

import Commands
import NodeCore
import RingstoreAPI
import Store
import TextForms
import Users

extension ShardCore {
  /// The shard must stop: it still replies, and waiting calls end. One that is loading has no data
  /// yet, and stays loading.
  package func beginDraining() {
    isLeaving = true
    if state != .loading { state = .draining }
    // Before the routers close their links, which may have no other calls in progress.
    endParked()
  }

  /// The data is loaded.
  func loaded() {
    if state == .loading { state = isLeaving ? .draining : .serving }
  }

  /// Why the shard isn't ready; nil if it is. A full disk only stops writes, so the shard stays
  /// ready.
  package var notReadyReason: String? {
    switch state {
    case .serving: log?.isStalled == true ? log?.trouble : nil
    case .loading: "the shard is loading its data" + (detail.isEmpty ? "" : ": \(detail)")
    case .draining: "the shard is draining"
    default: detail.isEmpty ? "the shard is \(state)" : detail
    }
  }

  /// - Throws: PERMISSION_DENIED, DEADLINE_EXCEEDED, SHARD_UNAVAILABLE for a call that was delayed
  ///   on its way, OVERLOADED for a write whose reply could not be held, MEMORY_LIMIT, DISK_FULL,
  ///   LOG_STALLED. Nothing has been executed.
  @inline(__always)
  func admit(_ method: UInt32, _ context: CallContext) throws(CallError) {
    if let principal = context.principal, !mayCall(method, principal) {
      try admitCaller(method, context)
    }
    if context.isInTime, !admitsWithCare, !store.isOverMemoryLimit { return }
    try admitWithCare(method, context)
  }

  /// Whether it is a call on one key whose caller has the permission: the usual case, decided
  /// without a call into another room. A call on one key reads or writes, and needs no other
  /// permission.
  @inline(__always)
  private func mayCall(_ method: UInt32, _ principal: Principal) -> Bool {
    guard method &- 1 < executions.count else { return false }
    let isWrite = executions.first[Int(method) - 1].isWrite
    return principal.permissions.contains(isWrite ? .write : .read)
  }

  /// All keys of a call are checked, even if its execution doesn't access all of them.
  @inline(never)
  func checkOtherKeys(
    _ method: UInt32, _ request: UnsafeRawBufferPointer, _ context: CallContext
  ) throws(CallError) {
    guard let route = keyspace.routes[method], route.hasOtherKeys else { return }
    let target = try KeyAccess.read(request, route.keyFields, context, keyspace.keyLimits)
    try KeyAccess.checkOthers(method: method, request, target.database, context, keyspace.keyLimits)
  }

  /// A call was refused before: its reply waits for nothing.
  func refused(_ error: CallError) {
    latestMark = .none
    counters.failed(error)
  }

  /// Of a part its call was admitted.
  private func admitCaller(_ method: UInt32, _ context: CallContext) throws(CallError) {
    guard let route = keyspace.routes[method] else { return }
    try KeyAccess.check(method: method, route.access, context)
  }

  @inline(never)
  private func admitWithCare(_ method: UInt32, _ context: CallContext) throws(CallError) {
    if context.staleNanos > 0, context.nowNanos >= context.staleNanos { throw .tooLate(id) }
    if !context.isInTime { throw .deadlineExceeded }
    if state == .loading || state == .notServing, !InternalMethod.isAboutNode(method) {
      throw state == .loading ? .loading(id) : .dataLost(id)
    }
    if SubRequest.isWrite(method: method) {
      if let log, log.refusesWrites { throw log.refusal(id) }
      if gate.isFull { throw .heldTooMuch(limits) }
    }
    if store.isOverMemoryLimit, CommandTable.needsMemory(method: method) {
      try makeRoom(context)
    }
  }

  /// Evicts keys before a write, up to a number for each call; the rest is evicted in turns.
  ///
  /// - Throws: MEMORY_LIMIT if nothing may be evicted, or eviction is too slow.
  private func makeRoom(_ context: CallContext) throws(CallError) {
    let isEmpty = store.makeRoom(
      evictions: Evictor.evictionsPerCall, nowMillis: context.wallMillis)
    guard store.isOverMemoryLimit else { return }
    let limit = store.memoryLimit.bytes
    if !isEmpty { turns.enqueue(evictor) }
    if isEmpty || store.usedBytes - limit > limit / Evictor.overshootShare {
      memoryRefusals += 1
      throw .memoryLimit(store.memoryLimit)
    }
  }
}

/// Evicts in turns the keys that calls have left over.
final class Evictor: CooperativeTask {
  /// Some 50 us of work.
  static let evictionsPerCall = 32
  static let evictionsPerTurn = 256
  /// Writes are refused while the limit is passed by more than this share of it.
  static let overshootShare = 16

  var isQueued = false
  private let store: Store
  private let clock: () -> UInt64
  private let wall: WallClock

  init(_ store: Store, clock: @escaping () -> UInt64, wall: WallClock) {
    self.store = store
    self.clock = clock
    self.wall = wall
  }

  func runSlice() -> Turn {
    guard store.isOverMemoryLimit else { return .unused }
    let isEmpty = store.makeRoom(
      evictions: Self.evictionsPerTurn, nowMillis: wall.millis(atNanos: clock()))
    return isEmpty || !store.isOverMemoryLimit ? .used : .more
  }
}

extension CallError {
  fileprivate static func loading(_ shard: String) -> CallError {
    .shardUnavailable(shard, "it is loading its data")
  }

  fileprivate static func memoryLimit(_ limit: MemoryLimit) -> CallError {
    let instead =
      switch limit.policy {
      case .noEviction: "delete keys, or raise max_memory or set eviction_policy on the shard"
      case .allKeysLRU: "the shard is evicting keys; try again"
      case .volatileLRU: "no more keys that expire can be evicted; delete keys or raise max_memory"
      }
    return .memoryLimit(
      "The shard's memory limit of \(ByteSize.text(limit.bytes)) is reached: \(instead).")
  }
}
