// Clients' calls: from the front into the core, which executes them at once. One event loop.

import Commands
import Front
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing
import Users

extension ShardService: Dispatcher {
  var limits: Limits { core.limits }
  var replyMemory: MemoryBudget { core.replyMemory }

  func unary(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    _ principal: Principal?, span: UInt32
  ) -> UInt64? {
    // The server's own limit is the links', which carry a batch around a client's message.
    guard message.count <= core.limits.maxMessageBytes else {
      call.fail(CallError.requestTooLarge(message.count, core.limits).status)
      return nil
    }
    let method = UInt32(truncatingIfNeeded: call.methodID)
    var id: UInt64?
    response.clear()
    var context = core.context(
      principal, deadlineNanos: call.deadlineNanos ?? 0, nowNanos: flusher.scheduler.tickNanos)
    context.span = span
    if span != 0 { core.executes(span) }
    do throws(CallError) {
      if let later = try core.execute(
        method, message, in: block, into: &response, largerThan: core.limits.bulkBytesMin, context)
      {
        let reply = keep(method, 0, for: .unary(call))
        id = begin(later, method, ByteBuffer(bytes: message), context, reply)
      } else if core.gate.holds(core.latestMark) {
        if span != 0 { core.tracer?.note("waits for the log", in: span) }
        id = holdResponse(to: call, method)
      } else {
        response.withUnsafeReadableBytes { call.respond(message: $0) }
      }
    } catch {
      core.failed(method, error, context)
      if core.gate.holds(core.latestMark) {
        id = hold(error, for: call, method)
      } else {
        call.fail(error.status)
      }
    }
    core.serveParked()
    core.boundViews()
    afterWork()
    return id
  }

  func submit(_ call: LocalCall, _ request: any KeyedCall, _ context: CallContext) -> UInt64? {
    defer { core.serveParked() }
    let method = UInt32(truncatingIfNeeded: call.command.id.rawValue)
    let deadlineNanos = context.deadlineNanos
    do throws(CallError) {
      var id: UInt64?
      let later = try core.execute(request, largerThan: core.limits.bulkBytesMin, context) {
        guard core.gate.holds(core.latestMark) else { return call.end(.success($0)) }
        // The memory that it points to may change while it is held.
        var copy = ByteBuffer()
        $0.write(into: &copy)
        id = hold(.response(copy), keep(method, deadlineNanos, for: .local(call)))
      }
      guard let later else { return id }
      var encoded: ByteBuffer {
        var bytes = ByteBuffer()
        request.write(into: &bytes)
        return bytes
      }
      return begin(later, method, encoded, context, keep(method, deadlineNanos, for: .local(call)))
    } catch {
      core.failed(method, error, context)
      if core.gate.holds(core.latestMark) {
        return hold(.failed(error), keep(method, deadlineNanos, for: .local(call)))
      }
      call.end(.failure(error))
    }
    return nil
  }

  /// Holds the response that was just made until the gate opens for it.
  @inline(never)
  private func holdResponse(to call: ServerCall, _ method: UInt32) -> UInt64? {
    guard response.readableBytes <= ChunkedReply.bytesMin else {
      return hold(.response(response), keep(method, 0, for: .unary(call)))
    }
    guard let isWrite = mayHold(call, method) else { return nil }
    return response.withUnsafeReadableBytes {
      held(for: core.latestMark).append($0, to: call, isWrite: isWrite)
    }
  }

  @inline(never)
  private func hold(_ error: CallError, for call: ServerCall, _ method: UInt32) -> UInt64? {
    guard let isWrite = mayHold(call, method) else { return nil }
    return held(for: core.latestMark).append(error, to: call, isWrite: isWrite)
  }

  /// Whether the call is a write; nil if its reply can't be held, and the call has got an error.
  private func mayHold(_ call: ServerCall, _ method: UInt32) -> Bool? {
    let isWrite = SubRequest.isWrite(method: method)
    guard core.gate.isFull, !isWrite else { return isWrite }
    call.fail(CallError.heldTooMuch(core.limits).status)
    return nil
  }

  private func held(for mark: ReplyMark) -> HeldUnaryReplies {
    var place = heldUnary.endIndex
    while place > 0, heldUnary[place - 1].mark > mark { place -= 1 }
    if place > 0, heldUnary[place - 1].mark == mark { return heldUnary[place - 1] }
    lastHeldNumber &+= 1
    let held = HeldUnaryReplies(mark, number: lastHeldNumber, core: core) { [unowned self] ended in
      heldUnary.removeAll { $0 === ended }
    }
    heldUnary.insert(held, at: place)
    return held
  }

