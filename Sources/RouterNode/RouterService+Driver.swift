// The core's driver for callers: replies, and back-pressure.

import Front
import NIOCore
import NodeCore
import RingstoreAPI
import Users

extension RouterService: RouterDriver {
  typealias Caller = FrontCaller

  func reply(to caller: FrontCaller, response: UnsafeRawBufferPointer) { caller.respond(response) }

  func reply(to caller: FrontCaller, response: ByteBuffer) {
    caller.respond(response, memory: core.replyMemory)
  }

  func fail(_ caller: FrontCaller, error: CallError) {
    nodeCounters.failed(error)
    caller.fail(error)
  }

  var tickNanos: UInt64 { flusher.scheduler.tickNanos }

  func takesPieces(_ caller: FrontCaller) -> Bool {
    if case .unary = caller { return true }
    return false
  }

  func beginReply(_ caller: FrontCaller, byteCount: Int) { caller.begin(byteCount: byteCount) }

  func appendToReply(_ caller: FrontCaller, _ piece: UnsafeRawBufferPointer) {
    caller.append(piece)
  }

  func finishReply(_ caller: FrontCaller) { caller.finish() }

  func failReply(_ caller: FrontCaller, error: CallError) { fail(caller, error: error) }

  func emit(_ caller: FrontCaller, message: UnsafeRawBufferPointer) { caller.emit(message) }

  func finishStream(_ caller: FrontCaller) { caller.finish() }

  func takesMore(_ caller: FrontCaller, id: UInt64) -> Bool { caller.takesMore(id) }

  func expect(_ byteCount: Int, for caller: FrontCaller) { caller.expect(byteCount) }

  func parked(_ caller: FrontCaller) -> Bool { caller.parks() }

  func principal(of caller: FrontCaller) throws(CallError) -> Principal? {
    try caller.principal()
  }

  func unparked(_ caller: FrontCaller) { caller.unparks() }

  func pauseReading(for caller: FrontCaller) {
    // A call that waits has a time limit; its wake-up is set at the end of the tick.
    flusher.markDirty(self)
    caller.pauseReading()
  }

  func resumeReading(for caller: FrontCaller) { caller.resumeReading() }
}
