// A connection of a load whose protocol is a stream of bytes, lines or RESP: requests one after
// another, replies in the same order. On its channel's event loop.

import GRPC
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

final class OrderedTransport<Dialect: OrderedDialect>: LoadTransport, ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let target: LoadTarget
  private let dialect: Dialect
  private let eventLoop: any EventLoop
  /// Until it is notified of the end.
  private var owner: (any LoadTransportOwner)?
  private var context: ChannelHandlerContext?
  private var replies: Dialect.Replies
  private var output = ByteBuffer()
  /// The numbers of the calls that were sent and have no reply.
  private var order = CircularBuffer<UInt64>()
  /// The names of the greetings whose replies must arrive before the first call.
  private var greetings = CircularBuffer<String>()
  private var isOpen = false
  private var isLost = false
  private var failure: CallFailure?

  init(
    _ target: LoadTarget, _ dialect: Dialect, eventLoop: any EventLoop,
    owner: any LoadTransportOwner
  ) {
    self.target = target
    self.dialect = dialect
    self.eventLoop = eventLoop
    self.owner = owner
    replies = dialect.makeReplies()
  }

  // MARK: - The connection

  func connect() {
    let timeout = target.connection.connectTimeout
    ClientSocket.connect(
      host: target.host, port: target.port, on: eventLoop, timeout: timeout,
      tls: target.connection.tls, handler: self
    ) { self.tellLost($0) }
    eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      if !self.isOpen { self.giveUp("no reply within \(timeout.nanoseconds / 1_000_000) ms") }
    }
  }

  private func giveUp(_ reason: String) {
    context?.close(promise: nil)
    tellLost(reason)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if isLost { return context.close(promise: nil) }
    for greeting in dialect.greetings {
      output.writeBytes(greeting.request)
      greetings.append(greeting.name)
    }
    flush()
  }

  private func openIfGreeted() {
    guard greetings.isEmpty, !isOpen, !isLost else { return }
    isOpen = true
    // Not from within `connect`. What follows in the same read may be no reply.
    eventLoop.assumeIsolated().execute { if self.failure == nil { self.owner?.opened() } }
  }

  func close() {
    if let context { context.close(promise: nil) } else { tellLost("closed here") }
  }

  private func fail(_ failure: CallFailure) {
    self.failure = self.failure ?? failure
    owner?.goingAway()
    // A channel is not closed from within an event.
    eventLoop.assumeIsolated().execute { self.context?.close(promise: nil) }
  }

  private func tellLost(_ reason: String) {
    guard !isLost else { return }
    isLost = true
    let owner = self.owner
    self.owner = nil
    owner?.lost(failure ?? .unavailable(reason))
  }

  func channelInactive(context: ChannelHandlerContext) {
    tellLost("the peer closed the connection")
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    tellLost("the connection was closed")
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    // A server with TLS closes so when it reads something else.
    let wasReset = (error as? IOError)?.errnoCode == ECONNRESET
    fail(
      .unavailable(
        wasReset ? "the peer closed the connection" : TLSFailure.sentence(error) ?? "\(error)"))
  }

  // MARK: - Requests and replies

  func write(_ call: PlannedCall, id: UInt64) -> Int {
    order.append(id)
    return dialect.write(call, into: &output)
  }

  func flush() {
    guard output.readableBytes > 0, let context else { return }
    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    output = ByteBuffer()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // Nothing is read behind what was no reply.
    guard failure == nil else { return }
    let now = NIODeadline.now().uptimeNanoseconds
    let wasOpen = isOpen
    replies.append(unwrapInboundIn(data))
    do throws(MalformedReply) {
      while failure == nil, try replies.next({ take($0, bytes: $1, at: now) }) {}
    } catch {
      fail(.wrongReply(error.sentence))
    }
    if failure == nil, wasOpen { owner?.endedAll(at: now) }
  }

  private func take(_ reply: Dialect.Replies.Reply, bytes: Int, at now: UInt64) {
    if let greeting = greetings.popFirst() {
      if let refusal = dialect.refusal(of: greeting, reply) { return fail(refusal) }
      return openIfGreeted()
    }
    guard let id = order.popFirst(), let call = owner?.call(id) else {
      return fail(.wrongReply("a reply belongs to no command"))
    }
    owner?.ended(id, dialect.outcome(of: call, reply), received: bytes, at: now)
  }
}
