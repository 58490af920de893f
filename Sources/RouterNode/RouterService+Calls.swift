// Clients' calls: from the gRPC server into the core.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

extension RouterService {
  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    MethodRegistry.method(path: path, servesLink: false)
  }

  // MARK: - Unary calls

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    let method = UInt32(truncatingIfNeeded: call.methodID)
    guard CommandTable.keyFields(ofMethod: method) != nil else {
      if OlderMethod.contains(call.methodID) {
        OlderCall.start(call, message: message, on: self)
        return
      }
      nodeCounters.called(method)
      if call.methodID == CommandID.reload.rawValue {
        reload(call, message)
      } else if call.methodID == CommandID.stats.rawValue, !loops.isSingle {
        collectStats(call, message)
      } else {
        startOperation(call, message, caller: .unary(call))
      }
      return
    }
    nodeCounters.called(method)
    let id = core.submit(
      method, message: message, in: block(of: message, call),
      CallContext(deadlineNanos: call.deadlineNanos), endsAtDeadline: false, caller: .unary(call))
    if let id { call.tag = id }
  }

  private func startOperation(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, caller: RouterCaller
  ) {
    guard let id = CommandID(rawValue: call.methodID) else {
      call.fail(RPCStatus(.unimplemented))
      return
    }
    if id == .stats, loops.isSingle { counters = ownCounters }
    do throws(CallError) {
      let context = CallContext(deadlineNanos: call.deadlineNanos)
      let operation = try OperationFactory.make(
        id, message: message, in: block(of: message, call), context, limits: core.limits,
        describe: describe)
      let handle = core.start(operation, context, caller: caller)
      if let handle { call.tag = handle }
      flushPipelines()
      eventHandled()
    } catch {
      nodeCounters.failed()
      call.fail(error.status)
    }
  }

  /// The block that a large message lies in, which may be kept.
  private func block(of message: UnsafeRawBufferPointer, _ call: ServerCall) -> LargeBlock? {
    message.count >= LargeBlock.bytesMin ? call.messageBlock : nil
  }

  /// Stats of a router with several loops: the counters of the others come first.
  private func collectStats(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    do throws(CallError) {
      _ = try V1.StatsRequest(decoding: message)
    } catch {
      return fail(.unary(call), error: error)
    }
    let pending = PendingStats()
    call.context = pending
    let bound = NIOLoopBound((self, call, pending), eventLoop: eventLoop)
    loops.counters(on: eventLoop).whenSuccess { counters in
      let (service, call, pending) = bound.value
      guard !pending.isCancelled else { return }
      service.counters = counters
      service.startOperation(call, noBytes, caller: .unary(call))
    }
  }

  // MARK: - Streams

  func streamOpened(_ call: ServerCall) {
    nodeCounters.called(UInt32(truncatingIfNeeded: call.methodID))
    if call.methodID == CommandID.pipeline.rawValue { call.context = RouterPipeline(call: call) }
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if let pipeline = call.context as? RouterPipeline {
      pipeline.receive(message, in: block(of: message, call)) { place($0, in: $1, of: pipeline) }
      if pipeline.call == nil { cancelCalls(of: pipeline) }
      eventHandled()
    } else if call.context == nil {
      call.context = StartedStream.shared
      startStream(call, message)
    } else {
      core.cancel(call.tag)
      call.fail(RPCStatus(.unimplemented, "the call takes one request"))
    }
  }

  private func startStream(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    guard call.methodID == CommandID.lRangeStream.rawValue else {
      startOperation(call, message, caller: .stream(call))
      return
    }
    let id = core.openStream(
      message: message, CallContext(deadlineNanos: call.deadlineNanos), caller: .stream(call))
    if let id { call.tag = id }
  }

  func streamHalfClosed(_ call: ServerCall) {
    if let pipeline = call.context as? RouterPipeline {
      pipeline.halfClosed()
    } else if call.context == nil {
      call.fail(RPCStatus(.unimplemented, "the request is missing"))
    }
  }

  func streamWritable(_ call: ServerCall) {
    if let pipeline = call.context as? RouterPipeline {
      goOn(pipeline)
    } else if let answer = call.context as? AnswerInPieces {
      answer.goOn()
    } else if let older = call.context as? OlderCall {
      older.writable()
    } else {
      core.callerWritable(call.tag)
    }
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    if let pipeline = call.context as? RouterPipeline {
      pipeline.clientWentAway()
      cancelCalls(of: pipeline)
    } else if let pending = call.context as? PendingStats, call.tag == 0 {
      pending.isCancelled = true
    } else if let pending = call.context as? PendingReload {
      pending.isCancelled = true
    } else if let older = call.context as? OlderCall {
      older.ended()
    } else {
      core.cancel(call.tag)
    }
    // Calls that waited for this one's turn or room may have gone out, or failed.
    flushPipelines()
  }

  // MARK: - Pipelines

  /// Sends a Pipeline's replies, and lets it go on as far as its client and its bounds allow.
  func goOn(_ pipeline: RouterPipeline) {
    pipeline.flush()
    pipeline.goOn { place($0, in: $1, of: pipeline) }
    while let id = pipeline.nextAsker() { core.callerWritable(id) }
  }

  private func cancelCalls(of pipeline: RouterPipeline) {
    guard pipeline.hasCalls else { return }
    core.cancelCalls { $0.isPipelined(by: pipeline) }
  }

  private func place(_ next: V1.Call, in block: LargeBlock?, of pipeline: RouterPipeline) {
    let method = next.methodNumber
    nodeCounters.called(method)
    do throws(CallError) {
      if let field = next.unservedField { throw .unservedField(field) }
      if next.hasUnknownField { throw .unknownField }
      guard CommandTable.keyFields(ofMethod: method) != nil else {
        throw .unbatchable(method: method)
      }
    } catch {
      fail(.pipelined(pipeline, id: next.id), error: error)
      return
    }
    var deadline: UInt64?
    if next.timeoutMillis > 0 {
      let since = pipeline.waitingSince ?? .now()
      deadline = since.uptimeNanoseconds + UInt64(next.timeoutMillis) * 1_000_000
    }
    _ = core.submit(
      method, message: next.request, in: block, CallContext(deadlineNanos: deadline),
      endsAtDeadline: true, caller: .pipelined(pipeline, id: next.id))
  }

}