  private func begin(
    _ later: Remainder, _ method: UInt32, _ request: @autoclosure () -> ByteBuffer,
    _ context: CallContext, _ reply: LaterReply
  ) -> UInt64? {
    core.proceed(
      with: later, of: method, request(), context, to: reply.handle, after: core.latestMark)
    return reply.handle.isOver ? nil : reply.id
  }

  private func hold(_ end: ReplyEnd, _ reply: LaterReply) -> UInt64? {
    reply.handle.end(end, after: core.latestMark)
    return reply.handle.isOver ? nil : reply.id
  }

  func openStream(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, for caller: FrontCaller
  ) -> UInt64? {
    let later = keep(InternalMethod.listStreamPart.rawValue, 0, for: caller)
    var current = core.context(
      context.principal, deadlineNanos: context.deadlineNanos,
      nowNanos: flusher.scheduler.tickNanos)
    current.span = context.span
    core.streamList(message, to: later.handle, current)
    return later.handle.isOver ? nil : later.id
  }

  func start(
    _ command: CommandID, _ operation: any FanoutOperation, _ context: CallContext,
    endsAtDeadline: Bool, for caller: FrontCaller
  ) -> UInt64? {
    let later = keep(
      UInt32(command.rawValue), endsAtDeadline ? context.deadlineNanos : 0, for: caller)
    core.start(operation, for: later.handle, context)
    return later.handle.isOver ? nil : later.id
  }

  // MARK: - Pipelines

  func read(_ batch: UnsafeRawBufferPointer) throws(WireError) { try ahead.read(batch) }

  /// Calls of one Pipeline run in the order sent. While the client does not take the replies, the
  /// rest of the batch waits; a call whose deadline passes meanwhile is not executed. Calls after
  /// one with a later reply wait for it.
  func place(
    _ batch: UnsafeRawBufferPointer, in block: LargeBlock?, of pipeline: FrontPipeline
  ) throws(WireError) -> Int {
    var replies = ByteBuffer()
    swap(&replies, &batchReplies)
    MessageFrame.leaveRoom(in: &replies)
    var context = core.context(pipeline.principal, nowNanos: flusher.scheduler.tickNanos)
    var calls = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    defer {
      ahead.end()
      if replies.capacity <= LinkProtocol.frameBytes { swap(&replies, &batchReplies) }
      core.boundViews()
      afterWork()
    }
    while let message = calls.next() {
      var following = calls
      let call = try ahead.call(message, context) { following.next() }
      let next = call.pointee
      context.deadlineNanos =
        next.timeoutMillis == 0
        ? 0 : pipeline.receivedNanos &+ UInt64(next.timeoutMillis) * 1_000_000
      context.span = 0
      if pipeline.mayTrace, let span = pipeline.trace(next) {
        context.span = span.number
        core.executes(span.number)
      }
      let start = replies.writerIndex
      let later = reply(to: next, in: block, into: &replies, context, of: pipeline)
      var mustWait = false
      if context.span != 0, later == nil { core.replied(context.span, next.methodNumber) }
      if let later {
        mustWait = begin(later, next, &replies, context, of: pipeline)
      } else if core.gate.holds(core.latestMark) {
        hold(next, &replies, since: start, context.deadlineNanos, of: pipeline)
      }
      core.serveParked()
      if replies.readableBytes >= LinkProtocol.frameBytes { pipeline.send(&replies) }
      if mustWait || (replies.readableBytes == 0 && !pipeline.hasRoomForReplies),
        let start = batch.baseAddress, let first = message.baseAddress
      {
        pipeline.send(&replies)
        return start.distance(to: first) + message.count
      }
    }
    pipeline.send(&replies)
    return batch.count
  }

  @inline(__always)
  private func reply(
    to next: V1.Call, in block: LargeBlock?, into replies: inout ByteBuffer, _ context: CallContext,
    of pipeline: FrontPipeline
  ) -> Remainder? {
    do throws(CallError) {
      try pipeline.admit(next)
    } catch {
      core.refused(error)
      if context.span != 0 { core.tracer?.setOutcome(SpanOutcome(of: error), of: context.span) }
      replies.writeReply(.pipeline, id: next.id, error: error)
      return nil
    }
    return core.reply(
      to: next, in: block, into: &replies, largerThan: core.limits.bulkBytesMin, context)
  }

