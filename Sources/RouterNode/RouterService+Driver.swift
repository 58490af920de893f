// What the core asks of the world: answers to clients, and back-pressure on them.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

extension RouterService: RouterDriver {
  typealias Caller = RouterCaller

  // MARK: - Answers

  func answer(_ caller: RouterCaller, response: UnsafeRawBufferPointer) {
    switch caller {
    case .unary(let call), .stream(let call):
      call.respond(message: response)
    case .pipelined(let pipeline, let id):
      pipeline.answer(id, response: response)
      gotReply(pipeline)
    }
  }

  func answer(_ caller: RouterCaller, response: ByteBuffer) {
    guard case .unary(let call) = caller, response.readableBytes > AnswerInPieces.bytesMin else {
      response.withUnsafeReadableBytes { answer(caller, response: $0) }
      return
    }
    let pieces = AnswerInPieces(
      response, to: call, holding: core.answerMemory.hold(response.readableBytes))
    call.context = pieces
    pieces.start()
  }

  func fail(_ caller: RouterCaller, error: CallError) {
    nodeCounters.failed()
    switch caller {
    case .unary(let call), .stream(let call):
      call.fail(error.status)
    case .pipelined(let pipeline, let id):
      pipeline.fail(id, error: error)
      gotReply(pipeline)
    }
  }

  private func gotReply(_ pipeline: RouterPipeline) {
    guard pipelinesWithReplies.last !== pipeline else { return }
    pipelinesWithReplies.append(pipeline)
    flusher.markDirty(self)
  }

  // MARK: - Answers in pieces, and streams

  func takesPieces(_ caller: RouterCaller) -> Bool {
    if case .unary = caller { return true }
    return false
  }

  func beginAnswer(_ caller: RouterCaller, byteCount: Int) {
    if case .unary(let call) = caller { call.beginMessage(byteCount: byteCount) }
  }

  func appendAnswer(_ caller: RouterCaller, _ piece: UnsafeRawBufferPointer) {
    if case .unary(let call) = caller { call.appendToMessage(piece) }
  }

  func finishAnswer(_ caller: RouterCaller) {
    if case .unary(let call) = caller { call.finish(.ok) }
  }

  func failAnswer(_ caller: RouterCaller, error: CallError) {
    fail(caller, error: error)
  }

  func emit(_ caller: RouterCaller, message: UnsafeRawBufferPointer) {
    guard case .stream(let call) = caller else { return }
    // In this way it is taken off what was expected for the call.
    call.beginMessage(byteCount: message.count)
    call.appendToMessage(message)
  }

  func finishStream(_ caller: RouterCaller) {
    if case .stream(let call) = caller { call.finish(.ok) }
  }

  func takesMore(_ caller: RouterCaller, id: UInt64) -> Bool {
    switch caller {
    case .unary(let call), .stream(let call):
      if call.isWritable, call.connection.hasOutboundRoom { return true }
      call.awaitRoom()
      return false
    case .pipelined(let pipeline, _):
      return pipeline.takesMore(id)
    }
  }

  func expect(_ byteCount: Int, for caller: RouterCaller) {
    switch caller {
    case .unary(let call), .stream(let call):
      // What comes is taken off by itself, and the rest when the call ends.
      if byteCount > 0 { call.reserveOutbound(bytes: byteCount) }
    case .pipelined(let pipeline, _):
      pipeline.expect(byteCount)
    }
  }

  // MARK: - Back-pressure

  func pauseReading(for caller: RouterCaller) {
    // A call that waits has a time limit; the end of the tick sees to the wake-up.
    flusher.markDirty(self)
    switch caller {
    case .unary(let call), .stream(let call):
      let connection = call.connection
      let waiting = (callsWaiting[ObjectIdentifier(connection)] ?? 0) + 1
      callsWaiting[ObjectIdentifier(connection)] = waiting
      if waiting == 1 { connection.pauseReading() }
    case .pipelined(let pipeline, _):
      pipeline.hold()
    }
  }

  func resumeReading(for caller: RouterCaller) {
    switch caller {
    case .unary(let call), .stream(let call):
      let connection = call.connection
      let waiting = (callsWaiting[ObjectIdentifier(connection)] ?? 1) - 1
      callsWaiting[ObjectIdentifier(connection)] = waiting == 0 ? nil : waiting
      if waiting == 0 { connection.resumeReading() }
    case .pipelined(let pipeline, _):
      pipeline.release()
    }
  }
}
