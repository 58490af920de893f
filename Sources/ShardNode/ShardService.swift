// A shard's gRPC dispatch: from calls to the core and back. One event loop.

import Commands
import GRPC
import LargeMemory
import Logging
import NIOCore
import NodeCore
import RingstoreAPI

final class ShardService: ServerService {
  let core: ShardCore
  let eventLoop: any EventLoop
  private let logger: Logger
  let flusher: TickFlusher
  private var onShutdown: (() -> Void)?
  @exclusivity(unchecked) private var response = ByteBuffer()
  private var links: [ObjectIdentifier: LinkStream] = [:]
  private let refusals = RefusalLog()
  private var isDraining = false
  @exclusivity(unchecked) private var isTurnScheduled = false
  /// When the next time limit is looked at.
  @exclusivity(unchecked) private var expiryDueNanos = UInt64.max
  private var isWatchScheduled = false

  /// - Parameter onShutdown: called once, on the loop, after a caller has told the node to stop and
  ///   has been answered.
  init(
    core: ShardCore, eventLoop: any EventLoop, logger: Logger, onShutdown: (() -> Void)? = nil
  ) {
    self.core = core
    self.eventLoop = eventLoop
    self.logger = logger
    self.onShutdown = onShutdown
    flusher = TickFlusher(eventLoop: eventLoop)
    core.gate.afterRelease = { [unowned self] in
      core.boundViews()
      afterWork()
    }
  }

  var loopFlusher: TickFlusher? { flusher }

