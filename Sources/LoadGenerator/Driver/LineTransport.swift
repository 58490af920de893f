// A line connection of a load: requests one after another, replies in the same order. On its
// channel's event loop.

import GRPC
import NIOCore

final class LineTransport: LoadTransport, ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let target: LoadTarget
  private let requests: LoadRequests
  private let database: UInt32
  private let eventLoop: any EventLoop
  /// Until it is notified of the end.
  private var owner: (any LoadTransportOwner)?
  private var context: ChannelHandlerContext?
  private var replies: LineReplies
  private var output = ByteBuffer()
  /// The numbers of the calls that were sent and have no reply.
  private var order = CircularBuffer<UInt64>()
  /// Replies that must arrive before the first call. There is at least one, to PING: the system
  /// accepts connections even for a stalled server.
  private var greetings = 0
  private var isOpen = false
  private var isLost = false
  private var failure: CallFailure?

  init(
    _ target: LoadTarget, _ requests: LoadRequests, _ settings: LoadSettings,
    eventLoop: any EventLoop, owner: any LoadTransportOwner
  ) {
    self.target = target
    self.requests = requests
    self.eventLoop = eventLoop
    self.owner = owner
    database = settings.database
    replies = LineReplies(valueBytesMax: settings.values.bytesMax)
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
    if let token = target.connection.token { greet("*2\r\nAUTH\r\n\(token)\r\n") }
    if database > 0 { greet("*2\r\nSELECT\r\n\(database)\r\n") }
    greet("PING\r\n")
    flush()
  }

  private func greet(_ request: String) {
    output.writeString(request)
    greetings += 1
  }

  private func openIfGreeted() {
    guard greetings == 0, !isOpen, !isLost else { return }
    isOpen = true
    // Not from within `connect`.
    eventLoop.assumeIsolated().execute { self.owner?.opened() }
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
    fail(.unavailable(TLSFailure.sentence(error) ?? "\(error)"))
  }

  // MARK: - Requests and replies

  func write(_ call: PlannedCall, id: UInt64) -> Int {
    order.append(id)
    return requests.writeLines(call, into: &output)
  }

  func flush() {
    guard output.readableBytes > 0, let context else { return }
    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    output = ByteBuffer()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let now = NIODeadline.now().uptimeNanoseconds
    replies.append(unwrapInboundIn(data))
    while failure == nil, replies.next({ take($0, at: now) }) {}
    if replies.isTooLong { fail(.wrongReply("a reply is longer than allowed")) }
    if failure == nil, isOpen { owner?.endedAll(at: now) }
  }

  private func take(_ line: UnsafeRawBufferPointer, at now: UInt64) {
    if greetings > 0 {
      greetings -= 1
      if case .failure(let failure) = LineAnswer(line) { return fail(failure) }
      return openIfGreeted()
    }
    guard let id = order.popFirst(), let call = owner?.call(id) else {
      return fail(.wrongReply("a reply belongs to no command"))
    }
    owner?.ended(
      id, requests.outcome(of: call, line: line), received: line.count + 2, at: now)
  }
}
