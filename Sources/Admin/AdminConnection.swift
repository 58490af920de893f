// One connection of the admin port, between the socket (or TLS) and NIO's HTTP/1.1 parser: counts
// the bytes of a request, and closes a client that is too slow in anything.
//
//   socket -> [TLS] -> AdminConnection -> parser -> AdminExchange
//
//   idle --bytes come--> receiving --the request is whole--> responding --the reply is made-->
//   writing --the socket has taken it--> idle
//
// Event loop of the port.

import GRPC
import Logging
import NIOCore
import NIOHTTP1
import NodeCore

final class AdminConnection: ChannelDuplexHandler, SweptConnection {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// How much is lost when the connection is closed: the least comes last.
  struct Idleness: Comparable {
    /// Its client has shown a credential.
    let isOfUser: Bool
    /// A page is being made for it, or isn't read.
    let isBusy: Bool
    /// How long nothing has happened.
    let nanos: UInt64

    static func < (one: Self, other: Self) -> Bool {
      if one.isOfUser != other.isOfUser { return one.isOfUser }
      if one.isBusy != other.isBusy { return one.isBusy }
      return one.nanos < other.nanos
    }
  }

  private enum Phase {
    case idle
    case receiving
    case responding
    case writing
  }

  let loop: AdminLoop
  let peer: PeerIdentity
  private let place: ConnectionPlace
  private let writer: SocketWriter
  private var context: ChannelHandlerContext?
  private var phase = Phase.idle
  private var sinceNanos: UInt64
  /// Of the request that is coming.
  private var requestBytes = 0
  /// The last bytes received, the latest of them lowest.
  private var latestBytes: UInt32 = 0
  /// The input was malformed and has been refused: nothing more is read or written.
  private var isOver = false
  /// Whether the latest request that needed a user had a token or a certificate.
  var hasShownCredential = false
  private var wasCut = false
  /// Whether the client has closed its side: it may still read the reply to what it has sent.
  private var isInputClosed = false
  /// Whether the page that is being made is for a script in a browser, which never closes its side
  /// only: when it does, it has gone.
  private var isForScripts = false
  var listIndex = -1

  init(
    _ loop: AdminLoop, place: ConnectionPlace, peer: PeerIdentity, writer: SocketWriter
  ) {
    self.loop = loop
    self.place = place
    self.peer = peer
    self.writer = writer
    sinceNanos = loop.eventLoop.now.uptimeNanoseconds
  }

  // MARK: - Life

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    var parserLimits = NIOHTTPDecoderLimitConfiguration()
    parserLimits.maxHeaderFieldSize = loop.limits.requestBytesMax
    parserLimits.maxHeaderListSize = loop.limits.requestBytesMax
    parserLimits.maxHeaderFieldCount = loop.limits.requestFieldsMax
    let pipeline = context.pipeline.syncOperations
    do {
      try pipeline.configureHTTPServerPipeline(
        position: .after(self), withEncoderConfiguration: HTTPResponseEncoder.Configuration(),
        withDecoderLimitConfiguration: parserLimits)
      try pipeline.addHandler(AdminExchange(self))
    } catch {
      loop.logger.error("a connection can't be set up", metadata: ["error": "\(error)"])
      return context.closeSoon()
    }
    loop.add(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    loop.logger.debug("admin connection failed", metadata: ["error": "\(error)"])
    context.closeSoon()
  }

  private func end() {
    place.close()
    guard context != nil else { return }
    context = nil
    loop.remove(self)
  }

  /// Closes the connection, and says why in the log.
  func cut(_ reason: ConnectionEnd) {
    guard let context, !wasCut else { return }
    wasCut = true
    loop.connections.ended(reason)
    // Now and not when it is closed: a new connection may be about to take it.
    place.close()
    loop.logger.log(
      level: reason == .idle ? .debug : .warning, "cutting an admin connection",
      metadata: [
        "peer": "\(context.remoteAddress?.shown ?? "unknown")", "reason": "\(reason.name)",
      ])
    context.closeSoon()
  }

