// The exit of a later reply to a client's call or a local call. One event loop.

import Commands
import Front
import NIOCore
import NodeCore

final class LaterReply: ReplyExit {
  /// Stands for the call in the service.
  let id: UInt64
  let caller: FrontCaller
  /// Made with `self` as its exit, so it can't be there before.
  private(set) var handle: ReplyHandle!
  private unowned let service: ShardService
  /// Bytes of a chunked reply.
  private var byteCount = 0
  /// A reply that the caller needs complete is collected; otherwise this is a chunk.
  private var bytes = ByteBuffer()
  /// Whether the call waits for a value.
  private var isParked = false

  /// - Parameters:
  ///   - deadlineNanos: when the call ends, on the core's clock; 0: never, or the server enforces
  ///     it.
  ///   - span: the number of the span of a Pipeline's call; 0: none. (Other spans end with the
  ///     client's call.)
  init(
    _ id: UInt64, _ method: UInt32, deadlineNanos: UInt64, span: UInt32, for caller: FrontCaller,
    _ service: ShardService
  ) {
    self.id = id
    self.caller = caller
    self.service = service
    handle = ReplyHandle(
      id, to: self, method: method, deadlineNanos: deadlineNanos, span: span, core: service.core)
  }

  func takes(_ reply: ReplyHandle) -> Bool {
    guard caller.takesMore(id) else { return false }
    if case .local(let call) = caller, !call.isReplyExpected {
      caller.expect(byteCount)
      bytes.reserveCapacity(byteCount)
    }
    return true
  }

  func parked(_ reply: ReplyHandle, _ call: ParkedCall) -> Bool {
    guard caller.parks() else { return false }
    isParked = true
    // A Pipeline may be in the middle of another large reply when this one arrives.
    if case .pipelined = caller { call.bytesMin = .max }
    return true
  }

  private func endParking() {
    if isParked { caller.unparks() }
    isParked = false
  }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    endParking()
    self.byteCount = byteCount
    caller.begin(byteCount: byteCount)
  }

  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    switch caller {
    case .stream(let call): call.send(write)
    case .local: write(&bytes)
    case .unary, .pipelined:
      bytes.clear()
      write(&bytes)
      bytes.withUnsafeReadableBytes { caller.append($0) }
    }
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    service.ended(self)
    endParking()
    switch end {
    case .failed(let error): caller.fail(error)
    case .response(let response): caller.respond(response, memory: service.core.replyMemory)
    case .complete:
      if case .local(let call) = caller {
        call.respond(bytes)
      } else {
        caller.finish()
      }
    }
  }
}
