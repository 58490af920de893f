// The core of a shard: API calls in, effects on the store and encoded replies out.
//
// Pure: no sockets, no clock, no randomness. It is on one event loop, the only owner of the shard's
// keys, and completes each call before the next: this makes every one-key call linearizable. Calls
// of every kind (a client's unary call, a Pipeline, a router's link, the shard's own fan-outs) end
// in `execute`.

import Commands
import GRPC
import LargeMemory
import MetricTypes
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store
import Tracing
import Users

package final class ShardCore {
  package let id: String
  /// New at every start: distinguishes a restart from a reconnect.
  package let incarnation: UInt64
  package let version: String
  /// The keys, and which of them are this shard's.
  package let keyspace: Keyspace
  let store: Store
  /// The state that Describe reports.
  package var state = V1.Node.State.serving { didSet { watchAdmission() } }
  /// Whether the shard must stop. One that still loads continues to load until it stops.
  var isLeaving = false
  /// The detail in Describe: the progress of loading, or why it serves no keys.
  package var detail = ""
  /// The lineage of the shard's own data; nil: it is in memory only. Known once it is loaded.
  package var lineage: DataLineage?
  /// What is on record of the data of the map's shards.
  package var lineages = LineageRecords()
  /// Below it lie the versions that other shards are known to have given; 0: none is.
  var versionsHeard: UInt64 = 0
  /// A map that is in force, whose slots are served as soon as the ceiling of versions is durable.
  var coming: ComingIntoForce?
  /// The address that Describe reports, once it is known.
  package var address = ""
  /// Keys of all databases.
  package var keyCount: Int { store.totalKeyCount }
  /// The newest generation that each router's loop has introduced itself with.
  var generations = LinkGenerations()
  var peers = RouterSessions()
  var turns = CooperativeQueue()
  var views = SnapshotRegistry()
  /// Views that were ended with VIEW_EXPIRED.
  var viewsExpired: Int64 = 0
  /// Holds replies that reveal changes that aren't committed yet.
  package let gate: ReplyGate
  /// The source of marks; nil: none, everything executed is committed.
  package var marks: (any MarkSource)? {
    didSet {
      keyspace.notesFound = marks != nil
      watchAdmission()
    }
  }
  /// Where changes go that outlive the process; nil: nowhere.
  package var log: ShardLog? {
    didSet {
      store.observer = log
      log?.onWayChange = { [unowned self] in followLog() }
      followLog()
      snapshots = log.map { ShardSnapshots(of: self, $0.passes) }
    }
  }
  /// Backups in progress.
  let backups: BackupSessions
  /// Walks in progress that make digests.
  var digestWalks = 0
  /// Requested passes; nil: the shard is in memory only.
  private(set) var snapshots: ShardSnapshots?
  /// Whether more is checked before a call than its deadline and the memory.
  private(set) var admitsWithCare = false
  /// What the reply of the call has to wait for that was executed last.
  var latestMark = ReplyMark.none
  /// Of calls with later replies.
  var deadlines = DeadlineQueue<Deadline>()
  /// Slots of calls of the frame being read that were returned.
  var returnedSlots: Set<Int> = []
  /// Calls that wait for values.
  var parked = ParkedCalls()
  /// Calls that are executed in turns.
  let unfinished = UnfinishedTable()
  /// Calls of the frame being read.
  let linkCallsAhead: ReadAhead<LinkV1.LinkCall>
  let garbage: GarbageCollection
  let expirer: Expirer
  let evictor: Evictor
  /// Writes that were refused because the memory limit was reached.
  var memoryRefusals: Int64 = 0
  /// The memory of operations, and of finished replies that have not been sent.
  package let replyMemory: MemoryBudget
  /// What Stats reports.
  package var counters = NodeCounters()
  /// Durations of calls, and slow and large calls.
  package let meter: CallMeter
  /// Keeps the spans of traced calls; nil: no call is traced.
  package var tracer: Tracer?
  /// The node's counters of its connections, which the core doesn't have.
  package var connectionCounters: () -> [String: Int64] = { [:] }
  /// Executes calls about the node around the core; nil: it can't.
  package var nodeCalls: NodeCallHandler?
  var patterns = PatternCache()
  /// What RandomKey of a client on the shard itself is drawn by.
  var random: SplitMix64
  /// A caller has requested the node to stop. The driver of the core does so, once the caller has
  /// its reply.
  package var shutdownRequested = false
  private let uptimeMillis: () -> Int64
  /// The monotonic time in nanoseconds: limits the slices of long work.
  let clock: () -> UInt64
  let executions = CommandTable.executions
  let wall: WallClock
  /// Whether there is a wall clock, so that every call has the time.
  private let hasWall: Bool
  /// When the core was made, on that clock.
  let startedNanos: UInt64

  /// - Parameters:
  ///   - clock: the time in nanoseconds, never going back.
  ///   - wallMillis: milliseconds since 1970; nil: no key ever expires.
  ///   - uptimeMillis: the time since the node's start, for Describe.
  ///   - versionsBegin: the first version of every slot.
  ///   - memory: the memory limit of keys and values.
  ///   - slowLog: the settings of the slow log.
  package init(
    cluster: String, id: String, incarnation: UInt64, version: String, limits: Limits,
    versionsBegin: UInt64 = 0, memory: MemoryLimit = MemoryLimit(),
    slowLog: SlowLog = SlowLog(), clock: @escaping () -> UInt64 = { 0 },
    wallMillis: (() -> Int64)? = nil, uptimeMillis: @escaping () -> Int64
  ) {
    self.id = id
    self.incarnation = incarnation
    random = SplitMix64(seed: incarnation)
    meter = CallMeter(places: CallNumbers.places, slowLog: slowLog)
    self.version = version
    self.clock = clock
    startedNanos = clock()
    wall = WallClock(wallMillis ?? { 0 })
    hasWall = wallMillis != nil
    self.uptimeMillis = uptimeMillis
    let store = Store(
      databaseCount: Int(limits.databases), slotCount: Slots.count,
      hashSeed: limits.hashSeed.words, versionsBegin: versionsBegin)
    self.store = store
    keyspace = Keyspace(store, limits, SlotOwnership(cluster: cluster, shard: id))
    linkCallsAhead = ReadAhead(keyspace)
    garbage = GarbageCollection(store)
    backups = BackupSessions(of: store)
    store.memoryLimit = memory
    expirer = Expirer(store, clock: clock, wall: wall)
    evictor = Evictor(store, clock: clock, wall: wall)
    replyMemory = MemoryBudget(bytesMax: limits.replyMemoryBytesMax)
    gate = ReplyGate(bytesMax: limits.heldBytesMax, clock: clock)
    unfinished.core = self
  }

  /// Executes one call and appends its response message to `response`. What the reply has to wait
  /// for is in `latestMark` then, be it an error or not.
  ///
  /// - Parameters:
  ///   - method: a number of enum Method, or an `InternalMethod`.
  ///   - block: the block that contains the message, if it may be kept: the store then adopts a
  ///     large value.
  ///   - bytesMin: a response longer than this is not appended.
  ///   - context: the caller, the deadline and the time.
  /// - Returns: the rest of the work (`proceed`): a longer response comes later, and holds memory
  ///   of the store until it is released; nil if the response was appended.
  /// - Throws: the call's error; nothing has changed then, and `response` is as it was.
  @discardableResult
  package func execute(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    into response: inout ByteBuffer, largerThan bytesMin: Int = .max, _ context: CallContext
  ) throws(CallError) -> Remainder? {
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    if context.principal?.isRestricted == true { try checkOtherKeys(method, message, context) }
    let remainder = try run(
      method, message, in: block, into: &response, largerThan: bytesMin, context)
    executed(method, message, remainder, context)
    return remainder
  }

  /// Executes a local call. `deliver` is called once with the reply, after `latestMark` was set,
  /// unless something is returned or an error thrown.
  ///
  /// - Parameter bytesMin: a reply longer than this comes from a source.
  package func execute(
    _ call: any KeyedCall, largerThan bytesMin: Int, _ context: CallContext,
    _ deliver: (CallReply) -> Void
  ) throws(CallError) -> Remainder? {
    let method = UInt32(truncatingIfNeeded: call.command.id.rawValue)
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    if context.principal?.isRestricted == true, call.command.otherKeys != nil {
      var request = ByteBuffer()
      call.write(into: &request)
      try request.withUnsafeReadableBytes { (request) throws(CallError) in
        try checkOtherKeys(method, request, context)
      }
    }
    let remainder = try call.execute(on: keyspace, context, largerThan: bytesMin) { reply in
      if marks != nil { endMarking(method) }
      deliver(reply)
    }
    note(method, isError: false, context)
    return remainder
  }

  /// The checks before every execution.
  @inline(__always)
  func begin(_ method: UInt32, _ context: CallContext) throws(CallError) {
    assert(context.wallMillis > 0 || !hasWall, "an entrance that knows no time expires no key")
    latestMark = .none
    try admit(method, context)
    counters.called(method)
  }

  @inline(__always)
  func run(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    into response: inout ByteBuffer, largerThan bytesMin: Int, _ context: CallContext
  ) throws(CallError) -> Remainder? {
    guard method &- 1 < executions.count else {
      return try executePart(method, message, context, into: &response)
    }
    let execution = executions.first[Int(method) - 1]
    return try execution.encoded(
      message, execution.isWrite, keyspace, context, block, bytesMin, &response)
  }

  /// The parts of a range for LRangeStream; nil if there is no such key.
  package func listParts(
    _ message: UnsafeRawBufferPointer, _ context: CallContext
  ) throws(CallError) -> (any ReplySource)? {
    let method = InternalMethod.listStreamPart.rawValue
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    let parts = try Command.listParts(message, of: keyspace, context)
    note(UInt32(truncatingIfNeeded: CommandID.lRangeStream.rawValue), isError: false, context)
    return parts
  }

  /// LRangeStream of a client on the shard itself.
  func streamList(
    _ message: UnsafeRawBufferPointer, to reply: ReplyHandle, _ context: CallContext
  ) {
    do throws(CallError) {
      try KeyAccess.check(Command.lRangeStream, context)
      guard let parts = try listParts(message, context) else {
        var missing = ByteBuffer()
        V1.ListValues().write(into: &missing)
        return reply.respond(missing, after: latestMark)
      }
      reply.stream(parts, of: context.principal, after: latestMark)
    } catch {
      failed(UInt32(truncatingIfNeeded: CommandID.lRangeStream.rawValue), error, context)
      reply.fail(error, after: latestMark)
    }
  }

  // MARK: - What replies wait for

  /// If the log is written before any reply is sent, no reply waits for a mark.
  private func followLog() {
    marks = log?.isDirect == true ? nil : log
    watchAdmission()
  }

  private func watchAdmission() {
    admitsWithCare =
      marks != nil || state == .loading || state == .notServing || log?.refusesWrites == true
  }

  /// Every outcome reveals the current state of the key.
  func endMarking(_ method: UInt32) {
    guard let marks else { return }
    for key in keyspace.found {
      latestMark = max(latestMark, marks.mark(of: key, after: method))
    }
    keyspace.found.removeAll(keepingCapacity: true)
  }

  /// A key was looked at by a call that lists keys.
  @inline(__always)
  func visited(_ key: UnsafeRawBufferPointer, slot: Int, database: Int) {
    guard let marks else { return }
    let key = store.lookup(
      key, slot: slot, database: database, nowMillis: 0)
    latestMark = max(latestMark, marks.mark(of: key, after: InternalMethod.keysPart.rawValue))
  }

  /// The call read or changed all keys.
  func visitedAll() {
    if let marks { latestMark = max(latestMark, marks.latest) }
  }

  /// The context of a call that arrives, or is continued, at a time of the core's clock.
  ///
  /// - Parameter deadlineNanos: on the same clock; 0: none.
  @inline(__always)
  package func context(
    _ principal: Principal? = nil, deadlineNanos: UInt64 = 0, nowNanos: UInt64
  ) -> CallContext {
    CallContext(
      principal, deadlineNanos: deadlineNanos, nowNanos: nowNanos,
      wallMillis: wall.millis(atNanos: nowNanos))
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
    node.detail = detail.isEmpty ? log?.trouble ?? "" : detail
    node.version = version
    node.uptimeMillis = uptimeMillis()
    node.keys = Int64(store.totalKeyCount)
    node.memoryBytes = Int64(store.memoryBytes)
    node.incarnation = incarnation
    if store.memoryLimit.bytes < .max { node.memoryLimitBytes = Int64(store.memoryLimit.bytes) }
    // A slice is a part of a call that a router counts.
    let measured = meter.total(leavingOut: CallNumbers.partPlaces)
    node.errors = measured.errors
    node.durations = measured.durations.buckets
    return node
  }
}

extension ShardCore {
  package var limits: Limits { keyspace.limits }
  package var ownership: SlotOwnership { keyspace.ownership }
}
