// Calls on many keys and on every shard that a client makes to a shard itself: unary ones, and Scan,
// whose reply is a stream. One event loop.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

/// A unary call that is carried out as an operation.
final class FanoutCall: ShardCall, FanoutCaller {
  private let parts: LocalParts
  private var handle: UInt64 = 0
  /// A large response on its way.
  private var answer: AnswerInPieces?

  init(_ call: ServerCall, _ parts: LocalParts) {
    self.parts = parts
    super.init(call)
  }

  func start(_ operation: any FanoutOperation) {
    handle = parts.start(operation, for: self)
  }

  override func ended() {
    call = nil
    answer = nil
    parts.cancel(handle)
  }

  override func writable() {
    answer?.goOn()
  }

  // MARK: - The operation's caller

  func emit(_ message: ByteBuffer) {}
  var isWritable: Bool { true }
  func finishStream() {}

  func finish(_ response: ByteBuffer) {
    guard let ended = call else { return }
    call = nil
    if response.readableBytes > AnswerInPieces.bytesMin {
      let answer = AnswerInPieces(
        response, to: ended, holding: parts.answerMemory.hold(response.readableBytes))
      self.answer = answer
      answer.start()
    } else {
      response.withUnsafeReadableBytes { ended.respond(message: $0) }
    }
  }

  func fail(_ error: CallError) {
    fail(error.status)
  }
}

/// A call with one request and a stream of replies that is carried out as an operation.
final class FanoutStream: ShardCall, FanoutCaller {
  private let parts: LocalParts
  private let make: (UnsafeRawBufferPointer) throws(CallError) -> any FanoutOperation
  private var handle: UInt64 = 0
  private var hasStarted = false

  /// - Parameter make: makes the operation of the request.
  init(
    _ call: ServerCall, _ parts: LocalParts,
    make: @escaping (UnsafeRawBufferPointer) throws(CallError) -> any FanoutOperation
  ) {
    self.parts = parts
    self.make = make
    super.init(call)
  }

  override func received(_ message: UnsafeRawBufferPointer) {
    guard !hasStarted else {
      parts.cancel(handle)
      return fail(CallError.notOneRequest)
    }
    hasStarted = true
    do throws(CallError) {
      guard message.count <= parts.limits.maxMessageBytes else {
        throw .requestTooLarge(message.count, parts.limits)
      }
      handle = parts.start(try make(message), for: self)
    } catch {
      fail(error)
    }
  }

  override func halfClosed() {
    if !hasStarted { fail(CallError.notOneRequest) }
  }

  override func writable() {
    parts.callerWritable(handle)
  }

  override func ended() {
    call = nil
    parts.cancel(handle)
  }

  // MARK: - The operation's caller

  func emit(_ message: ByteBuffer) {
    call?.send { $0.writeImmutableBuffer(message) }
  }

  var isWritable: Bool { hasRoom }

  func finishStream() {
    finish()
  }

  func finish(_ response: ByteBuffer) {
    emit(response)
    finish()
  }

  func fail(_ error: CallError) {
    fail(error.status)
  }
}
