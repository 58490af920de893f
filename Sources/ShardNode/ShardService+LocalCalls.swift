// Calls that are made on a shard's loop from within (CallPort). Calls on one key are executed at
// once, like those of a client; a large reply is gathered in turns, and calls made of parts run as
// the shard's own fan-outs do. The replies pass the same gate.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension ShardService: CallPort {
  var limits: Limits { core.limits }
  var answerMemory: AnswerMemory { core.answerMemory }

  @discardableResult
  func call(
    _ command: CommandID, request: ByteBuffer, _ context: CallContext,
    for caller: (any CallPortCaller)?, reply: @escaping (Result<ByteBuffer, CallError>) -> Void
  ) -> PortCall? {
    let call = PortCall(command, for: caller, reply: reply)
    do throws(CallError) {
      try request.withUnsafeReadableBytes { message throws(CallError) in
        guard message.count <= limits.maxMessageBytes else {
          throw .requestTooLarge(message.count, limits)
        }
        guard CommandTable.command(command)?.isStreaming == false else {
          throw PortCall.notOneReply(command)
        }
        try begin(call, message, core.later(context))
      }
    } catch {
      call.end(.failure(error))
    }
    core.boundViews()
    afterWork()
    return call.isOver ? nil : call
  }

  func cancel(_ call: PortCall) {
    let exit = call.context as? PortReply
    call.drop()
    exit?.reply?.drop()
    core.boundViews()
    afterWork()
  }

  func countError() {
    core.counters.failed()
  }

  func callerTakesMore(_ call: PortCall) {
    (call.context as? PortReply)?.reply?.wake()
    afterWork()
  }

  private func begin(
    _ call: PortCall, _ message: UnsafeRawBufferPointer, _ context: CallContext
  ) throws(CallError) {
    func laterReply() -> ReplyHandle? {
      let exit = PortReply(call, deadlineNanos: context.deadlineNanos, core: core)
      call.context = exit
      return exit.reply
    }
    guard call.command.rawValue < CallNumbers.local.lowerBound else {
      guard context.isInTime else { throw .deadlineExceeded }
      let operation = try operation(call.command.rawValue, message, context)
      if let reply = laterReply() { core.start(operation, for: reply, context) }
      return
    }
    var response = ByteBuffer()
    do throws(CallError) {
      if let later = try core.execute(
        UInt32(call.command.rawValue), message, into: &response,
        largerThan: core.limits.bulkBytesMin, context)
      {
        if let reply = laterReply() { later.start(reply, after: core.latestMark) }
      } else if core.gate.holds(core.latestMark) {
        laterReply()?.answer(response, after: core.latestMark)
      } else {
        call.end(.success(response))
      }
    } catch {
      core.counters.failed()
      guard core.gate.holds(core.latestMark) else { throw error }
      laterReply()?.fail(error, after: core.latestMark)
    }
  }
}

/// A call made from within that is answered later. Its caller wants a large reply whole, so that is
/// gathered.
final class PortReply: ReplyExit {
  private let call: PortCall
  /// Made with `self` as its exit, so it can't be there before.
  private(set) var reply: ReplyHandle?
  private var byteCount = 0
  private var response = ByteBuffer()

  /// - Parameter deadlineNanos: 0: none.
  init(_ call: PortCall, deadlineNanos: UInt64, core: ShardCore) {
    self.call = call
    reply = ReplyHandle(
      0, to: self, method: UInt32(call.command.rawValue), deadlineNanos: deadlineNanos, core: core)
  }

  func takes(_ reply: ReplyHandle) -> Bool {
    // Once begun it is gathered to its end: what is pinned is free the sooner.
    if response.readableBytes > 0 { return true }
    guard call.caller?.takesLargeReply(of: call) != false else { return false }
    call.caller?.expectsLargeReply(of: call, byteCount: byteCount)
    response.reserveCapacity(byteCount)
    return true
  }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    self.byteCount = byteCount
  }

  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    write(&response)
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    switch end {
    case .response(let response): call.end(.success(response))
    case .complete: call.end(.success(response))
    case .failed(let error): call.end(.failure(error))
    }
  }
}
