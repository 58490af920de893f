// Clients' calls: from the gRPC server into the core.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

extension RouterService {
  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    MethodRegistry.method(path: path, servesLink: false)
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    let method = UInt32(truncatingIfNeeded: call.methodID)
    guard CommandTable.shape(ofMethod: method) != .other else {
      fanout(call, message)
      return
    }
    let id = core.submit(
      method, message: message, deadlineNanos: nil, timeoutMillis: timeLeftMillis(call),
      caller: .unary(call))
    if let id { call.tag = id }
  }

  func streamOpened(_ call: ServerCall) {
    guard call.methodID == CommandID.pipeline.rawValue else {
      let error = MethodRegistry.unservedError(call.methodID)
      call.fail(error?.status ?? RPCStatus(.unimplemented))
      return
    }
    call.context = RouterPipeline(call: call)
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    guard let pipeline = call.context as? RouterPipeline else { return }
    pipeline.receive(message) { place($0, of: pipeline) }
    eventHandled()
  }

  func streamHalfClosed(_ call: ServerCall) {
    (call.context as? RouterPipeline)?.halfClosed()
  }

  func streamWritable(_ call: ServerCall) {
    (call.context as? RouterPipeline)?.flush()
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    if let pipeline = call.context as? RouterPipeline {
      pipeline.clientWentAway()
    } else if CommandTable.shape(ofMethod: UInt32(truncatingIfNeeded: call.methodID)) != .other {
      core.cancel(call.tag)
    } else {
      core.cancelOperation(call.tag)
    }
  }

  private func fanout(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    guard let id = CommandID(rawValue: call.methodID) else {
      call.fail(RPCStatus(.unimplemented))
      return
    }
    do throws(CallError) {
      let operation = try OperationFactory.make(
        id, message: message, limits: core.limits, describe: describe)
      if let handle = core.start(operation, caller: .unary(call)) { call.tag = handle }
      eventHandled()
    } catch {
      call.fail(error.status)
    }
  }

  private func place(_ next: CallView, of pipeline: RouterPipeline) {
    do throws(CallError) {
      if let field = next.unservedField { throw .unservedField(field) }
      if next.hasUnknownField { throw .unknownField }
      guard CommandTable.shape(ofMethod: next.method) != .other else {
        throw .unbatchable(method: next.method)
      }
    } catch {
      pipeline.fail(next.id, error: error)
      return
    }
    let deadline =
      next.timeoutMillis == 0
      ? nil : NIODeadline.now().uptimeNanoseconds + UInt64(next.timeoutMillis) * 1_000_000
    _ = core.submit(
      next.method, message: next.request, deadlineNanos: deadline,
      timeoutMillis: next.timeoutMillis, caller: .pipelined(pipeline, id: next.id))
  }

  /// What is left of a call's deadline, in milliseconds; 0 where there is none.
  private func timeLeftMillis(_ call: ServerCall) -> UInt32 {
    guard let deadline = call.deadlineNanos else { return 0 }
    let now = NIODeadline.now().uptimeNanoseconds
    return deadline <= now ? 1 : UInt32(clamping: (deadline - now) / 1_000_000 + 1)
  }
}
