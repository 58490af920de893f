// The core of a router's event loop: calls are routed, sent, matched with their replies, and failed
// when a shard is lost.
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
// Waiting data and its limits: calls that wait for space or for order (RouterCore+Waiting,
// LinkLimits), for values at their shards (RouterCore+Parked, the shards' Limits.parkedCallsMax),
// chunked replies (RouterCore+Replies), all calls in progress (CallTable).

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
  /// The slot of a call without a key.
  static var noSlot: UInt16 { UInt16(Slots.count) }

  let identity: RouterIdentity
  package let limits: Limits
  let keyLimits: KeyLimits
  package let linkLimits: LinkLimits
  /// Owns this core, so it lives longer.
  unowned(unsafe) let driver: Driver

  var links: LinkTable
  var agreement: MapAgreement
  /// Slots whose owner is changing; see RouterCore+Map.
  var holds = SlotHolds()
  var care = AdmissionCare()
  /// A change of the list of shards in progress.
  var change: MapChange?
  /// What is on record of the shards' data.
  package internal(set) var lineages = LineageRecords()
  /// A loss that is being accepted.
  var acceptance: LossAcceptance?
  var calls = CallTable<Caller>()
  var sequencer = CrossLaneSequencer(slotCount: Slots.count)
  private let clock: () -> UInt64
  let routes = CommandTable.routes

  /// The calls that wait, by id, and when each is refused.
  var waiting = WaitingCalls()
  /// The buffer in which local calls are encoded, kept for the next one up to a size.
  private var encoded = ByteBuffer()
  private static var encodedKeptMax: Int { 64 << 10 }

  /// Calls that wait for values at their shards.
  var parkedCalls = ParkedCallTable()
  /// What RandomKey is drawn by.
  var random: SplitMix64
  var streams = StreamedReplies()
  var operations = OperationTable<RouterFanout<Driver>>()
  package let replyMemory: MemoryBudget
  /// Durations of clients' calls, and slow and large calls.
  package let meter: CallMeter
  /// Keeps the spans of traced calls; nil: none is traced.
  package var tracer: Tracer?
  /// How long calls waited that could not be sent at once.
  var linkWaits = DurationCounts()

  /// - Parameters:
  ///   - firstGeneration: a number no earlier run of this router's loop has reached.
  ///   - seed: for the jitter of reconnects and for random keys.
  ///   - slowLog: the settings for slow and large calls.
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
    keyLimits = KeyLimits(limits)
    replyMemory = MemoryBudget(bytesMax: limits.replyMemoryBytesMax)
    self.linkLimits = linkLimits
    self.driver = driver
    links = LinkTable(map, linkLimits, firstGeneration: firstGeneration, seed: seed)
  }

  /// The map that calls are placed by.
  package var map: SlotMap { agreement.current }
  package var mapEpoch: UInt64 { map.epoch }
  /// The shards of the cluster, in the map's order.
  package var shardIDs: [String] { links.members.map { links[$0].shardID } }

  /// The driver's. It holds this core, so no reference to it is counted here.
  @inline(__always)
  var tickNanos: UInt64 {
    Unmanaged.passUnretained(driver)._withUnsafeGuaranteedRef { $0.tickNanos }
  }

  /// Calls without a reply, including those whose callers have disconnected.
  package var callsUnderWay: Int { calls.count }

  // MARK: - Calls of clients

  /// Takes a call on one key. Returns its id while it is in progress, or nil if it has already got
  /// its reply.
  ///
  /// - Parameters:
  ///   - block: the block that contains the message, if it may be kept.
  ///   - context: the caller and the deadline, on the core's clock.
  ///   - endsAtDeadline: whether the core ends the call at its deadline; otherwise the driver does.
  package func submit(
    _ method: UInt32, message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    _ context: CallContext, endsAtDeadline: Bool, caller: Caller
  ) -> UInt64? {
    do throws(CallError) {
      guard let route = routes[method] else { throw .unbatchable(method: method) }
      try KeyAccess.check(method: method, route.access, context)
      let target = try KeyAccess.read(message, route.keyFields, context, keyLimits)
      if route.hasOtherKeys {
        try KeyAccess.checkOthers(method: method, message, target.database, context, keyLimits)
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

  /// Takes a local call on one key, and encodes it, because it leaves the process here. Otherwise
  /// as above.
  package func submit(
    _ call: any KeyedCall, _ context: CallContext, endsAtDeadline: Bool, caller: Caller
  ) -> UInt64? {
    // Removed first, because a caller that gets an error may make its next call.
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
      try KeyAccess.check(call.key, call.database, context, keyLimits)
      call.write(into: &request)
      let method = UInt32(truncatingIfNeeded: call.command.id.rawValue)
      return try request.withUnsafeReadableBytes { message throws(CallError) in
        if call.command.otherKeys != nil {
          try KeyAccess.checkOthers(method: method, message, call.database, context, keyLimits)
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

  /// Takes a call with a checked key.
  @inline(__always)
  private func submit(
    _ method: UInt32, key: UnsafeRawBufferPointer, _ message: UnsafeRawBufferPointer,
    in block: LargeBlock?, _ context: CallContext, _ endsAtDeadline: Bool, isWrite: Bool,
    _ caller: Caller
  ) throws(CallError) -> UInt64 {
    let slot = Slots.slot(of: key)
    // Created in the argument: a variable would be a copy.
    let id = try place(
      PendingCall<Caller>(
        target: .caller(caller), shard: links.owner(ofSlot: slot), slot: UInt16(slot),
        lane: message.count > limits.bulkBytesMin ? .bulk : .calls,
        isWrite: isWrite, bytes: message.count,
        place: CallNumbers.place(of: Int(method)) ?? -1, startedNanos: tickNanos),
      key: key, method: method, request: message, in: block, context)
    if endsAtDeadline, context.hasDeadline {
      calls.setDeadline(id, context.deadlineNanos)
    }
    return id
  }

  /// Takes an LRangeStream: its reply is emitted message by message as the caller reads it. Returns
  /// its id while it is in progress, or nil if it has already ended.
  ///
  /// It has no place in the order of its key: it reads one view of the list, which is taken at
  /// some moment between the call and its first message.
  ///
  /// - Parameters:
  ///   - message: a ListRange.
  ///   - context: the caller and the deadline, at which the driver ends the call.
  package func openStream(
    message: UnsafeRawBufferPointer, _ context: CallContext, caller: Caller
  ) -> UInt64? {
    do throws(CallError) {
      try KeyAccess.check(Command.lRangeStream, context)
      let target = try KeyAccess.read(message, V1.ListRange.keyFields, context, keyLimits)
      let slot = Slots.slot(of: target.key)
      let call = PendingCall<Caller>(
        target: .caller(caller), shard: links.owner(ofSlot: slot), slot: UInt16(slot), lane: .bulk,
        isWrite: false, bytes: message.count, reply: .stream,
        place: CallNumbers.place(of: CommandID.lRangeStream.rawValue) ?? -1,
        startedNanos: tickNanos)
      let id = try place(
        call, key: nil, method: InternalMethod.listStreamPart.rawValue, request: message, context)
      streams.begin(id, .messages, of: context.principal)
      if calls[id]?.isWaiting == false { ask(id) }
      return id
    } catch {
      driver.fail(caller, error: error)
      return nil
    }
  }

  /// The caller of a call or an operation has disconnected, or its deadline has passed: the reply
  /// is no longer needed.
  package func cancel(_ id: UInt64) {
    if let operation = operations[id] { operation.fanout.drop() } else { withdraw(id) }
    finishEvent()
  }

  /// Cancels the calls of all callers that a closure selects. O(the maximum number of calls in
  /// progress so far).
  package func cancelCalls(where isGone: (Caller) -> Bool) {
    let ids = calls.ids { call in
      if case .caller(let caller) = call.target { return isGone(caller) }
      return false
    }
    for id in ids { withdraw(id) }
    finishEvent()
  }

  /// Cancels a call: a waiting one is removed, a sent one is abandoned and cancelled at the shard.
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
      // The shard releases it when the router no longer lists it.
      _ = calls.remove(id)
      return
    }
    calls.abandon(id)
    links[call.shard][call.lane].cancel(id)
    // A shard takes the first cancel of a call that has waited for one that crossed the notice.
    if call.reply == .inParts { links[call.shard][call.lane].cancel(id) }
    hasOutput(call.shard, call.lane)
  }

  // MARK: - Placing calls

  /// The only check of "may this call run now", before it is routed: for a client's call, a part of
  /// a fan-out, a slice of a walk. Space is checked later: an admitted call may wait for it.
  ///
  /// - Throws: SHARD_UNAVAILABLE, DEADLINE_EXCEEDED.
  /// - Returns: whether it may go now; otherwise it waits until its slot has its new owner.
  @inline(__always)
  private func admit(
    _ shard: Int, slot: UInt16, _ method: UInt32, _ context: CallContext
  ) throws(CallError) -> Bool {
    var mayGo = true
    if !links[shard].state.isReady || care.isNeeded {
      mayGo = try admitWithCare(shard, slot, method)
    }
    if context.hasDeadline, context.deadlineNanos <= nowNanos { throw .deadlineExceeded }
    return mayGo
  }

  /// Puts a call into its lane's batch, or makes it wait if the lane is full, earlier calls on its
  /// key are in progress, or its slot's owner is changing.
  ///
  /// - Parameters:
  ///   - key: nil for a call that has no place in a key's order.
  ///   - block: the block that contains the request, if it may be kept.
  ///   - context: the deadline is sent to the shard.
  func place(
    _ call: consuming PendingCall<Caller>, key: UnsafeRawBufferPointer?, method: UInt32,
    request: UnsafeRawBufferPointer, in block: LargeBlock? = nil, _ context: CallContext
  ) throws(CallError) -> UInt64 {
    let shard = call.shard
    let hasOwner = try admit(shard, slot: call.slot, method, context)
    let restriction =
      method < InternalMethod.firstNumber ? nil : RestrictionMessage.encoded(context)
    guard hasOwner, call.lane == .calls, sequencer.isEmpty, links[shard].calls.isOpen,
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
    sequencer.smallBegan(slot: slot)
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
    if let key, lane == .bulk || !sequencer.isEmpty {
      let hasOthers = routes[method]?.hasOtherKeys ?? false
      let others = hasOthers ? CommandTable.otherKeys(method: method, in: request) : []
      isInTurn = sequencer.began(
        id, isLarge: lane == .bulk, key: CrossLaneSequencer.Key(slot: slot, key),
        others: others.map { CrossLaneSequencer.Key(slot: slot, $0) })
    } else if lane == .calls {
      sequencer.smallBegan(slot: slot)
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

  /// A request that is sent from its block. A request of less than half of its block is copied
  /// instead: it would keep more memory than is counted for it.
  private func handedOver(
    _ request: UnsafeRawBufferPointer, _ block: LargeBlock?
  ) -> OwnedBytes? {
    guard let owned = OwnedBytes(request, in: block) else { return nil }
    return owned.count >= owned.block.capacity / 2 ? owned : nil
  }

  // MARK: - Time

  /// Does the work that is due. Call it at `nextWakeupNanos`, or at any other time.
  package func tick() {
    let nowNanos = nowNanos
    for shard in links.indices {
      if let due = attemptAtNanos(shard), due <= nowNanos { connect(shard) }
      dropUngreeted(shard, nowNanos: nowNanos)
      if let due = links[shard].moveDueNanos, due <= nowNanos { moveOverdue(shard) }
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

  /// When `tick` must be called next, in nanoseconds of the clock that is passed in.
  package var nextWakeupNanos: UInt64? {
    var next = calls.dueNanos
    if let due = operations.dueNanos { next = min(next ?? .max, due) }
    if let due = waiting.dueNanos { next = min(next ?? .max, due) }
    if let due = parkedCalls.dueNanos { next = min(next ?? .max, due) }
    // (In place: a link that is copied costs a look at each of its parts.)
    for shard in 0..<links.count {
      if let attempt = attemptAtNanos(shard) { next = min(next ?? .max, attempt) }
      if links[shard].state.phase == .greeting {
        next = min(next ?? .max, links[shard].hello.dueNanos)
      }
      if let due = links[shard].moveDueNanos { next = min(next ?? .max, due) }
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
      driver.failReply(caller, error: .deadlineExceeded)
    } else {
      driver.fail(caller, error: .deadlineExceeded)
    }
  }

  // MARK: - Ending calls

  /// Removes an ended call from everything except the table and its lane's counts.
  func forget(_ id: UInt64, _ call: PendingCall<Caller>) {
    if call.isWaiting { stopWaiting(id, call) }
    if call.isOrdered { leaveOrder(id, call) }
    if call.reply != .whole { endStream(id, call) }
  }

  @inline(__always)
  func leaveOrder(_ id: UInt64, _ call: borrowing PendingCall<Caller>) {
    if call.lane == .calls {
      sequencer.smallEnded(id, slot: call.slot)
    } else {
      sequencer.largeEnded(id)
    }
  }

  /// Tells the caller of a call that it has failed; an operation when the current event has been
  /// dealt with.
  func reportFailure(_ call: PendingCall<Caller>, _ error: CallError) {
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
      "Shard \(links[shard].shardID) has too many calls in progress; try later.")
  }

  /// Does the remaining work of an event: sends released calls, and reports parts that failed while
  /// they were being sent to their operations. Each failure may lead to further sends, which may
  /// fail as well; every operation sends a bounded number of parts.
  func finishEvent() {
    while true {
      if let id = sequencer.nextRelease() {
        turnReached(id)
      } else if let failed = operations.nextFailure() {
        failed.fanout.failed(failed.tag, failed.error)
      } else {
        return
      }
    }
  }
}
