// One call of KVStore or KeyStore: a client's request of the legacy form, the calls of ringstore.v1
// that it means (LegacyCall+Methods.swift), and the reply in the legacy form. Lives on the node's
// event loop, as the context of the client's call.
//
//   begun --step's reply--> next step --...--> replied to
//     |                        |
//     +---- the client went away, or its deadline passed ----> over

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Users

package final class LegacyCall: LocalCaller {
  /// Nil once it has a reply or has ended: then the object serves another call.
  private var call: ServerCall?
  let port: any LocalDispatcher
  private let deadlineNanos: UInt64?
  package let principal: Principal?
  /// The number of the span of the client's call; 0: it isn't traced.
  private let span: UInt32
  /// The call of ringstore.v1 that is in progress.
  private var step: LocalCall?
  /// A large reply that is being sent.
  private var reply: ChunkedReply?

  /// Starts a call whose method is one of `LegacyMethod`.
  ///
  /// - Parameters:
  ///   - principal: the caller; nil: the node has no users.
  ///   - span: the number of the call's span; 0: it isn't traced.
  package static func start(
    _ call: ServerCall, message: UnsafeRawBufferPointer, on port: any LocalDispatcher,
    _ principal: Principal? = nil, span: UInt32 = 0
  ) {
    let legacy = LegacyCall(call, port, principal, span: span)
    call.context = legacy
    guard let method = LegacyMethod(rawValue: call.methodID) else {
      return call.fail(RPCStatus(.unimplemented))
    }
    do throws(CallError) {
      guard message.count <= port.limits.maxMessageBytes else {
        throw .requestTooLarge(message.count, port.limits)
      }
      if let principal { try method.check(principal) }
      try legacy.begin(method, message)
    } catch {
      legacy.refuse(error)
    }
  }

  private init(
    _ call: ServerCall, _ port: any LocalDispatcher, _ principal: Principal?, span: UInt32
  ) {
    self.principal = principal
    self.span = span
    self.call = call
    self.port = port
    deadlineNanos = call.deadlineNanos
  }

  // MARK: - The client's call

  /// The client reads more of a large reply, or the connection has room for one.
  package func writable() {
    if let reply {
      reply.resume()
    } else if let step {
      port.callerTakesMore(step)
    }
  }

  /// The client went away, or its deadline has passed.
  package func ended() {
    call = nil
    reply = nil
    let step = self.step
    self.step = nil
    if let step { port.cancel(step) }
  }

  // MARK: - What a method does

  /// Makes a call of ringstore.v1; `next` gets its reply, valid during the closure only, and
  /// replies or, after reading it, makes another call.
  func make<Request, Reply>(
    _ command: KeyCommand<Request, Reply>, _ request: Request,
    next: @escaping (Reply) throws(CallError) -> Void
  ) {
    var context = CallContext(principal, deadlineNanos: deadlineNanos)
    context.span = span
    let made = port.call(command.call(request), context, for: self) { [self] outcome in
      step = nil
      do throws(CallError) {
        switch outcome {
        case .success(let result):
          guard let reply = Reply(result) else {
            throw .internalError("It is a different kind of reply.")
          }
          try next(reply)
        case .failure(let error): fail(error)
        }
      } catch {
        refuse(error)
      }
    }
    // If the reply came at once, the next one may already be in progress.
    if let made { step = made }
  }

  /// Replies; a reply that no message may carry, or that the node has no memory for, becomes an
  /// error.
  ///
  /// - Parameter isLast: it can't be read again, so it is kept even if other replies hold much
  ///   memory.
  func respond(
    isLast: Bool = false, _ write: (inout ByteBuffer) -> Void
  ) throws(CallError) {
    guard let call else { return }
    var response = ByteBuffer()
    write(&response)
    guard response.readableBytes <= port.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    guard response.readableBytes > ChunkedReply.bytesMin else {
      self.call = nil
      response.withUnsafeReadableBytes { call.respond(message: $0) }
      return
    }
    let memory = port.replyMemory
    let holding =
      isLast
      ? memory.hold(response.readableBytes) : memory.holdIfRoom(response.readableBytes)
    guard let holding else { throw .repliesHoldTooMuch(port.limits) }
    self.call = nil
    let reply = ChunkedReply(response, to: call, holding: holding)
    self.reply = reply
    reply.start()
  }

  /// Ends the call with an error that is not the port's and so was not counted.
  private func refuse(_ error: CallError) {
    port.countError(error)
    fail(error)
  }

  private func fail(_ error: CallError) {
    let ended = call
    call = nil
    ended?.fail(error.status)
  }

  // MARK: - Back-pressure

  package func pauseReading() {
    call?.pauseConnection()
  }

  package func resumeReading() {
    call?.resumeConnection()
  }

  package var peer: String { call?.connection?.remoteAddress ?? "" }

  package func takesLargeReply(of step: LocalCall) -> Bool {
    guard let call else { return true }
    if call.isWritable, call.connection?.hasOutboundRoom == true { return true }
    call.awaitRoom()
    return false
  }

  package func expectsLargeReply(of step: LocalCall, byteCount: Int) {
    call?.reserveOutbound(bytes: byteCount)
  }
}
