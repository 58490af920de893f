// The heart of a shard: API calls in, effects on the store and encoded answers out.
//
// Pure: no sockets, no clock, no randomness. It lives on one event loop, the sole owner of the
// shard's keys, and runs each call to its end before the next: that is what makes every one-key
// call linearizable. Whoever brings a call (a client's unary call, a Pipeline, a router's link, the
// shard's own fan-outs) ends up in `execute`.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store

package final class ShardCore {
  package let id: String
  /// New at every start: tells a restart from a reconnect.
  package let incarnation: UInt64
  package let version: String
  package let limits: Limits
  @exclusivity(unchecked) package internal(set) var ownership: SlotOwnership
  /// The state that Describe reports.
  package var state = V1.Node.State.serving
  /// The address that Describe reports, once it is known.
  package var address = ""
  let store: Store
  /// Keys of all databases.
  package var keyCount: Int { store.totalKeyCount }
  /// The newest generation that each router's loop has introduced itself with.
  @exclusivity(unchecked) var generations = LinkGenerations()
  @exclusivity(unchecked) var peers = LinkPeers()
  @exclusivity(unchecked) var turns = TurnQueue()
  @exclusivity(unchecked) var views = PinnedViews()
  /// Where replies wait that tell of what isn't committed yet.
  package let gate: ReplyGate
  /// What calls wait for; nil: nothing, whatever is executed counts.
  @exclusivity(unchecked) package var marks: (any MarkSource)?
  /// What the reply of the call has to wait for that was executed last.
  @exclusivity(unchecked) var latestMark = ReplyMark.none
  /// Of the call that is being executed.
  @exclusivity(unchecked) private(set) var context = CallContext()
  /// The key of the call that is being executed; only for `marks`.
  @exclusivity(unchecked) private var touched: KeyLookup?
  /// Of calls that are answered later.
  @exclusivity(unchecked) var deadlines = DeadlineQueue<Deadline>()
  let garbage: GarbageCollection
  /// What Stats reports.
  @exclusivity(unchecked) package var counters = NodeCounters()
  /// What the node counts about its connections, which the core doesn't know.
  package var connectionCounters: () -> [String: Int64] = { [:] }
  var patterns = PatternCache()
  /// The values of a push, gathered; empty between calls.
  @exclusivity(unchecked) var pushedValues: [UnsafeRawBufferPointer] = []
  /// Room for so many is kept between calls.
  static let pushedValuesKept = 1_024
  /// A caller has told the node to stop. Whoever drives the core sees to it, once the caller has
  /// his answer.
  package var shutdownRequested = false
  private let uptimeMillis: () -> Int64
  /// The time in nanoseconds, never going back: bounds the slices of long work.
  let clock: () -> UInt64
  /// The wall clock.
  @exclusivity(unchecked) private var wall: WallClock
  /// When the core was made, on that clock.
  let startedNanos: UInt64

  /// - Parameters:
  ///   - clock: the time in nanoseconds, never going back.
  ///   - wallMillis: milliseconds since 1970.
  ///   - uptimeMillis: the time since the node's start, for Describe.
  ///   - versionsBegin: what the versions of every slot count from.
  package init(
    cluster: String, id: String, incarnation: UInt64, version: String, limits: Limits,
    versionsBegin: UInt64 = 0, clock: @escaping () -> UInt64 = { 0 },
    wallMillis: @escaping () -> Int64 = { 0 }, uptimeMillis: @escaping () -> Int64
  ) {
    self.id = id
    self.incarnation = incarnation
    self.version = version
    self.limits = limits
    self.clock = clock
    startedNanos = clock()
    wall = WallClock(wallMillis)
    self.uptimeMillis = uptimeMillis
    ownership = SlotOwnership(cluster: cluster, shard: id)
    store = Store(
      databaseCount: Int(limits.databases), slotCount: Slots.count,
      hashSeed: limits.hashSeed.words, versionsBegin: versionsBegin)
    garbage = GarbageCollection(store)
    gate = ReplyGate(bytesMax: limits.heldBytesMax)
  }

  /// Executes one call and appends its response message to `response`. What the reply has to wait
  /// for is in `latestMark` then, be it an error or not.
  ///
  /// - Parameters:
  ///   - method: a number of enum Method, or an `InternalMethod`.
  ///   - block: what the message lies in, where it may be kept: the store then adopts a large value.
  ///   - bytesMin: a response longer than this is not appended.
  ///   - context: who calls, until when it may be executed, and at what time.
  /// - Returns: a reply that comes later, as a longer response does, which holds memory of the store
  ///   until it is let go of; nil where the response was appended.
  /// - Throws: the call's error; nothing has changed then, and `response` is as it was.
  @discardableResult
  package func execute(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    into response: inout ByteBuffer, largerThan bytesMin: Int = .max, _ context: CallContext
  ) throws(CallError) -> (any LaterReply)? {
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    return try run(method, message, in: block, into: &response, largerThan: bytesMin)
  }

  /// What comes before every execution.
  @inline(__always)
  func begin(_ method: UInt32, _ context: CallContext) throws(CallError) {
    latestMark = .none
    touched = nil
    try admit(method, context)
    counters.called(method)
    self.context = context
  }

  @inline(__always)
  private func run(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    into response: inout ByteBuffer, largerThan bytesMin: Int
  ) throws(CallError) -> (any LaterReply)? {
    switch CommandID(rawValue: Int(method)) {
    case .get: return try get(message, into: &response, largerThan: bytesMin)
    case .set: try set(message, in: block, into: &response)
    case .delete: try delete(message, into: &response)
    case .exists: try exists(message, into: &response)
    case .type: try type(message, into: &response)
    case .incrBy: try incrBy(message, into: &response)
    case .lPush: try push(message, .head, into: &response)
    case .rPush: try push(message, .tail, into: &response)
    case .lPop: return try pop(message, .head, into: &response, largerThan: bytesMin)
    case .rPop: return try pop(message, .tail, into: &response, largerThan: bytesMin)
    case .lLen: try listLength(message, into: &response)
    case .lRange: return try listRange(message, into: &response, largerThan: bytesMin)
    default: try executePart(method, message, into: &response)
    }
    return nil
  }

  /// Checks a call's key and looks it up; only keys of the shard's own slots get through.
  @inline(__always)
  func find(
    _ key: UnsafeRawBufferPointer, _ database: UInt32
  ) throws(CallError) -> KeyPlace {
    try KeyAccess.check(key, database, context, limits)
    let slot = Slots.slot(of: key)
    guard ownership.owns(slot: slot) else {
      throw .wrongShard(owner: ownership.owner(ofSlot: slot))
    }
    let place = store.find(key, slot: slot, database: Int(database), nowMillis: context.wallMillis)
    if marks != nil { touched = place.lookup }
    return place
  }

  // MARK: - What replies wait for

  /// Whatever the outcome was, it tells of the key as it is now.
  func endMarking(_ method: UInt32) {
    guard let key = touched, let marks else { return }
    touched = nil
    latestMark = max(latestMark, marks.mark(of: key, after: method))
  }

  /// A key was looked at by a call that lists keys.
  @inline(__always)
  func visited(_ key: UnsafeRawBufferPointer, slot: Int, database: Int) {
    guard let marks else { return }
    let key = store.lookup(
      key, slot: slot, database: database, nowMillis: context.wallMillis)
    latestMark = max(latestMark, marks.mark(of: key, after: InternalMethod.keysPart.rawValue))
  }

  /// Something was told or done that concerns all keys.
  func visitedAll() {
    if let marks { latestMark = max(latestMark, marks.latest) }
  }

  /// Decodes a request; what can't be decoded is the caller's INTERNAL.
  @inline(__always)
  func decode<Request: WireMessage>(
    _: Request.Type, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> Request {
    do throws(WireError) {
      return try Request(message)
    } catch {
      throw .undecodable(error)
    }
  }

  /// The context of a call that comes in, or is looked at again, at a moment of the core's clock.
  ///
  /// - Parameter deadlineNanos: on the same clock; 0: none.
  @inline(__always)
  package func context(deadlineNanos: UInt64 = 0, nowNanos: UInt64) -> CallContext {
    CallContext(
      deadlineNanos: deadlineNanos, nowNanos: nowNanos, wallMillis: wall.millis(atNanos: nowNanos))
  }

  /// The context of a call that has waited, as it is now.
  func later(_ context: CallContext) -> CallContext {
    var context = context
    context.nowNanos = clock()
    context.wallMillis = wall.millis(atNanos: context.nowNanos)
    return context
  }

  /// Describe's line about this node.
  package func describe() -> NodeDescription {
    var node = NodeDescription(id: id, role: .shard)
    node.address = address
    node.state = state
    node.version = version
    node.uptimeMillis = uptimeMillis()
    node.keys = Int64(store.totalKeyCount)
    node.memoryBytes = Int64(store.memoryBytes)
    node.incarnation = incarnation
    return node
  }
}
