// The heart of a router's event loop: where calls are placed, sent, matched with their replies,
// and ended when a shard goes away.
//
// Pure: no sockets, clock or randomness of its own. The driver passes in events and the time; the
// core calls back through `RouterDriver`. One core per event loop, used on that loop only; cores
// of one router share nothing.
//
// The rules it keeps (see docs/CONSISTENCY.md):
// - A call is sent at most once. When a link breaks, a read or a call that was never handed to the
//   socket fails as SHARD_UNAVAILABLE; a write that was sent fails as OUTCOME_UNKNOWN.
// - A shard whose link isn't ready fails calls at once.
// - Calls on one key are sent in the order in which they were submitted, and those that go over
//   different lanes one after another (CrossLaneSequencer).
//
// What waits, and its bounds: calls that wait for room or for their turn (RouterCore+Waiting,
// LinkLimits), for values at their shards (RouterCore+Parked, the shards' Limits.parkedCallsMax),
// replies in parts (RouterCore+Replies), calls under way in all (CallTable).

import Commands
import GRPC
import LargeMemory
import MetricTypes
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Tracing

package final class RouterCore<Driver: RouterDriver> {
  package typealias Caller = Driver.Caller
  /// What stands for the slot of a call that names no key.
  static var noSlot: UInt16 { UInt16(Slots.count) }

  let identity: RouterIdentity
  package let limits: Limits
  package let linkLimits: LinkLimits
  /// Owns this core, so that it can't be gone before.
  unowned(unsafe) let driver: Driver

  // A core is used by one thread and never from within an access to one of these, so the run-time
  // checks for that are left out: they cost as much as the work between them.
  @exclusivity(unchecked) var links: LinkTable
  var agreement: MapAgreement
  /// Slots whose owner is changing; see RouterCore+Map.
  @exclusivity(unchecked) var holds = SlotHolds()
  /// Whether a call may have to wait, or to fail, although its shard's link is ready.
  @exclusivity(unchecked) var mayHoldCalls = true
  /// A change of the list of shards under way.
  var change: MapChange?
  /// What is on record of the shards' data.
  package internal(set) var lineages = LineageRecords()
  /// A loss that is being accepted.
  var acceptance: LossAcceptance?
  /// Until when changes that shards refuse are not taken back.
  var pauseEndNanos: UInt64?
  @exclusivity(unchecked) var calls = CallTable<Caller>()
  @exclusivity(unchecked) var laneOrder = CrossLaneSequencer(slotCount: Slots.count)
  private let clock: () -> UInt64
  let routes = CommandTable.routes

  /// The calls that wait, by id, and when each is refused.
  var waiting = WaitingCalls()
  /// Where calls of this process are encoded, kept for the next one up to a size.
  @exclusivity(unchecked) private var encoded = ByteBuffer()
  private static var encodedKeptMax: Int { 64 << 10 }

  /// Calls that wait for values at their shards.
  var parkedCalls = ParkedCallTable()
  /// Whether no call may wait for values any more.
  var isDraining = false
  /// What RandomKey is drawn by.
  var random: SplitMix64
  @exclusivity(unchecked) var streams = StreamedReplies()
  @exclusivity(unchecked) var operations = OperationTable<RouterFanout<Driver>>()
  package let replyMemory: MemoryBudget
  /// How long clients' calls take, and which were slow or large.
  package let meter: CallMeter
  /// Where traced calls have their spans; nil: none is traced.
  package var tracer: Tracer?
  /// How long calls waited that could not be sent at once.
  var linkWaits = DurationCounts()

  /// - Parameters:
  ///   - firstGeneration: a number no earlier run of this router's loop has reached.
  ///   - seed: for the jitter of reconnects, and what is drawn at random.
  ///   - slowLog: what is kept of slow and large calls.
  ///   - clock: the time in nanoseconds, never going back.
  package init(
    identity: RouterIdentity, map: SlotMap, limits: Limits, linkLimits: LinkLimits = LinkLimits(),
    firstGeneration: UInt64, seed: UInt64, slowLog: SlowLog = SlowLog(),
    clock: @escaping () -> UInt64, driver: Driver
  ) {
    meter = CallMeter(places: CallNumbers.places, slowLog: slowLog)
    self.clock = clock
    random = SplitMix64(seed: seed)
    self.identity = identity
    agreement = MapAgreement(map)
    self.limits = limits
    replyMemory = MemoryBudget(bytesMax: limits.answerBytesMax)
    self.linkLimits = linkLimits
    self.driver = driver
    links = LinkTable(map, linkLimits, firstGeneration: firstGeneration, seed: seed)
  }

  /// The map that calls are placed by.
  package var map: SlotMap { agreement.current }
  package var mapEpoch: UInt64 { map.epoch }
  /// The shards of the cluster, in the map's order.
  package var shardIDs: [String] { links.members.map { links[$0].shardID } }

  /// Calls whose replies have not come, those whose callers have gone among them.
  package var callsUnderWay: Int { calls.count }

  // MARK: - Calls of clients

  /// Takes a call on one key. Returns its id while it is under way, or nil where it has been
  /// answered already.
  ///
  /// - Parameters:
  ///   - block: what the message lies in, where it may be kept.
  ///   - context: who calls, and until when, on the core's clock.
  ///   - endsAtDeadline: whether the core is to end the call then; otherwise the driver does.
  package func submit(
    _ method: UInt32, message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    _ context: CallContext, endsAtDeadline: Bool, caller: Caller
  ) -> UInt64? {
    do throws(CallError) {
      guard let route = routes[method] else { throw .unbatchable(method: method) }
      try KeyAccess.check(method: method, route.access, context)
      let target = try KeyAccess.read(message, route.keyFields, context, limits)
      if route.hasOtherKeys {
        try KeyAccess.checkOthers(method: method, message, target.database, context, limits)
      }
      return try submit(
        method, key: target.key, message, in: block, context, endsAtDeadline,
        isWrite: route.isWrite, caller)
    } catch {
      if context.span != 0 { refused(context.span, error) }
      driver.fail(caller, error: error)
      return nil
    }
  }

  /// Takes a call on one key that was made within the process, and encodes it: it leaves the
  /// process here. As above otherwise.
  package func submit(
    _ call: any KeyedCall, _ context: CallContext, endsAtDeadline: Bool, caller: Caller
  ) -> UInt64? {
    // Taken out, because a caller that is told a failure may make its next call.
    var request = ByteBuffer()
    swap(&request, &encoded)
    defer {
      if request.storageCapacity <= Self.encodedKeptMax {
        request.clear()
        encoded = request
      }
    }
    do throws(CallError) {
      try KeyAccess.check(call.command, context)
      try KeyAccess.check(call.key, call.database, context, limits)
      call.write(into: &request)
      let method = UInt32(truncatingIfNeeded: call.command.id.rawValue)
      return try request.withUnsafeReadableBytes { message throws(CallError) in
        if call.command.otherKeys != nil {
          try KeyAccess.checkOthers(method: method, message, call.database, context, limits)
        }
        return try submit(
          method, key: call.key, message, in: nil, context, endsAtDeadline,
          isWrite: routes[method]?.isWrite ?? true, caller)
      }
    } catch {
      driver.fail(caller, error: error)
      return nil
    }
  }

  /// Takes a call whose key was checked.
  @inline(__always)
  private func submit(
    _ method: UInt32, key: UnsafeRawBufferPointer, _ message: UnsafeRawBufferPointer,
    in block: LargeBlock?, _ context: CallContext, _ endsAtDeadline: Bool, isWrite: Bool,
    _ caller: Caller
  ) throws(CallError) -> UInt64 {
    let slot = Slots.slot(of: key)
    // Made where it is handed on: a name for it would be a copy of it.
    let id = try place(
      PendingCall<Caller>(
        target: .caller(caller), shard: links.owner(ofSlot: slot), slot: UInt16(slot),
        lane: message.count > limits.bulkBytesMin ? .bulk : .calls,
        isWrite: isWrite, bytes: message.count,
        place: CallNumbers.place(of: Int(method)) ?? -1, startedNanos: driver.tickNanos),
      key: key, method: method, request: message, in: block, context)
    if endsAtDeadline, context.hasDeadline {
      calls.setDeadline(id, context.deadlineNanos)
    }
    return id
  }

  /// Takes an LRangeStream: its reply is emitted message by message as the caller takes it. Returns
  /// its id while it is under way, or nil where it has been answered already.
  ///
  /// It has no place in the order of its key: it reads one view of the list, which is taken at
  /// some moment between the call and its first message.
  ///
  /// - Parameters:
  ///   - message: a ListRange.
  ///   - context: who calls, and until when: the driver ends the call then.
  package func openStream(
    message: UnsafeRawBufferPointer, _ context: CallContext, caller: Caller
  ) -> UInt64? {
    do throws(CallError) {
      try KeyAccess.check(Command.lRangeStream, context)
      let target = try KeyAccess.read(message, V1.ListRange.keyFields, context, limits)
      let slot = Slots.slot(of: target.key)
      let call = PendingCall<Caller>(
        target: .caller(caller), shard: links.owner(ofSlot: slot), slot: UInt16(slot), lane: .bulk,
        isWrite: false, bytes: message.count, reply: .stream,
        place: CallNumbers.place(of: CommandID.lRangeStream.rawValue) ?? -1,
        startedNanos: driver.tickNanos)
      let id = try place(
        call, key: nil, method: InternalMethod.listStreamPart.rawValue, request: message, context)
      streams.begin(id, .messages)
      if calls[id]?.isWaiting == false { ask(id) }
      return id
    } catch {
      driver.fail(caller, error: error)
      return nil
    }
  }

  /// The caller of a call or an operation went away, or its deadline has passed: the reply
  /// is not wanted any more.
  package func cancel(_ id: UInt64) {
    if let operation = operations[id] { operation.fanout.drop() } else { withdraw(id) }
    finishEvent()
  }

  /// Cancels the calls of all callers that a closure picks. O(calls that were ever under way at
  /// once).
  package func cancelCalls(where isGone: (Caller) -> Bool) {
    let ids = calls.ids { call in
      if case .caller(let caller) = call.target { return isGone(caller) }
      return false
    }
    for id in ids { withdraw(id) }
    finishEvent()
  }

  /// Takes a call back: one that waits is forgotten, one that was sent is abandoned and the shard
  /// told.
  func withdraw(_ id: UInt64) {
    guard let call = calls[id], !call.isAbandoned else { return }
    if call.span != 0 { endSpan(call, .cancelled) }
    if call.isWaiting {
      forget(id, call)
      _ = calls.remove(id)
      return
    }
    endStream(id, call)
    if call.reply == .parked, let parked = unpark(id, call), parked.isAdrift {
      // The shard lets go of it when the router doesn't name it any more.
      _ = calls.remove(id)
      return
    }
    calls.abandon(id)
    links[call.shard][call.lane].cancel(id)
    hasOutput(call.shard, call.lane)
  }

  // MARK: - Placing calls

  /// The one answer to "may this call run now", before it is placed: a client's, a part of a
  /// fan-out, a slice of a walk. Room comes later: a call that is let in may wait for it.
  ///
  /// - Throws: SHARD_UNAVAILABLE, DEADLINE_EXCEEDED.
  /// - Returns: whether it may go now; otherwise it waits until its slot has its new owner.
  @inline(__always)
  private func admit(
    _ shard: Int, slot: UInt16, _ method: UInt32, _ context: CallContext
  ) throws(CallError) -> Bool {
    var mayGo = true
    if !links[shard].state.isReady || mayHoldCalls {
      mayGo = try admitWithCare(shard, slot, method)
    }
    if context.hasDeadline, context.deadlineNanos <= nowNanos { throw .deadlineExceeded }
    return mayGo
  }

  /// Puts a call into its lane's batch, or has it wait where the lane is full, its key's calls are
  /// not through, or its slot's owner is changing.
  ///
  /// - Parameters:
  ///   - key: nil for a call that has no place in a key's order.
  ///   - block: what the request lies in, where it may be kept.
  ///   - context: the shard is told of the deadline.
  func place(
    _ call: consuming PendingCall<Caller>, key: UnsafeRawBufferPointer?, method: UInt32,
    request: UnsafeRawBufferPointer, in block: LargeBlock? = nil, _ context: CallContext
  ) throws(CallError) -> UInt64 {
    let shard = call.shard
    let hasOwner = try admit(shard, slot: call.slot, method, context)
    let restriction =
      method < InternalMethod.firstNumber ? nil : RestrictionMessage.encoded(context)
    guard hasOwner, call.lane == .calls, laneOrder.isEmpty, links[shard].calls.isOpen,
      restriction == nil, context.span == 0
    else {
      return try placeWithCare(
        call, key: key, method: method, request: request, in: block, context, restriction,
        hasOwner: hasOwner)
    }
    let deadlineMillis =
      context.hasDeadline ? links[shard].clock.millis(ofDeadline: context.deadlineNanos) : 0
    let (slot, bytes) = (call.slot, call.bytes)
    let order = links[shard].calls.ordered + 1
    guard let id = calls.insert(call, isOrdered: true, order: order) else {
      throw overloaded(shard)
    }
    laneOrder.smallBegan(slot: slot)
    _ = links[shard].calls.appendCall(bytes: bytes) { frame in
      frame.writeCall(
        .link, id: id, method: method, request: request, timeMillis: deadlineMillis)
    }
    hasOutput(shard, .calls)
    return id
  }

  private func placeWithCare(
    _ call: consuming PendingCall<Caller>, key: UnsafeRawBufferPointer?, method: UInt32,
    request: UnsafeRawBufferPointer, in block: LargeBlock?, _ context: CallContext,
    _ restriction: ByteBuffer?, hasOwner: Bool
  ) throws(CallError) -> UInt64 {
    let (shard, slot, lane, bytes) = (call.shard, call.slot, call.lane, call.bytes)
    if context.span != 0 {
      call.span = beginSpan(
        below: context.span, method, slot: slot, lane, bytes: bytes)
    }
    let span = call.span
    guard let id = calls.insert(call, isOrdered: lane == .calls || key != nil) else {
      if span != 0 { tracer?.end(span, SpanOutcome(of: overloaded(shard))) }
      throw overloaded(shard)
    }
    var isInTurn = true
    if let key, lane == .bulk || !laneOrder.isEmpty {
      let hasOthers = routes[method]?.hasOtherKeys ?? false
      let others = hasOthers ? CommandTable.otherKeys(method: method, in: request) : []
      isInTurn = laneOrder.began(
        id, isLarge: lane == .bulk, key: CrossLaneSequencer.Key(slot: slot, key),
        others: others.map { CrossLaneSequencer.Key(slot: slot, $0) })
    } else if lane == .calls {
      laneOrder.smallBegan(slot: slot)
    }
    // (A part is small.)
    let tail =
      bytes >= linkLimits.handedOverBytesMin && restriction == nil
      ? handedOver(request, block) : nil
    let body = CallBody(
      method: method, deadlineNanos: context.deadlineNanos, tail: tail, restriction: restriction,
      traceContext: traceContext(of: span))
    if isInTurn, hasOwner, links[shard][lane].isOpen {
      let order = links[shard].append(id, body, request, lane: lane, bytes: bytes)
      calls.placed(id, order: order)
      hasOutput(shard, lane)
      return id
    }
    guard links[shard].waitingBytes < linkLimits.waitingBytesMax else {
      if let call = calls.remove(id) {
        forget(id, call)
        endSpan(call, overloaded(shard))
      }
      throw overloaded(shard)
    }
    wait(
      id, body, tail == nil ? ByteBuffer(bytes: request) : ByteBuffer(),
      for: !isInTurn ? .turn : hasOwner ? .room : .owner)
    return id
  }

  /// A request that is to be sent from where it lies. One that is less than half of its block is
  /// not: it would keep more memory than it counts for.
  private func handedOver(
    _ request: UnsafeRawBufferPointer, _ block: LargeBlock?
  ) -> OwnedBytes? {
    guard let owned = OwnedBytes(request, in: block) else { return nil }
    return owned.count >= owned.block.capacity / 2 ? owned : nil
  }

  // MARK: - Time

  /// Does what is due. Call it at `nextWakeupNanos`, or whenever convenient.
  package func tick() {
    let nowNanos = nowNanos
    for shard in links.indices {
      if let due = attemptAtNanos(shard), due <= nowNanos { connect(shard) }
      dropUngreeted(shard, nowNanos: nowNanos)
      if let due = links[shard].movesDueNanos, due <= nowNanos { stay(shard) }
    }
    mapTick(nowNanos: nowNanos)
    giveUpParked(nowNanos: nowNanos)
    while let id = waiting.nextOverdue(nowNanos: nowNanos) { refuseOverdue(id) }
    while let id = calls.nextOverdue(nowNanos: nowNanos) { endOverdue(id) }
    while let operation = operations.nextOverdue(nowNanos: nowNanos) {
      operation.fanout.finish(.failed(.deadlineExceeded))
    }
    finishEvent()
  }

  var nowNanos: UInt64 { clock() }

  /// When `tick` is to be called next, in nanoseconds of the clock that is passed in.
  package var nextWakeupNanos: UInt64? {
    var next = calls.dueNanos
    if let due = operations.dueNanos { next = min(next ?? .max, due) }
    if let due = waiting.dueNanos { next = min(next ?? .max, due) }
    if let due = parkedCalls.dueNanos { next = min(next ?? .max, due) }
    // (In place: a link that is copied costs a look at each of its parts.)
    for shard in 0..<links.count {
      if let attempt = attemptAtNanos(shard) { next = min(next ?? .max, attempt) }
      if links[shard].state.phase == .greeting {
        next = min(next ?? .max, links[shard].helloDueNanos)
      }
      if let due = links[shard].movesDueNanos { next = min(next ?? .max, due) }
    }
    if let due = mapDueNanos { next = min(next ?? .max, due) }
    return next
  }

  private func endOverdue(_ id: UInt64) {
    guard let call = calls[id], case .caller(let caller) = call.target else { return }
    let hasBegun = streams.hasBegun(id)
    measure(call, isError: true)
    endSpan(call, .deadlineExceeded)
    withdraw(id)
    if hasBegun {
      driver.failAnswer(caller, error: .deadlineExceeded)
    } else {
      driver.fail(caller, error: .deadlineExceeded)
    }
  }

  // MARK: - Ending calls

  /// Takes a call that has ended out of everything but the table and its lane's counts.
  func forget(_ id: UInt64, _ call: PendingCall<Caller>) {
    if call.isWaiting { stopWaiting(id, call) }
    if call.isOrdered { leaveOrder(id, call) }
    if call.reply != .whole { endStream(id, call) }
  }

  @inline(__always)
  func leaveOrder(_ id: UInt64, _ call: borrowing PendingCall<Caller>) {
    if call.lane == .calls {
      laneOrder.smallEnded(id, slot: call.slot)
    } else {
      laneOrder.largeEnded(id)
    }
  }

  /// Tells the caller of a call that it has failed; an operation when the current event has been
  /// dealt with.
  func tellFailure(_ call: PendingCall<Caller>, _ error: CallError) {
    measure(call, isError: true)
    endSpan(call, error)
    switch call.target {
    case .caller(let caller): driver.fail(caller, error: error)
    case .part(let fanout, let tag):
      operations.note(.init(fanout: fanout, tag: tag, error: error))
    case .abandoned: break
    }
  }

  func overloaded(_ shard: Int) -> CallError {
    .overloaded(
      "Shard \(links[shard].shardID) has more calls under way than it can take; try later.")
  }

  /// Does what the event just dealt with has left to do: sends calls whose turn has come, and
  /// tells operations of parts that failed while they were being sent. Each failure may lead to
  /// further sends, which may fail as well; every operation sends a bounded number of parts.
  func finishEvent() {
    while true {
      if let id = laneOrder.nextRelease() {
        turnCame(id)
      } else if let failed = operations.nextFailure() {
        failed.fanout.failed(failed.tag, failed.error)
      } else {
        return
      }
    }
  }
}
