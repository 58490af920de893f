// The receiver of the reply to a call in progress, and how the reply is delivered. Event loop of
// the node.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Users

package enum FrontCaller {
  /// A client's unary call.
  case unary(ServerCall)
  /// A client's call whose reply is a stream.
  case stream(ServerCall)
  /// A call of a client's Pipeline, by the id that the client gave it.
  case pipelined(FrontPipeline, id: UInt64)
  /// A call made on the loop from within.
  case local(LocalCall)

  package func isPipelined(by pipeline: FrontPipeline) -> Bool {
    if case .pipelined(let own, _) = self { return own === pipeline }
    return false
  }

  // MARK: - Whole replies

  /// - Parameter response: valid during the call only.
  package func respond(_ response: UnsafeRawBufferPointer) {
    switch self {
    case .unary(let call), .stream(let call): call.respond(message: response)
    case .pipelined(let pipeline, let id): pipeline.respond(id, response)
    case .local(let call): call.respond(response)
    }
  }

  /// - Parameter memory: the account of finished responses.
  package func respond(_ response: ByteBuffer, memory: MemoryBudget) {
    switch self {
    case .unary(let call) where response.readableBytes > ChunkedReply.bytesMin:
      let pieces = ChunkedReply(
        response, to: call, holding: memory.hold(response.readableBytes))
      call.context = pieces
      pieces.start()
    case .local(let call): call.respond(response)
    default: response.withUnsafeReadableBytes { respond($0) }
    }
  }

  /// Ends a call of any kind with an error, a stream after the messages sent.
  package func fail(_ error: CallError) {
    switch self {
    case .unary(let call), .stream(let call): call.fail(error.status)
    case .pipelined(let pipeline, let id): pipeline.fail(id, error)
    case .local(let call): call.end(.failure(error))
    }
  }

  // MARK: - Replies in pieces, and streams

  /// Begins a reply of `byteCount` bytes, all of which follow in pieces unless it fails. Not for
  /// local calls, which need it complete.
  package func begin(byteCount: Int) {
    switch self {
    case .unary(let call): call.beginMessage(byteCount: byteCount)
    case .pipelined(let pipeline, let id): pipeline.beginLarge(id, byteCount: byteCount)
    case .stream, .local: break
    }
  }

  package func append(_ piece: UnsafeRawBufferPointer) {
    switch self {
    case .unary(let call): call.appendToMessage(piece)
    case .pipelined(let pipeline, _): pipeline.call?.appendToMessage(piece)
    case .stream, .local: break
    }
  }

  /// The last piece was appended, or the last message of a stream sent.
  package func finish() {
    switch self {
    case .unary(let call), .stream(let call): call.finish(.ok)
    case .pipelined(let pipeline, _): pipeline.finishLarge()
    case .local: break
    }
  }

  /// Sends one message of a reply that is a stream.
  package func emit(_ message: UnsafeRawBufferPointer) {
    guard case .stream(let call) = self else { return }
    // This subtracts it from the bytes expected for the call.
    call.beginMessage(byteCount: message.count)
    call.appendToMessage(message)
  }

  /// Whether the caller accepts more of a large or streamed reply. If not, the front calls the node
  /// (`Dispatcher.callerTakesMore`) when it does.
  package func takesMore(_ id: UInt64) -> Bool {
    switch self {
    case .unary(let call), .stream(let call): call.takesMore
    case .pipelined(let pipeline, _): pipeline.takesMore(id)
    // The requested reply is on its way, complete.
    case .local(let call):
      call.isReplyExpected || call.caller?.takesLargeReply(of: call) != false
    }
  }

  /// This many bytes are on their way to this caller; a negative number subtracts them again, when
  /// they have arrived or never will. `takesMore` includes the expected bytes.
  package func expect(_ byteCount: Int) {
    switch self {
    case .unary(let call), .stream(let call):
      // Arriving bytes are subtracted automatically, and the rest when the call ends.
      if byteCount > 0 { call.reserveOutbound(bytes: byteCount) }
    case .pipelined(let pipeline, _): pipeline.expect(byteCount)
    case .local(let call):
      guard byteCount > 0 else { return }
      call.isReplyExpected = true
      call.caller?.expectsLargeReply(of: call, byteCount: byteCount)
    }
  }

  // MARK: - Who calls

  /// The current user of the call; nil: the node has no users.
  ///
  /// - Throws: UNAUTHENTICATED, PERMISSION_DENIED if the user may no longer make it.
  package func principal() throws(CallError) -> Principal? {
    switch self {
    case .unary(let call), .stream(let call):
      try (call.connectionContext as? CallerIdentity)?.principal(call.authorization)
    case .pipelined(let pipeline, _): try pipeline.principal?.standing()
    case .local(let call): try call.caller?.principal?.standing()
    }
  }

  // MARK: - Calls that wait for values

  /// A call of this caller waits for a value from now on: it does not count as in progress. Returns
  /// false if the caller already has the maximum of such calls.
  package func parks() -> Bool {
    switch self {
    case .pipelined(let pipeline, _): return pipeline.parks()
    case .unary(let call), .stream(let call): call.countAsReplied()
    case .local: break
    }
    return true
  }

  /// It no longer waits; its reply comes next.
  package func unparks() {
    if case .pipelined(let pipeline, _) = self { pipeline.unparks() }
  }

  // MARK: - Back-pressure

  /// A call of this caller waits for room: its connection is not read until `resumeReading` was
  /// called equally often.
  package func pauseReading() {
    switch self {
    case .unary(let call), .stream(let call): call.pauseConnection()
    case .pipelined(let pipeline, _): pipeline.hold()
    case .local(let call): call.caller?.pauseReading()
    }
  }

  package func resumeReading() {
    switch self {
    case .unary(let call), .stream(let call): call.resumeConnection()
    case .pipelined(let pipeline, _): pipeline.release()
    case .local(let call): call.caller?.resumeReading()
    }
  }
}
