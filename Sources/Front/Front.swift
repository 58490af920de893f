// A node's public API, the same for routers and shards: it receives clients' calls and passes them
// to the dispatcher behind it. Unary calls on one key go directly there; calls made of
// sub-requests, streams and the legacy services are handled here.
//
// On the node's event loop, one for each; its memory is bounded by the connections' limits.

import Commands
import GRPC
import LargeMemory
import LegacyServices
import NIOCore
import NodeCore
import RingstoreAPI
import StandardServices
import Tracing
import Users

package final class Front: ServerService {
  /// Owns this front, so it lives longer.
  unowned(unsafe) let dispatcher: any Dispatcher
  private let links: (any LinkService)?
  /// Health, reflection, channelz, and the pages of probes.
  package let standard: StandardServices
  /// Calls about the node; set once, before the first call.
  package var administration: NodeAdministration?
  /// The users; nil: no restrictions.
  let access: FrontAccess?
  /// The audit log; nil: none.
  let audit: AuditLog?
  /// Whether writes are recorded: checked for each call.
  let notesWrites: Bool
  /// Traces calls; nil: none is traced. Checked for each call.
  let tracer: Tracer?
  package let limits: Limits
  let eventLoop: any EventLoop
  /// Pipelines that have got replies in this tick.
  private var withReplies: [FrontPipeline] = []
  package var isMarkedDirty = false

  /// - Parameters:
  ///   - links: serves routers, on a shard.
  ///   - authorizer: the users; nil: no restrictions.
  ///   - audit: the audit log; nil: none.
  ///   - tracer: the loop's; nil: no call is traced.
  package init(
    _ dispatcher: any Dispatcher, links: (any LinkService)? = nil,
    authorizer: Authorizer? = nil, audit: AuditLog? = nil, tracer: Tracer? = nil,
    eventLoop: any EventLoop
  ) {
    self.dispatcher = dispatcher
    self.links = links
    access = authorizer.map { FrontAccess($0) }
    self.audit = audit
    notesWrites = audit?.notesWrites == true
    self.tracer = tracer
    self.eventLoop = eventLoop
    standard = StandardServices(
      node: dispatcher, servesLink: links != nil, eventLoop: eventLoop)
    limits = dispatcher.limits
    authorizer?.onRevocation = { [unowned self] in
      self.dispatcher.endRevokedCalls()
      self.dispatcher.afterEvent()
    }
  }

  deinit { access?.authorizer.onRevocation = nil }

  /// The users; nil: no restrictions.
  package var authorizer: Authorizer? { access?.authorizer }

  package var loopFlusher: FlushCoalescer? { dispatcher.flusher }

  package func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    MethodRegistry.method(path: path, servesLink: links != nil)
  }

  package func page(path: UnsafeRawBufferPointer) -> ServerPage? { standard.page(path: path) }

  // MARK: - Unary calls

  package func refusal(of call: ServerCall) -> RPCStatus? {
    guard let access else { return nil }
    do throws(CallError) {
      try checkBeforeMessage(of: call, access)
      return nil
    } catch {
      if tracer != nil, call.context == nil { _ = trace(call, nil) }
      dispatcher.countError(error)
      return error.status
    }
  }

  package func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    guard call.methodID < CallNumbers.local.lowerBound else {
      return unaryWithCare(call, message)
    }
    // Before the call may be refused, so that refusals are traced too.
    let span = tracer == nil ? 0 : trace(call, message)
    var principal: Principal?
    if let access {
      do throws(CallError) {
        principal = try access.admit(call)
      } catch {
        return refuse(call, error)
      }
    }
    if notesWrites { follow(call, message, of: principal) }
    let id = dispatcher.unary(call, message, in: block(of: message, call), principal, span: span)
    if let id { call.tag = id }
  }

  private func unaryWithCare(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    do throws(CallError) {
      if let standard = StandardMethod(rawValue: call.methodID) {
        try checkMayCall(standard, call)
        guard message.count <= limits.maxMessageBytes else {
          throw .requestTooLarge(message.count, limits)
        }
        return self.standard.unary(call, message: message)
      }
      let span = tracer == nil ? 0 : trace(call, message)
      let principal = try access?.admit(call)
      if message.count > limits.maxMessageBytes {
        call.fail(CallError.requestTooLarge(message.count, limits).status)
      } else if LegacyMethod.contains(call.methodID) {
        LegacyCall.start(call, message: message, on: self, principal, span: span)
      } else {
        dispatcher.countCall(UInt32(truncatingIfNeeded: call.methodID))
        startOperation(call, message, principal, span: span, for: .unary(call))
      }
    } catch {
      refuse(call, error)
    }
    dispatcher.afterEvent()
  }

  /// Whether a call of the standard services may be made: some need no permission, the others
  /// `admin`.
  private func checkMayCall(_ method: StandardMethod, _ call: ServerCall) throws(CallError) {
    guard let access, !method.isOpenToAll else { return }
    try checkMayCallStandard(try access.admit(call))
  }

  /// The calls of the standard services that aren't open to all.
  func checkMayCallStandard(_ principal: Principal) throws(CallError) {
    guard principal.permissions.contains(.admin) else {
      throw principal.mayNotCall("channelz", needs: .admin)
    }
  }

  /// Ends a call whose caller is refused.
  private func refuse(_ call: ServerCall, _ error: CallError) {
    dispatcher.countError(error)
    call.fail(error.status)
  }

  /// Records a write on one key when it ends.
  @inline(never)
  private func follow(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, of principal: Principal?
  ) {
    guard let id = CommandID(rawValue: call.methodID), let command = CommandTable.command(id),
      let audit, audit.notes(command)
    else { return }
    audit.follow(call, command, message, key: AuditLog.key(command, message), of: principal)
  }

  /// The block that contains a large message, which may be kept.
  @inline(__always)
  private func block(of message: UnsafeRawBufferPointer, _ call: ServerCall) -> LargeBlock? {
    message.count >= LargeBlock.bytesMin ? call.messageBlock : nil
  }

  private func startOperation(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, _ principal: Principal?, span: UInt32,
    for caller: FrontCaller
  ) {
    guard let command = CommandID(rawValue: call.methodID) else {
      return call.fail(RPCStatus(.unimplemented))
    }
    var audited: AuditedReply?
    if let audit, let definition = CommandTable.command(command), audit.notes(definition) {
      audited = audit.follow(call, definition, message, of: principal)
    }
    var context = dispatcher.context(
      of: CallContext(principal, deadlineNanos: call.deadlineNanos))
    context.span = span
    if command == .stats, let counters = dispatcher.fetchCounters() {
      let copy = ByteBuffer(bytes: message)
      let pending = PendingCall()
      call.context = pending
      let bound = NIOLoopBound((self, call, caller, pending, context), eventLoop: eventLoop)
      return counters.whenComplete { _ in
        let (front, call, caller, pending, context) = bound.value
        guard !pending.isOver else { return }
        let id = copy.withUnsafeReadableBytes {
          front.start(command, $0, in: nil, context, endsAtDeadline: false, for: caller)
        }
        if let id { call.tag = id }
        front.dispatcher.afterEvent()
      }
    }
    let id = start(
      command, message, in: block(of: message, call), context, endsAtDeadline: false, for: caller,
      audited)
    if let id { call.tag = id }
  }

  /// Starts a call that is made of sub-requests. Returns its id; nil if its reply was sent.
  ///
  /// - Parameters:
  ///   - context: as `Dispatcher.context` has made it.
  ///   - audited: gets the reply of a call about a node; nil: the call isn't recorded.
  func start(
    _ command: CommandID, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    _ context: CallContext, endsAtDeadline: Bool, for caller: FrontCaller,
    _ audited: AuditedReply? = nil
  ) -> UInt64? {
    do throws(CallError) {
      guard context.isInTime else { throw .deadlineExceeded }
      if command == .reload || command == .acceptLoss {
        try KeyAccess.check(command == .reload ? Command.reload : Command.acceptLoss, context)
        if let response = try dispatcher.administer(command, message) {
          respond(caller, response)
          return nil
        }
      }
      if let response = try administer(command, message, context) {
        respond(caller, response, audited)
        return nil
      }
      let operation = try OperationFactory.make(
        command, message: message, in: block, context, limits: limits,
        describe: dispatcher.describe)
      if let audited, audited.isWanted, let call = operation as? NodeCallOperation {
        call.onReply = { audited.received($0) }
      }
      return dispatcher.start(
        command, operation, context, endsAtDeadline: endsAtDeadline, for: caller)
    } catch {
      dispatcher.fail(caller, error: error)
      return nil
    }
  }

  /// Executes a call about this node; nil: it is none.
  private func administer(
    _ command: CommandID, _ message: UnsafeRawBufferPointer, _ context: CallContext
  ) throws(CallError) -> EventLoopFuture<ByteBuffer>? {
    guard let administration, let definition = CommandTable.command(command),
      let node = try CallTarget.node(of: command, message), dispatcher.isThisNode(node)
    else { return nil }
    try KeyAccess.check(definition, context)
    return try administration.execute(command, message, for: context.rules)
  }

  /// Replies to a call when the node has done what it requests.
  private func respond(
    _ caller: FrontCaller, _ response: EventLoopFuture<ByteBuffer>, _ audited: AuditedReply? = nil
  ) {
    let pending = PendingCall()
    if case .unary(let call) = caller { call.context = pending }
    let bound = NIOLoopBound((self, caller, pending, audited), eventLoop: eventLoop)
    response.whenComplete { outcome in
      let (front, caller, pending, audited) = bound.value
      guard !pending.isOver else { return }
      switch outcome {
      case .success(let response):
        if let audited { response.withUnsafeReadableBytes { audited.received($0) } }
        caller.respond(response, memory: front.dispatcher.replyMemory)
      case .failure(let error):
        front.dispatcher.fail(
          caller,
          error: error as? CallError ?? CallError(code: .internal, message: "\(error)"))
      }
      front.dispatcher.afterEvent()
    }
  }

  // MARK: - Streams

  package func streamOpened(_ call: ServerCall) {
    do throws(CallError) {
      if let standard = StandardMethod(rawValue: call.methodID) {
        return try checkMayCall(standard, call)
      }
      let isPipeline = call.methodID == CommandID.pipeline.rawValue
      let tracing = isPipeline ? tracePipeline(call) : .off
      let caller = try access?.streamCaller(call)
      if call.methodID == MethodRegistry.linkID {
        try caller?.checkIsRouter()
        links?.linkOpened(call, caller)
        return
      }
      dispatcher.countCall(UInt32(truncatingIfNeeded: call.methodID))
      if isPipeline { call.context = FrontPipeline(call, self, caller, tracing) }
    } catch {
      refuse(call, error)
    }
  }

  package func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if call.methodID == MethodRegistry.linkID {
      links?.link(call, received: message)
      return
    }
    if message.count > limits.maxMessageBytes {
      end(call, CallError.requestTooLarge(message.count, limits).status)
    } else if let pipeline = call.context as? FrontPipeline {
      pipeline.receive(message, in: block(of: message, call))
    } else if StandardMethod.contains(call.methodID) {
      return standard.stream(call, received: message)
    } else if call.context == nil {
      call.context = StartedStream.shared
      startStream(call, message)
    } else {
      end(call, RPCStatus(.unimplemented, "the call takes one request"))
    }
    dispatcher.afterEvent()
  }

  private func startStream(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    do throws(CallError) {
      let span = tracer == nil ? 0 : trace(call, message)
      let principal = try access?.admit(call)
      guard call.methodID == CommandID.lRangeStream.rawValue else {
        return startOperation(call, message, principal, span: span, for: .stream(call))
      }
      var context = CallContext(principal, deadlineNanos: call.deadlineNanos)
      context.span = span
      let id = dispatcher.openStream(message, context, for: .stream(call))
      if let id { call.tag = id }
    } catch {
      refuse(call, error)
    }
  }

  /// Ends a stream whose client violates the protocol.
  private func end(_ call: ServerCall, _ status: RPCStatus) {
    callLeft(call)
    call.fail(status)
  }

  package func streamHalfClosed(_ call: ServerCall) {
    if call.methodID == MethodRegistry.linkID {
      links?.linkHalfClosed(call)
    } else if let pipeline = call.context as? FrontPipeline {
      pipeline.halfClosed()
    } else if StandardMethod.contains(call.methodID) {
      standard.streamHalfClosed(call)
    } else if call.context == nil {
      call.fail(RPCStatus(.unimplemented, "the request is missing"))
    }
  }

  package func streamWritable(_ call: ServerCall) {
    if call.methodID == MethodRegistry.linkID {
      links?.linkWritable(call)
      return
    }
    if let pipeline = call.context as? FrontPipeline {
      pipeline.resume()
    } else if let reply = call.context as? ChunkedReply {
      reply.resume()
    } else if let legacy = call.context as? LegacyCall {
      legacy.writable()
    } else if StandardMethod.contains(call.methodID) {
      return standard.streamWritable(call)
    } else {
      dispatcher.callerTakesMore(call.tag)
    }
    dispatcher.afterEvent()
  }

  package func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    if call.methodID == MethodRegistry.linkID {
      links?.linkEnded(call)
      return
    }
    if StandardMethod.contains(call.methodID) { return standard.ended(call) }
    callLeft(call)
    // Calls that waited for this one may have been sent, or have failed.
    flushPipelines()
    dispatcher.afterEvent()
  }

  private func callLeft(_ call: ServerCall) {
    if let pipeline = call.context as? FrontPipeline {
      pipeline.clientWentAway()
    } else if let pending = call.context as? PendingCall {
      pending.isOver = true
      dispatcher.cancel(call.tag)
    } else if let legacy = call.context as? LegacyCall {
      legacy.ended()
    } else {
      dispatcher.cancel(call.tag)
    }
  }

  // MARK: - Pipelines

  /// A Pipeline has received replies, or may continue.
  @inline(__always)
  func hasReplies(_ pipeline: FrontPipeline) {
    withReplies.append(pipeline)
    dispatcher.flusher.markDirty(self)
  }

  func pipelineEnded(_ pipeline: FrontPipeline) {
    if pipeline.hasCalls || pipeline.attachment != nil { dispatcher.cancelCalls(of: pipeline) }
  }

  /// Sends the replies that Pipelines have got, and lets them continue as far as their clients and
  /// their bounds allow.
  package func flushPipelines() {
    guard !withReplies.isEmpty else { return }
    let pipelines = withReplies
    withReplies.removeAll(keepingCapacity: true)
    for pipeline in pipelines { pipeline.resume() }
  }
}

extension Front: Flushable {
  package func flushNow() {
    flushPipelines()
    dispatcher.afterEvent()
  }
}

/// The context of a streaming call once its one request has arrived.
final class StartedStream: Sendable {
  static let shared = StartedStream()
}

/// What the context of a call is that has not been started yet.
final class PendingCall {
  var isOver = false
}
