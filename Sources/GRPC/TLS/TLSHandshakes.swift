// The handshakes in progress on one event loop of a listener: how many there may be, how long they
// may take, and when each continues. Thousands of clients may connect at once, with good intent or
// not, and a handshake's computing takes as long as hundreds of calls. So:
//
// - Each step waits for its turn, and one handshake at a time is in the loop's queue of turns
//   (LoopScheduler): between two turns the loop serves its sockets, and other work in turns
//   continues. Steps that end a handshake come before those that begin one.
// - When the limit is reached, the oldest is ended for a new one. If the new one were refused
//   instead, a few silent clients could block all others.
// - A client that has gone before its turn has cost nothing.
//
// Thread: the event loop.

import Logging
import NIOCore
import NIOSSL

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a listener's connections are encrypted.
package struct ListenerTLS: Sendable {
  package var contexts: TLSContexts
  /// The protocol that clients must request in their handshake; nil: none.
  package var protocolName: String?
  /// Handshakes in progress, on all event loops of the listener together.
  package var handshakesMax = 1_024
  /// Longest time for a handshake, in nanoseconds.
  package var timeoutNanos: UInt64 = 10 * 1_000_000_000

  package init(_ contexts: TLSContexts, protocolName: String?) {
    self.contexts = contexts
    self.protocolName = protocolName
  }
}

/// The handshakes of one event loop.
package final class TLSHandshakes {
  let contexts: TLSContexts
  let protocolName: String?
  private let openMax: Int
  private let timeoutNanos: UInt64
  private let scheduler: LoopScheduler
  private let connections: NodeConnections
  private let logger: Logger
  private var open = DeadlineQueue<ServerHandshake>()
  private var waiting = CircularBuffer<ServerHandshake>()
  private var hasTurn = false
  private var timer: Scheduled<Void>?

  /// - Parameter loopCount: how many loops share the limit.
  package init(
    _ tls: ListenerTLS, loopCount: Int, scheduler: LoopScheduler, connections: NodeConnections,
    logger: Logger
  ) {
    contexts = tls.contexts
    protocolName = tls.protocolName
    openMax = max(1, tls.handshakesMax / max(1, loopCount))
    timeoutNanos = tls.timeoutNanos
    self.scheduler = scheduler
    self.connections = connections
    self.logger = logger
  }

  /// Those in progress.
  package var count: Int { open.count }

  /// Whether there are as many as there may be.
  var isFull: Bool { open.count >= openMax }

  /// Ends the oldest, which gives up its place; false: there is none.
  func endOldest() -> Bool {
    guard let oldest = open.popExpired(nowNanos: .max) else { return false }
    oldest.queueHandle = nil
    oldest.end(.tooManyHandshakes)
    return true
  }

  /// Has a connection that was just accepted begin with its handshake.
  package func begin(
    _ place: ConnectionPlace, receiveBuffer: SharedReceiveBuffer,
    makeHandler: @escaping (AcceptedConnection) throws -> any ChannelHandler
  ) -> any ChannelHandler {
    if isFull { _ = endOldest() }
    let now = scheduler.nowNanos
    let handshake = ServerHandshake(self, place: place, nowNanos: now, makeHandler: makeHandler)
    handshake.queueHandle = open.insert(deadlineNanos: now &+ timeoutNanos, handshake)
    if timer == nil { arm() }
    let socket = TLSSocketHandler(receiveBuffer: receiveBuffer, handshake: handshake)
    handshake.join(socket)
    return socket
  }

  func remove(_ handshake: ServerHandshake) {
    guard let handle = handshake.queueHandle else { return }
    handshake.queueHandle = nil
    open.remove(handle)
  }

  /// Ends those in progress: none of them carries a call.
  func endAll() {
    while let handshake = open.popExpired(nowNanos: .max) {
      handshake.queueHandle = nil
      handshake.end(nil)
    }
  }

  // MARK: - Turns

  func waitForTurn(_ handshake: ServerHandshake) {
    if handshake.hasBegun { waiting.prepend(handshake) } else { waiting.append(handshake) }
    takeTurn()
  }

  private func takeTurn() {
    guard !hasTurn, !waiting.isEmpty else { return }
    hasTurn = true
    scheduler.yieldThenRun { self.turn() }
  }

  private func turn() {
    hasTurn = false
    // Those that are over cost nothing.
    while let next = waiting.popFirst() {
      if next.isOver { continue }
      next.takeStep()
      break
    }
    takeTurn()
  }

  // MARK: - Time

  /// A timer that is due earlier than needed fires once without effect.
  private func arm() {
    guard let deadline = open.nextDeadlineNanos else { return }
    let eventLoop = scheduler.eventLoop.assumeIsolated()
    timer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(deadline)) {
      self.timer = nil
      let now = self.scheduler.nowNanos
      while let late = self.open.popExpired(nowNanos: now) {
        late.queueHandle = nil
        late.end(.handshakeTimeout)
      }
      self.arm()
    }
  }

  // MARK: - Notes

  func completed() { connections.handshakeCompleted() }

  func abandoned() { connections.handshakeAbandoned() }

  func note(_ reason: ConnectionEnd, _ detail: String?, _ peer: String) {
    connections.ended(reason)
    var metadata: Logger.Metadata = ["peer": "\(peer)", "reason": "\(reason.name)"]
    if let detail { metadata["detail"] = "\(detail)" }
    logger.warning(
      reason.isRefusal ? "refusing a connection" : "cutting a connection", metadata: metadata)
  }

  func isValidNow(_ certificate: NIOSSLCertificate) -> Bool {
    certificate.notValidAfter >= time(nil)
  }
}

extension String.UTF8View {
  fileprivate func drop(suffix byte: UInt8) -> SubSequence {
    last == byte ? self[..<index(before: endIndex)] : self[...]
  }
}

/// Reads the names of a certificate.
enum CertificateNames {
  static func of(_ certificate: NIOSSLCertificate) -> [PeerIdentity.Name] {
    var names: [PeerIdentity.Name] = []
    for name in certificate._subjectAlternativeNames() {
      guard names.count < PeerIdentity.namesMax else { break }
      switch name.nameType {
      case .dnsName: names.append(.dns(String(decoding: name.contents, as: UTF8.self)))
      case .uri: names.append(.uri(String(decoding: name.contents, as: UTF8.self)))
      default: continue
      }
    }
    return names
  }

  /// Whether a certificate is for a host, by its DNS names. An asterisk matches the first label
  /// (RFC 9525 section 6.3).
  static func of(_ certificate: NIOSSLCertificate, have host: String) -> Bool {
    let wanted = host.lowercased().utf8.drop(suffix: UInt8(ascii: "."))
    let rest = wanted.firstIndex(of: UInt8(ascii: ".")).map { wanted[$0...] }
    return certificate._subjectAlternativeNames().contains { name in
      guard name.nameType == .dnsName else { return false }
      let text = String(decoding: name.contents, as: UTF8.self).lowercased()
      let found = text.utf8.drop(suffix: UInt8(ascii: "."))
      if found.elementsEqual(wanted) { return true }
      guard found.first == UInt8(ascii: "*"), let rest, rest.count > 1 else { return false }
      return found.dropFirst().elementsEqual(rest)
    }
  }
}