  /// Tells the routers that the shard is leaving; they send nothing new and end their streams. Replies
  /// that are still held after `limit` are given up. Returns whether there may be any.
  func beginDraining(givingUpAfter limit: TimeAmount) -> Bool {
    isDraining = true
    core.state = .draining
    for link in links.values { link.sendDraining() }
    guard core.marks != nil else { return false }
    eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
      core.gate.giveUp()
    }
    return true
  }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    MethodRegistry.method(path: path, servesLink: true)
  }

  // MARK: - Unary calls

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    // The server's own limit is the links', which carry a batch around a client's message.
    guard message.count <= core.limits.maxMessageBytes else {
      call.fail(CallError.requestTooLarge(message.count, core.limits).status)
      return
    }
    if call.methodID < CallNumbers.local.lowerBound {
      oneKey(call, message)
    } else if OlderMethod.contains(call.methodID) {
      OlderCall.start(call, message: message, on: self)
    } else {
      fanout(call, message)
    }
    afterWork()
  }

  private func oneKey(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    response.clear()
    let block = message.count >= LargeBlock.bytesMin ? call.messageBlock : nil
    do throws(CallError) {
      if let later = try core.execute(
        UInt32(call.methodID), message, in: block, into: &response,
        largerThan: core.limits.bulkBytesMin, context(of: call))
      {
        if let reply = laterReply(to: call) { later.start(reply, after: core.latestMark) }
      } else if core.gate.holds(core.latestMark) {
        laterReply(to: call)?.answer(response, after: core.latestMark)
      } else {
        response.withUnsafeReadableBytes { call.respond(message: $0) }
      }
    } catch {
      core.counters.failed()
      if core.gate.holds(core.latestMark) {
        laterReply(to: call)?.fail(error, after: core.latestMark)
      } else {
        call.fail(error.status)
      }
    }
    core.boundViews()
  }

  private func fanout(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    do throws(CallError) {
      let block = message.count >= LargeBlock.bytesMin ? call.messageBlock : nil
      let context = context(of: call)
      let operation = try operation(call.methodID, message, in: block, context)
      if let reply = laterReply(to: call) { core.start(operation, for: reply, context) }
    } catch {
      call.fail(error.status)
    }
  }

  /// The handle of a call that is not answered at once.
  private func laterReply(to call: ServerCall) -> ReplyHandle? {
    CallReply(call, core: core, memory: core.answerMemory).reply
  }

  func operation(
    _ methodID: Int, _ message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    _ context: CallContext
  ) throws(CallError) -> any FanoutOperation {
    guard let id = CommandID(rawValue: methodID) else {
      throw .internalError("call \(methodID) is not made of parts")
    }
    return try OperationFactory.make(
      id, message: message, in: block, context, limits: core.limits,
      describe: {
        DescribeMerge(
          cluster: core.ownership.cluster,
          map: core.ownership.map, router: nil, shardIDs: [core.id])
      })
  }

  // MARK: - Streams

  func streamOpened(_ call: ServerCall) {
    switch call.methodID {
    case MethodRegistry.linkID:
      let link = LinkStream(call, core: core, logger: logger, refusals: refusals) {
        [unowned self] in isDraining
      }
      links[ObjectIdentifier(link)] = link
      scheduleWatch()
    case CommandID.pipeline.rawValue:
      _ = PipelineStream(call, core: core) { [flusher] in flusher.tickNanos }
    case CommandID.lRangeStream.rawValue:
      streamed(call) { [core] message, reply, context throws(CallError) in
        try core.streamList(message, to: reply, context)
      }
    case CommandID.scan.rawValue:
      let methodID = call.methodID
      streamed(call) { [unowned self] message, reply, context throws(CallError) in
        core.start(try operation(methodID, message, context), for: reply, context)
      }
    default:
      call.fail(RPCStatus(.unimplemented))
    }
  }

  private func streamed(
    _ call: ServerCall,
    _ begin:
      @escaping (UnsafeRawBufferPointer, ReplyHandle, CallContext) throws(CallError) -> Void
  ) {
    let deadlineNanos = call.deadlineNanos ?? 0
    _ = StreamedCall(call, core: core, memory: core.answerMemory) {
      [core, flusher] message, reply throws(CallError) in
      try begin(
        message, reply,
        core.context(deadlineNanos: deadlineNanos, nowNanos: flusher.tickNanos))
    }
  }

  /// The context of a client's call that has just come.
  private func context(of call: ServerCall) -> CallContext {
    core.context(deadlineNanos: call.deadlineNanos ?? 0, nowNanos: flusher.tickNanos)
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    guard let handler = call.context as? ShardCall else { return }
    handler.received(message)
    settle(handler)
  }

  func streamHalfClosed(_ call: ServerCall) {
    guard let handler = call.context as? ShardCall else { return }
    handler.halfClosed()
    settle(handler)
  }

  func streamWritable(_ call: ServerCall) {
    guard let handler = call.context as? ShardCall else {
      (call.context as? OlderCall)?.writable()
      return
    }
    handler.writable()
    settle(handler)
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    guard let handler = call.context as? ShardCall else {
      (call.context as? OlderCall)?.ended()
      return
    }
    handler.ended()
    settle(handler)
  }

  private func settle(_ handler: ShardCall) {
    if handler.call == nil { links[ObjectIdentifier(handler)] = nil }
    core.boundViews()
    afterWork()
  }

  // MARK: - Turns

  /// Sees to what the core has left for later. Called after whatever may have given it work.
  func afterWork() {
    if core.hasTurns, !isTurnScheduled {
      isTurnScheduled = true
      flusher.inNextTurn { [self] in
        isTurnScheduled = false
        core.runTurn()
        afterWork()
      }
    }
    if core.hasTimeLimits { scheduleExpiry() }
    if core.shutdownRequested, let onShutdown {
      self.onShutdown = nil
      onShutdown()
    }
  }

  private func scheduleExpiry() {
    guard let dueNanos = core.dueNanos, dueNanos < expiryDueNanos else { return }
    expiryDueNanos = dueNanos
    // What lies beyond the clock's range is looked at again in a year.
    let deadline = min(dueNanos, NIODeadline.now().uptimeNanoseconds &+ 31_536_000_000_000_000)
    eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(deadline)) { [self] in
      // An earlier one may have come after it.
      if expiryDueNanos == dueNanos { expiryDueNanos = .max }
      core.endExpired()
      afterWork()
    }
  }

  /// Looks after the links for as long as need be. The loop looks at its sockets between two
  /// timers.
  private func scheduleWatch() {
    guard !isWatchScheduled else { return }
    isWatchScheduled = true
    let interval = TimeAmount.nanoseconds(Int64(LinkProtocol.clockIntervalNanos))
    eventLoop.assumeIsolated().scheduleTask(in: interval) { [self] in
      isWatchScheduled = false
      core.watchLinks()
      links = links.filter { $0.value.call != nil }
      if !links.isEmpty || core.linksNeedLooks { scheduleWatch() }
      afterWork()
    }
  }
}
