// The handshake of one accepted connection. It costs very little until a whole record has arrived
// and it is its turn: only then TLS is set up for it. TLS reports the result to HandshakeOutcome,
// above it.
//
//   accepted -> collecting -> waiting for a turn -> a step of TLS -> collecting ... -> over
//
// Thread: the channel's event loop. Retained by the loop's TLSHandshakes until it has ended.

import NIOCore
import NIOSSL
import NIOTLS

final class ServerHandshake {
  /// The bytes that a client may send before its handshake ends: a few certificates, and the first
  /// application data after them. A read may exceed this only at the end of a client's input.
  static let heldBytesMax = 128 << 10
  /// A record's head: its type, two bytes of version, and two of length (RFC 8446 section 5.1).
  private static let headBytes = 5
  private static let handshakeType: UInt8 = 22

  private let handshakes: TLSHandshakes
  let place: ConnectionPlace
  /// Makes the handler of the protocol that is used after the handshake.
  private let makeHandler: (AcceptedConnection) throws -> any ChannelHandler
  let openedNanos: UInt64
  var queueHandle: DeadlineQueue<ServerHandshake>.Handle?

  private var socket: TLSSocketHandler?
  private var context: ChannelHandlerContext?
  private var held = ByteBuffer()
  private var tls: NIOSSLServerHandler?
  /// Whether it waits for its turn. Nothing is read meanwhile.
  private(set) var isWaiting = false
  private(set) var isOver = false
  private var isHandedOver = false

  init(
    _ handshakes: TLSHandshakes, place: ConnectionPlace, nowNanos: UInt64,
    makeHandler: @escaping (AcceptedConnection) throws -> any ChannelHandler
  ) {
    self.handshakes = handshakes
    self.place = place
    self.makeHandler = makeHandler
    openedNanos = nowNanos
  }

  /// Whether TLS has begun with it: then most of its cost is spent.
  var hasBegun: Bool { tls != nil }

  var remoteAddress: String { context?.remoteAddress?.shown ?? "unknown" }

  func join(_ socket: TLSSocketHandler) { self.socket = socket }

  func began(_ context: ChannelHandlerContext) {
    guard !isOver else { return }
    self.context = context
  }

  // MARK: - Input

  func received(_ buffer: ByteBuffer) {
    guard !isOver else { return }
    held.writeImmutableBuffer(buffer)
    // (Nothing has arrived yet if a read is empty.)
    let first = held.getInteger(at: held.readerIndex, as: UInt8.self)
    if !hasBegun, let first, first != Self.handshakeType {
      return end(.handshakeFailed, "the client doesn't use TLS")
    }
    if held.readableBytes > Self.heldBytesMax {
      // TLS has its own limits for the input of a handshake, and the bytes after it are read.
      return hasBegun ? takeStep() : end(.handshakeFailed, "the handshake is too long")
    }
    guard !isWaiting, hasWholeRecord else { return }
    isWaiting = true
    handshakes.waitForTurn(self)
  }

  private var hasWholeRecord: Bool {
    let length = held.getInteger(at: held.readerIndex + 3, as: UInt16.self)
    return length.map { held.readableBytes >= Self.headBytes + Int($0) } ?? false
  }

  /// Its turn has come.
  func takeStep() {
    guard !isOver, isWaiting || hasBegun, let context, let socket else { return }
    if tls == nil {
      let tls = NIOSSLServerHandler(context: handshakes.contexts.context)
      do {
        try context.pipeline.syncOperations.addHandlers(
          [tls, HandshakeOutcome { [weak self] in self?.cameTo($0) }], position: .after(socket))
      } catch {
        return end(nil)
      }
      self.tls = tls
    }
    isWaiting = false
    // The beginning of a record stays here: otherwise the next bytes would be taken for a record.
    guard let records = held.readSlice(length: wholeRecordBytes), records.readableBytes > 0 else {
      return
    }
    let rest = held
    socket.deliver(records, context)
    // After the handshake, input bypasses this handler; the rest is delivered before it.
    if isHandedOver, rest.readableBytes > 0 { socket.deliver(rest, context) }
  }

  private var wholeRecordBytes: Int {
    var end = held.readerIndex
    while let length = held.getInteger(at: end + 3, as: UInt16.self),
      end + Self.headBytes + Int(length) <= held.writerIndex
    {
      end += Self.headBytes + Int(length)
    }
    return end - held.readerIndex
  }

  // MARK: - Result

  private func cameTo(_ result: HandshakeOutcome.Result) {
    guard !isOver else { return }
    switch result {
    case .failed(let error):
      end(.handshakeFailed, TLSFailure.sentence(error) ?? "\(error)")
    case .completed(let name):
      guard name == handshakes.protocolName else {
        return end(
          .wrongALPN,
          handshakes.protocolName.map { "the client must offer the protocol \($0) (ALPN)" }
            ?? "the client offers the protocol \(name ?? "")")
      }
      let certificate = tls?.peerCertificate
      // A session that is resumed shows the certificate that it began with.
      guard certificate.map(handshakes.isValidNow) != false else {
        return end(.handshakeFailed, "the client's certificate has expired")
      }
      handOver(PeerIdentity(isEncrypted: true, names: certificate.map(CertificateNames.of) ?? []))
    }
  }

  /// The protocol's handler takes over the connection, in time for the bytes that TLS has already
  /// decrypted.
  private func handOver(_ peer: PeerIdentity) {
    guard let context, let socket else { return }
    leave()
    isHandedOver = true
    handshakes.completed()
    let connection = AcceptedConnection(
      place: place, peer: peer, openedNanos: openedNanos,
      writer: SocketWriter(above: socket.writer))
    do {
      try context.pipeline.syncOperations.addHandler(makeHandler(connection))
    } catch {
      place.close()
      context.closeSoon()
    }
  }

  /// Closes the connection.
  ///
  /// - Parameter reason: counted and logged; nil: nothing went wrong.
  func end(_ reason: ConnectionEnd?, _ detail: String? = nil) {
    guard !isOver else { return }
    if let reason { handshakes.note(reason, detail, remoteAddress) }
    let context = context
    leave()
    place.close()
    context?.closeSoon()
  }

  /// The client or the system has ended it.
  func connectionGone() {
    guard !isOver else { return }
    handshakes.abandoned()
    leave()
    place.close()
  }

  private func leave() {
    isOver = true
    handshakes.remove(self)
    socket?.handshakeIsOver()
    socket = nil
    context = nil
    tls = nil
    held = ByteBuffer()
  }
}

/// Above TLS until the handshake ends: reports the result once, and removes itself.
final class HandshakeOutcome: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  enum Result {
    /// With the protocol that both sides have agreed on, if they have.
    case completed(String?)
    case failed(any Error)
  }

  private var tell: ((Result) -> Void)?

  init(_ tell: @escaping (Result) -> Void) { self.tell = tell }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .handshakeCompleted(let name)? = event as? TLSUserEvent else {
      return context.fireUserInboundEventTriggered(event)
    }
    take()?(.completed(name))
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let tell = take() else { return context.fireErrorCaught(error) }
    tell(.failed(error))
  }

  func channelInactive(context: ChannelHandlerContext) {
    take()?(.failed(ChannelError.eof))
    context.fireChannelInactive()
  }

  private func take() -> ((Result) -> Void)? {
    defer { tell = nil }
    return tell
  }
}
