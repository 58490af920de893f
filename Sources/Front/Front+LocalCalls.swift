// Local calls, made on the loop: they are handled like clients' unary calls, but the node ends them
// at their deadlines, and large replies are collected.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

extension Front: LocalDispatcher {
  package var replyMemory: MemoryBudget { dispatcher.replyMemory }

  @discardableResult
  package func call(
    _ request: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall? {
    let call = LocalCall(request.command, for: caller, reply: reply)
    var context = context
    if tracer != nil { trace(call, request, &context) }
    if let audit, audit.notes(request.command) {
      audit.follow(call, key: AuditLog.shown(request.key), of: context.principal)
    }
    let byteCount = request.byteCount
    if byteCount > limits.maxMessageBytes {
      dispatcher.fail(.local(call), error: .requestTooLarge(byteCount, limits))
    } else {
      call.id = dispatcher.submit(call, request, dispatcher.context(of: context)) ?? 0
    }
    dispatcher.afterEvent()
    return call.isOver ? nil : call
  }

  @discardableResult
  package func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall? {
    let call = LocalCall(command, for: caller, reply: reply)
    var audited: AuditedReply?
    // A page of the admin port that stays open makes the same read again and again.
    if let audit, audit.notes(command), caller != nil || !command.rpc.isReadOnly {
      audited = request.withUnsafeReadableBytes { audit.follow(call, $0, of: context.principal) }
    }
    var context = dispatcher.context(of: context)
    if tracer != nil { trace(call, nil, &context) }
    dispatcher.countCall(UInt32(command.id.rawValue))
    if request.readableBytes > limits.maxMessageBytes {
      dispatcher.fail(.local(call), error: .requestTooLarge(request.readableBytes, limits))
    } else if command.isStreaming || command.routing == .oneKey {
      dispatcher.fail(.local(call), error: LocalCall.notOneReply(command))
    } else if command.id == .stats, let counters = dispatcher.fetchCounters() {
      let bound = NIOLoopBound((self, call, context), eventLoop: eventLoop)
      counters.whenComplete { _ in
        let (front, call, context) = bound.value
        guard !call.isOver else { return }
        front.start(call, request, context)
        front.dispatcher.afterEvent()
      }
    } else {
      start(call, request, context, audited)
    }
    dispatcher.afterEvent()
    return call.isOver ? nil : call
  }

  private func start(
    _ call: LocalCall, _ request: ByteBuffer, _ context: CallContext, _ audited: AuditedReply? = nil
  ) {
    call.id =
      request.withUnsafeReadableBytes {
        start(
          call.command.id, $0, in: nil, context, endsAtDeadline: true, for: .local(call), audited)
      } ?? 0
  }

  package func cancel(_ call: LocalCall) {
    guard !call.isOver else { return }
    // If its caller had to wait, it may read again before the call releases it.
    if call.id != 0 { dispatcher.cancel(call.id) }
    call.drop()
    dispatcher.afterEvent()
  }

  package func endWait(_ call: LocalCall) {
    if !call.isOver, call.id != 0 { dispatcher.endWait(call.id) }
    dispatcher.afterEvent()
  }

  package func countError(_ error: CallError) {
    dispatcher.countError(error)
  }

  package func callerTakesMore(_ call: LocalCall) {
    if !call.isOver, call.id != 0 { dispatcher.callerTakesMore(call.id) }
    dispatcher.afterEvent()
  }
}
