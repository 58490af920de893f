// Calls that are made on the loop from within (CallPort): they take the way of clients' unary calls,
// with the core to end them at their deadlines, and with large replies gathered.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension RouterService: CallPort {
  var limits: Limits { core.limits }
  var answerMemory: AnswerMemory { core.answerMemory }

  @discardableResult
  func call(
    _ command: CommandID, request: ByteBuffer, _ context: CallContext,
    for caller: (any CallPortCaller)?, reply: @escaping (Result<ByteBuffer, CallError>) -> Void
  ) -> PortCall? {
    let method = UInt32(truncatingIfNeeded: command.rawValue)
    let call = PortCall(command, for: caller, reply: reply)
    let now = NIODeadline.now().uptimeNanoseconds
    let context = PortCall.bounded(context, nowNanos: now)
    nodeCounters.called(method)
    if request.readableBytes > limits.maxMessageBytes {
      fail(.local(call), error: .requestTooLarge(request.readableBytes, limits))
    } else if CommandTable.command(command)?.isStreaming != false {
      fail(.local(call), error: PortCall.notOneReply(command))
    } else if !context.isInTime {
      fail(.local(call), error: .deadlineExceeded)
    } else if CommandTable.keyFields(ofMethod: method) != nil {
      let id = request.withUnsafeReadableBytes { message in
        core.submit(
          method, message: message, context, endsAtDeadline: true, caller: .local(call))
      }
      call.id = id ?? 0
    } else if command == .stats, !loops.isSingle {
      collectStats(call, request, context)
    } else {
      start(call, request, context)
    }
    return call.isOver ? nil : call
  }

  func cancel(_ call: PortCall) {
    guard !call.isOver else { return }
    // Its caller is told to read on, if it had to wait, before the call lets go of him.
    if call.id != 0 { core.cancel(call.id) }
    call.drop()
    flusher.markDirty(self)
  }

  func countError() {
    nodeCounters.failed()
  }

  func callerTakesMore(_ call: PortCall) {
    if !call.isOver, call.id != 0 { core.callerWritable(call.id) }
  }

  private func start(_ call: PortCall, _ request: ByteBuffer, _ context: CallContext) {
    if call.command == .stats, loops.isSingle { counters = ownCounters }
    do throws(CallError) {
      let operation = try request.withUnsafeReadableBytes { message throws(CallError) in
        try OperationFactory.make(
          call.command, message: message, context, limits: limits, describe: describe)
      }
      let handle = core.start(operation, context, caller: .local(call))
      guard let handle else { return }
      call.id = handle
      if context.hasDeadline { core.endOperation(handle, atNanos: context.deadlineNanos) }
      // The end of the tick sees to the wake-up for the deadline.
      flusher.markDirty(self)
    } catch {
      fail(.local(call), error: error)
    }
  }

  /// Stats of a router with several loops: the counters of all of them come first.
  private func collectStats(_ call: PortCall, _ request: ByteBuffer, _ context: CallContext) {
    let bound = NIOLoopBound((self, call), eventLoop: eventLoop)
    loops.counters(on: eventLoop).whenComplete { outcome in
      let (service, call) = bound.value
      guard !call.isOver else { return }
      switch outcome {
      case .success(let counters):
        service.counters = counters
        service.start(call, request, context)
      case .failure(let error):
        service.fail(.local(call), error: .internalError("the counters are gone: \(error)"))
      }
    }
  }
}
