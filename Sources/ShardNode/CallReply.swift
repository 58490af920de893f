// A client's call on the shard that is answered later, unary or with a row of replies. One event
// loop.

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

class CallReply: ShardCall, ReplyExit {
  private let core: ShardCore
  private let memory: AnswerMemory
  /// Made with `self` as its exit, so it can't be there before.
  final private(set) var reply: ReplyHandle?
  /// A large response that lies ready, on its way.
  private var answer: AnswerInPieces?
  private var piece = ByteBuffer()

  /// - Parameter memory: the account of large responses that lie ready.
  init(_ call: ServerCall, core: ShardCore, memory: AnswerMemory) {
    self.core = core
    self.memory = memory
    super.init(call)
    // The server watches over the deadline, and tells the client.
    reply = ReplyHandle(0, to: self, method: UInt32(call.methodID), core: core)
  }

  /// Whether each message is sent as it comes.
  var isStream: Bool { false }

  override func writable() {
    if let answer { answer.goOn() } else { reply?.wake() }
  }

  override func ended() {
    call = nil
    answer = nil
    reply?.drop()
  }

  // MARK: - The exit of its reply

  final func takes(_ reply: ReplyHandle) -> Bool { hasRoom }

  final func begin(_ reply: ReplyHandle, byteCount: Int) {
    call?.beginMessage(byteCount: byteCount)
  }

  final func send(
    _ reply: ReplyHandle, _ next: ReplyPiece, _ write: (inout ByteBuffer) -> Void
  ) {
    guard reply.isOneMessage, !isStream else {
      call?.send(write)
      return
    }
    piece.clear()
    write(&piece)
    piece.withUnsafeReadableBytes { call?.appendToMessage($0) }
  }

  final func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    switch end {
    case .complete: finish()
    case .failed(let error): fail(error.status)
    case .response(let response): respond(response)
    }
  }

  private func respond(_ response: ByteBuffer) {
    guard let ended = call else { return }
    if isStream {
      ended.send { $0.writeImmutableBuffer(response) }
      return finish()
    }
    call = nil
    if response.readableBytes > AnswerInPieces.bytesMin {
      let answer = AnswerInPieces(
        response, to: ended, holding: memory.hold(response.readableBytes))
      self.answer = answer
      answer.start()
    } else {
      response.withUnsafeReadableBytes { ended.respond(message: $0) }
    }
  }
}

/// A call with one request and a row of replies.
final class StreamedCall: CallReply {
  private let limits: Limits
  private let begin: (UnsafeRawBufferPointer, ReplyHandle) throws(CallError) -> Void
  private var hasStarted = false

  /// - Parameter begin: begins the call's work.
  init(
    _ call: ServerCall, core: ShardCore, memory: AnswerMemory,
    begin: @escaping (UnsafeRawBufferPointer, ReplyHandle) throws(CallError) -> Void
  ) {
    limits = core.limits
    self.begin = begin
    super.init(call, core: core, memory: memory)
  }

  override var isStream: Bool { true }

  override func received(_ message: UnsafeRawBufferPointer) {
    guard let reply else { return }
    guard !hasStarted else { return refuse(.notOneRequest) }
    hasStarted = true
    do throws(CallError) {
      guard message.count <= limits.maxMessageBytes else {
        throw .requestTooLarge(message.count, limits)
      }
      try begin(message, reply)
    } catch {
      refuse(error)
    }
  }

  override func halfClosed() {
    if !hasStarted { refuse(.notOneRequest) }
  }

  private func refuse(_ error: CallError) {
    reply?.drop()
    fail(error.status)
  }
}

extension CallError {
  /// A call whose reply is a stream takes one message.
  static var notOneRequest: CallError {
    CallError(code: .invalidArgument, message: "The call takes exactly one request.")
  }
}
