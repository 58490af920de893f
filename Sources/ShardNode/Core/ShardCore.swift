// The heart of a shard: API calls in, effects on the store and encoded answers out.
//
// Pure: no sockets, no clock, no randomness. It lives on one event loop, the sole owner of the
// shard's keys, and runs each call to its end before the next: that is what makes every one-key
// call linearizable. Whatever brings a call (a client's unary call, a Pipeline, a router's link,
// the shard's own fan-outs) ends up in `execute`.

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
  /// New at every start: tells a restart from a reconnect.
  package let incarnation: UInt64
  package let version: String
  /// The keys, and which of them are this shard's.
  package let keyspace: Keyspace
  let store: Store
  /// The state that Describe reports.
  package var state = V1.Node.State.serving { didSet { watchAdmission() } }
  /// Whether the shard has been told to stop. One that still loads goes on loading until it does.
  var isLeaving = false
  /// What Describe says beside it: how far a shard has loaded, or why it serves no key.
  package var detail = ""
  /// Of the shard's own data; nil: it is in memory only. Known once it is loaded.
  package var lineage: DataLineage?
  /// What is on record of the data of the map's shards.
  package var lineages = LineageRecords()
  /// The address that Describe reports, once it is known.
  package var address = ""
  /// Keys of all databases.
  package var keyCount: Int { store.totalKeyCount }
  /// The newest generation that each router's loop has introduced itself with.
  @exclusivity(unchecked) var generations = LinkGenerations()
  @exclusivity(unchecked) var peers = RouterSessions()
  @exclusivity(unchecked) var turns = CooperativeQueue()
  @exclusivity(unchecked) var views = SnapshotRegistry()
  /// Views that were ended with VIEW_EXPIRED.
  var viewsExpired: Int64 = 0
  /// Where replies wait that tell of what isn't committed yet.
  package let gate: ReplyGate
  /// What calls wait for; nil: nothing, whatever is executed counts.
  @exclusivity(unchecked) package var marks: (any MarkSource)? {
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
  /// Backups under way.
  let backups: BackupSessions
  /// Walks under way that make digests.
  var digestWalks = 0
  /// Passes that are asked for; nil: the shard is in memory only.
  private(set) var snapshots: ShardSnapshots?
  /// Whether more is asked before a call than its deadline and the memory.
  @exclusivity(unchecked) private(set) var admitsWithCare = false
  /// What the reply of the call has to wait for that was executed last.
  @exclusivity(unchecked) var latestMark = ReplyMark.none
  /// Of calls that are answered later.
  @exclusivity(unchecked) var deadlines = DeadlineQueue<Deadline>()
  /// Slots of calls of the frame being read that were returned.
  @exclusivity(unchecked) var returnedSlots: Set<Int> = []
  /// Calls that wait for values.
  @exclusivity(unchecked) var parked = ParkedCalls()
  /// Calls that are executed in turns.
  let unfinished = UnfinishedTable()
  /// Calls of the frame being read.
  let linkCallsAhead: ReadAhead<LinkV1.LinkCall>
  let garbage: GarbageCollection
  let expirer: Expirer
  let evictor: Evictor
  /// Writes that were refused because the memory limit was reached.
  var memoryRefusals: Int64 = 0
  /// What operations hold, and answers that are ready and have not been sent.
  package let replyMemory: MemoryBudget
  /// What Stats reports.
  @exclusivity(unchecked) package var counters = NodeCounters()
  /// How long calls take, and which were slow or large.
  package let meter: CallMeter
  /// Where traced calls have their spans; nil: none is traced.
  package var tracer: Tracer?
  /// What the node counts about its connections, which the core doesn't know.
  package var connectionCounters: () -> [String: Int64] = { [:] }
  /// Carries out calls about the node around the core; nil: it can't.
  package var nodeCalls: NodeCallHandler?
  var patterns = PatternCache()
  /// What RandomKey of a client on the shard itself is drawn by.
  var random: SplitMix64
  /// A caller has told the node to stop. The driver of the core does so, once the caller has
  /// its reply.
  package var shutdownRequested = false
  private let uptimeMillis: () -> Int64
  /// The time in nanoseconds, never going back: bounds the slices of long work.
  let clock: () -> UInt64
  private let executions = CommandTable.executions
  let wall: WallClock
  /// Whether there is a wall clock, so that every call knows the time.
  private let hasWall: Bool
  /// When the core was made, on that clock.
  let startedNanos: UInt64

  /// - Parameters:
  ///   - clock: the time in nanoseconds, never going back.
  ///   - wallMillis: milliseconds since 1970; nil: no key ever expires.
  ///   - uptimeMillis: the time since the node's start, for Describe.
  ///   - versionsBegin: what the versions of every slot count from.
  ///   - memory: how much the keys and values may take.
  ///   - slowLog: what is kept of slow and large calls.
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
    replyMemory = MemoryBudget(bytesMax: limits.answerBytesMax)
    gate = ReplyGate(bytesMax: limits.heldBytesMax, clock: clock)
    unfinished.core = self
  }

  /// Executes one call and appends its response message to `response`. What the reply has to wait
  /// for is in `latestMark` then, be it an error or not.
  ///
  /// - Parameters:
  ///   - method: a number of enum Method, or an `InternalMethod`.
  ///   - block: what the message lies in, where it may be kept: the store then adopts a large
  ///     value.
  ///   - bytesMin: a response longer than this is not appended.
  ///   - context: who calls, until when it may be executed, and at what time.
  /// - Returns: what is left to do (`proceed`): a longer response comes later, and holds memory of
  ///   the store until it is let go of; nil where the response was appended.
  /// - Throws: the call's error; nothing has changed then, and `response` is as it was.
  @discardableResult
  package func execute(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    into response: inout ByteBuffer, largerThan bytesMin: Int = .max, _ context: CallContext
  ) throws(CallError) -> Remainder? {
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    if context.principal != nil { try checkOtherKeys(method, message, context) }
    let remainder = try run(
      method, message, in: block, into: &response, largerThan: bytesMin, context)
    executed(method, message, remainder, context)
    return remainder
  }

  /// Executes a call that was made within the process. `answer` is called once with the reply,
  /// after `latestMark` was set, unless something is returned or an error thrown.
  ///
  /// - Parameter bytesMin: a reply longer than this comes from a source.
  package func execute(
    _ call: any KeyedCall, largerThan bytesMin: Int, _ context: CallContext,
    _ answer: (CallReply) -> Void
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
      answer(reply)
    }
    note(method, isError: false, context)
    return remainder
  }

  /// What comes before every execution.
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

  /// The parts of a range as LRangeStream sends them; nil where there is no such key.
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
        return reply.answer(missing, after: latestMark)
      }
      parts.start(reply, after: latestMark)
    } catch {
      failed(InternalMethod.listStreamPart.rawValue, error, context)
      reply.fail(error, after: latestMark)
    }
  }

  // MARK: - What replies wait for

  /// Where the log writes before any reply leaves, no reply waits for a mark.
  private func followLog() {
    marks = log?.isDirect == true ? nil : log
    watchAdmission()
  }

  private func watchAdmission() {
    admitsWithCare =
      marks != nil || state == .loading || state == .notServing || log?.refusesWrites == true
  }

  /// Whatever the outcome was, it tells of the key as it is now.
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

  /// Something was told or done that concerns all keys.
  func visitedAll() {
    if let marks { latestMark = max(latestMark, marks.latest) }
  }

  /// The context of a call that comes in, or is looked at again, at a moment of the core's clock.
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
    node.detail = detail
    node.version = version
    node.uptimeMillis = uptimeMillis()
    node.keys = Int64(store.totalKeyCount)
    node.memoryBytes = Int64(store.memoryBytes)
    node.incarnation = incarnation
    if store.memoryLimit.bytes < .max { node.memoryLimitBytes = Int64(store.memoryLimit.bytes) }
    let measured = meter.total()
    node.errors = measured.errors
    node.durations = measured.durations.buckets
    return node
  }
}

extension ShardCore {
  package var limits: Limits { keyspace.limits }
  package var ownership: SlotOwnership { keyspace.ownership }
}