  /// Makes the reply of a call come later. Returns whether later calls must wait for it.
  @inline(never)
  private func begin(
    _ later: Remainder, _ call: V1.Call, _ replies: inout ByteBuffer, _ context: CallContext,
    of pipeline: FrontPipeline
  ) -> Bool {
    var mustWait = true
    if case .wait = later { mustWait = false }
    if mustWait {
      pipeline.send(&replies)
      pipeline.expectLarge(call.id)
    } else {
      pipeline.isLater()
    }
    let reply = keep(
      call.methodNumber, context.deadlineNanos, for: .pipelined(pipeline, id: call.id),
      span: context.span)
    core.proceed(
      with: later, of: call.methodNumber, ByteBuffer(bytes: call.request), context,
      to: reply.handle, after: core.latestMark)
    return mustWait
  }

  @inline(never)
  private func hold(
    _ call: V1.Call, _ replies: inout ByteBuffer, since start: Int, _ deadlineNanos: UInt64,
    of pipeline: FrontPipeline
  ) {
    let held = pipeline.attachment as? HeldReplies ?? HeldReplies(of: pipeline, core: core)
    pipeline.attachment = held
    if held.take(
      from: &replies, since: start, id: call.id, method: call.methodNumber,
      deadlineNanos: deadlineNanos)
    {
      pipeline.isLater()
    }
  }

  func cancelCalls(of pipeline: FrontPipeline) {
    (pipeline.attachment as? HeldReplies)?.drop()
    pipeline.attachment = nil
    for reply in later.values where reply.caller.isPipelined(by: pipeline) { drop(reply) }
    core.boundViews()
  }

  // MARK: - Later replies

  private func keep(
    _ method: UInt32, _ deadlineNanos: UInt64, for caller: FrontCaller, span: UInt32 = 0
  ) -> LaterReply {
    lastID += 1
    let reply = LaterReply(
      lastID, method, deadlineNanos: deadlineNanos, span: span, for: caller, self)
    later[lastID] = reply
    return reply
  }

  func ended(_ reply: LaterReply) { later[reply.id] = nil }

  private func drop(_ reply: LaterReply) {
    later[reply.id] = nil
    reply.handle.drop()
  }

  func cancel(_ id: UInt64) {
    if let number = HeldUnaryReplies.number(of: id) {
      heldUnary.first { $0.has(number) }?.drop(id)
    } else if id > 0, let reply = later[id] {
      drop(reply)
      core.boundViews()
    }
  }

  func endWait(_ id: UInt64) { later[id]?.handle.endWait() }

  func isThisNode(_ node: String) -> Bool { core.isThisNode(node) }

  func endRevokedCalls() {
    for id in later.keys.sorted() { later[id]?.handle.checkCaller() }
    endRevokedLinks()
  }

  func callerTakesMore(_ id: UInt64) { later[id]?.handle.wake() }

  func fail(_ caller: FrontCaller, error: CallError) { caller.fail(error) }

  // MARK: - The node

  func context(of call: CallContext) -> CallContext { core.later(call) }

  var notReadyReason: String? { core.notReadyReason }

  var shardHealth: [(id: String, isServing: Bool)] { [(core.id, notReadyReason == nil)] }

  func describe() -> DescribeMerge {
    DescribeMerge(
      cluster: core.ownership.cluster, map: core.ownership.map, core.lineages, in: encodedMap,
      router: nil, shardIDs: [core.id])
  }

  func fetchCounters() -> EventLoopFuture<Void>? { nil }

  /// Executes calls about this node, also those from routers.
  var administration: NodeAdministration? {
    get { front.administration }
    set {
      front.administration = newValue
      core.nodeCalls = { [unowned self] command, request, rules, end in
        do throws(CallError) {
          guard let response = try administration?.execute(command, request, for: rules)
          else {
            throw .unbatchable(method: UInt32(truncatingIfNeeded: command.rawValue))
          }
          let done = NIOLoopBound((self, end), eventLoop: eventLoop)
          response.whenComplete { outcome in
            let (service, end) = done.value
            end(outcome.mapError { $0 as? CallError ?? .internalError("\($0)") })
            service.afterEvent()
          }
        } catch {
          end(.failure(error))
        }
      }
    }
  }

  func administer(
    _ command: CommandID, _ message: UnsafeRawBufferPointer
  ) -> EventLoopFuture<ByteBuffer>? { nil }

  /// Calls on one key are counted by their execution, and don't come here.
  func countCall(_ method: UInt32) { core.counters.called(method) }

  func countError(_ error: CallError) { core.counters.failed(error) }

  func afterEvent() {
    core.boundViews()
    afterWork()
  }
}

extension FrontPipeline: BatchExit {
  var carrier: Carrier { .pipeline }

  func release(_ frame: ByteBuffer, count: Int) { send(frame, count: count) }
}
