// A router loop's connection as a stream of the shard's gRPC server. One event loop; the session
// decides, this class sends.

import Front
import GRPC
import LargeMemory
import Logging
import NIOCore
import NodeCore
import RingstoreAPI

final class LinkStream: LinkPort {
  /// Routers may send PINGs as often as this, to find out whether the shard is alive.
  private static let pingIntervalNanos: UInt64 = 500_000_000

  /// Nil once it has ended: then the object serves another call.
  private(set) var call: ServerCall?
  /// The router, as one of the shard's users; nil: the shard has none.
  private let caller: StreamCaller?
  /// Made with `self` as its port, so it can't be there before.
  private var session: LinkSession?
  private let logger: Logger
  private let refusals: RefusalLog
  private let isDraining: () -> Bool

  init(
    _ call: ServerCall, _ caller: StreamCaller?, core: ShardCore, logger: Logger,
    refusals: RefusalLog,
    isDraining: @escaping () -> Bool
  ) {
    self.caller = caller
    self.logger = logger
    self.refusals = refusals
    self.isDraining = isDraining
    self.call = call
    call.context = self
    let lane = call.metadata.firstText(LinkProtocol.laneMetadata).flatMap(LinkLane.init)
    session = LinkSession(lane ?? .calls, core: core, port: self)
    call.connection?.permitPings(everyNanos: Self.pingIntervalNanos)
  }

  func received(_ frame: UnsafeRawBufferPointer) {
    guard let session, isAdmitted() else { return }
    let block = frame.count >= LargeBlock.bytesMin ? call?.messageBlock : nil
    let after = session.receive(frame, in: block)
    if takeGreeting(), isDraining() { sendDraining() }
    act(after)
  }

  /// Users have lost credentials or rights: ends the link if it is one of theirs.
  func checkCaller() {
    if call != nil { _ = isAdmitted() }
  }

  /// Whether the router still has the permission; ends the link if not.
  private func isAdmitted() -> Bool {
    guard let caller else { return true }
    do throws(CallError) {
      try caller.checkIsRouter()
      return true
    } catch {
      session?.lost()
      fail(error.status)
      return false
    }
  }

  func writable() {
    guard let session else { return }
    act(session.writable())
  }

  /// The router has nothing more to send.
  func halfClosed() {
    session?.lost()
    finish()
  }

  func ended() {
    call = nil
    session?.lost()
  }

  private func finish() {
    let ended = call
    call = nil
    ended?.finish(.ok)
  }

  private func fail(_ status: RPCStatus) {
    let ended = call
    call = nil
    ended?.fail(status)
  }

  func sendDraining() {
    if var frame = session?.drainingFrame() { send(&frame) }
  }

  private func act(_ after: LinkSession.AfterFrame) {
    switch after {
    case .proceed:
      // Reading of the bulk lane continues: it carries credit and cancels.
      guard session?.lane == .calls, let call else { return }
      if isWritable { call.resumeReading() } else { call.pauseReading() }
    case .end(let code, let message):
      fail(RPCStatus(code, message))
    }
  }

  // MARK: - The session's port

  func send(_ frame: inout ByteBuffer) {
    call?.send(&frame)
  }

  var isWritable: Bool { call?.isWritable ?? false }

  var bytesReceived: Int { call?.connection?.bytesReceived ?? 0 }

  func close(_ reason: String) {
    let connection = call?.connection
    logger.warning(
      "closing a router's connection",
      metadata: ["address": "\(connection?.remoteAddress ?? "")", "reason": "\(reason)"])
    fail(RPCStatus(.unavailable, reason))
    connection?.closeNow(.silentLink)
  }

  // MARK: - Log

  /// Logs the result of the latest frame's Hello. Returns whether a router was accepted.
  private func takeGreeting() -> Bool {
    guard let session, let greeting = session.greeting else { return false }
    session.greeting = nil
    let address = call?.connection?.remoteAddress ?? ""
    let lane = session.lane.rawValue
    switch greeting {
    case .accepted(let router, let isNewMap):
      call?.connection?.becomeLink()
      refusals.accepted(router: router)
      logger.info(
        "router connected",
        metadata: [
          "router": "\(router)", "lane": "\(lane)", "address": "\(address)",
          "new_map": "\(isNewMap)",
        ])
      return true
    case .refused(let router, let reason):
      guard refusals.isNews(router: router, reason: reason) else { return false }
      if reason == LinkRefusal.dataLost.rawValue { logger.error("\(ShardCore.lostDetail)") }
      logger.warning(
        "router refused",
        metadata: [
          "router": "\(router)", "lane": "\(lane)", "address": "\(address)", "reason": "\(reason)",
        ])
      return false
    }
  }
}
