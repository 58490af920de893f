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
    case .local(let call):
      call.end(.success(ByteBuffer(bytes: response)))
    }
  }

  func answer(_ caller: RouterCaller, response: ByteBuffer) {
    switch caller {
    case .unary(let call) where response.readableBytes > AnswerInPieces.bytesMin:
      let pieces = AnswerInPieces(
        response, to: call, holding: core.answerMemory.hold(response.readableBytes))
      call.context = pieces
      pieces.start()
    case .local(let call):
      call.end(.success(response))
    default:
      response.withUnsafeReadableBytes { answer(caller, response: $0) }
    }
  }

  func fail(_ caller: RouterCaller, error: CallError) {
    nodeCounters.failed()
    switch caller {
    case .unary(let call), .stream(let call):
      call.fail(error.status)
    case .pipelined(let pipeline, let id):
      pipeline.fail(id, error: error)
      gotReply(pipeline)
    case .local(let call):
      call.end(.failure(error))
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
      if call.isWritable, call.connection?.hasOutboundRoom == true { return true }
      call.awaitRoom()
      return false
    case .pipelined(let pipeline, _):
      return pipeline.takesMore(id)
    case .local(let call):
      // What was asked for is on its way, whole.
      return call.isReplyExpected || call.caller?.takesLargeReply(of: call) != false
    }
  }

  func expect(_ byteCount: Int, for caller: RouterCaller) {
    switch caller {
    case .unary(let call), .stream(let call):
      // What comes is taken off by itself, and the rest when the call ends.
      if byteCount > 0 { call.reserveOutbound(bytes: byteCount) }
    case .pipelined(let pipeline, _):
      pipeline.expect(byteCount)
    case .local(let call):
      guard byteCount > 0 else { return }
      call.isReplyExpected = true
      call.caller?.expectsLargeReply(of: call, byteCount: byteCount)
    }
  }

  // MARK: - Back-pressure

  func pauseReading(for caller: RouterCaller) {
    // A call that waits has a time limit; the end of the tick sees to the wake-up.
    flusher.markDirty(self)
    switch caller {
    case .unary(let call), .stream(let call):
      call.pauseConnection()
    case .pipelined(let pipeline, _):
      pipeline.hold()
    case .local(let call):
      call.caller?.pauseReading()
    }
  }

  func resumeReading(for caller: RouterCaller) {
    switch caller {
    case .unary(let call), .stream(let call):
      call.resumeConnection()
    case .pipelined(let pipeline, _):
      pipeline.release()
    case .local(let call):
      call.caller?.resumeReading()
    }
  }
}