  func drain() -> EventLoopFuture<Void> {
    guard let context else { return loop.eventLoop.makeSucceededVoidFuture() }
    let end = context.channel.closeFuture
    // A reply in progress is marked as the last.
    if phase == .idle || phase == .receiving { context.closeSoon() }
    return end
  }

  // MARK: - Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard !isOver else { return }
    requestBytes += buffer.readableBytes
    for byte in buffer.readableBytesView.suffix(3) { latestBytes = latestBytes << 8 | UInt32(byte) }
    if phase == .idle { enter(.receiving) }
    context.fireChannelRead(wrapInboundOut(buffer))
    if !peer.isEncrypted { loop.receiveBuffer.recycle(buffer) }
    // After the parser: bytes that it has parsed as a whole request no longer count. A request that
    // arrives during the reply to another stays in the parser, which reads no more until it is its
    // turn.
    if requestBytes > loop.limits.requestBytesMax, phase == .receiving, !isOver {
      loop.counters.responded("other", 431)
      context.write(wrapOutboundOut(Self.tooLarge), promise: nil)
      context.flush()
      isOver = true
      cut(.protocolError)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent {
      isInputClosed = true
      if phase == .idle || phase == .receiving || isForScripts { context.closeSoon() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  private static let tooLarge = ByteBuffer(
    string: "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
      + "Content-Length: 0\r\n\r\n")

  // MARK: - Writing

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isOver else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    guard writer.isAboveTLS else { return context.write(data, promise: promise) }
    var bytes = unwrapOutboundIn(data)
    writer.write(&bytes, context, taken: promise)
  }

  // MARK: - Events of the exchange

  func requestIsWhole() {
    requestBytes = 0
    isForScripts = false
    enter(.responding)
  }

  func beginsPage(_ route: AdminRoute) {
    isForScripts = route.isForScripts
    if isForScripts, isInputClosed { closeSoon() }
  }

  func beginsToWrite() { enter(.writing) }

  /// Part of the next request may have arrived already; its time limit begins here.
  func hasWritten() {
    if phase == .writing { enter(endsWithARequest ? .idle : .receiving) }
  }

  /// Whether the last bytes received end a request: a blank line, as requests have no body.
  private var endsWithARequest: Bool {
    latestBytes & 0xffff == 0x0a0a || latestBytes & 0xff_ffff == 0x0a0d0a
  }

  /// The next request would have come by now, if it was there.
  func requestsMayBeOver() {
    if phase == .idle || phase == .receiving, isInputClosed { closeSoon() }
  }

  /// The input is malformed and the error handler has replied. It may do so again at the end of the
  /// input, which is dropped.
  func isRefused() {
    isOver = true
    closeSoon()
  }

  func closeSoon() { context?.closeSoon() }

  private func enter(_ next: Phase) {
    phase = next
    sinceNanos = loop.eventLoop.now.uptimeNanoseconds
  }

  // MARK: - Time

  /// What speaks for closing it for a new connection; nil: it must not be closed, because a user
  /// waits for a page or reads one.
  func idleness(nowNanos: UInt64) -> Idleness? {
    guard !wasCut else { return nil }
    let nanos = nowNanos > sinceNanos ? nowNanos - sinceNanos : 0
    let isBusy = phase == .responding || phase == .writing
    if isBusy, hasShownCredential, nanos < loop.limits.busyNanosMin { return nil }
    return Idleness(isOfUser: hasShownCredential, isBusy: isBusy, nanos: nanos)
  }

  func sweep(nowNanos: UInt64) {
    let nanos = nowNanos > sinceNanos ? nowNanos - sinceNanos : 0
    switch phase {
    case .idle: if nanos > loop.limits.idleNanosMax { cut(.idle) }
    case .receiving: if nanos > loop.limits.requestNanosMax { cut(.slowHeaders) }
    // The exchange handles it.
    case .responding: break
    case .writing: if nanos > loop.limits.writeNanosMax { cut(.unreadReplies) }
    }
  }
}
