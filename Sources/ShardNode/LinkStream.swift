// A router loop's link as a stream of the shard's gRPC server. One event loop; the session it holds
// decides, this class sends.

import GRPC
import Logging
import NIOCore
import NodeCore

final class LinkStream {
  /// Routers may send PINGs as often as this, to find out whether the shard is alive.
  private static let pingIntervalNanos: UInt64 = 500_000_000

  private var session = LinkSession()
  /// The stream; nil once it has ended.
  private var call: ServerCall?
  private let core: ShardCore
  private let logger: Logger

  init(call: ServerCall, core: ShardCore, logger: Logger) {
    self.call = call
    self.core = core
    self.logger = logger
    call.connection.permitPings(everyNanos: Self.pingIntervalNanos)
  }

  var hasEnded: Bool { call == nil }

  func receive(_ frame: UnsafeRawBufferPointer, isDraining: Bool) {
    guard let call else { return }
    let after = session.receive(frame, core) { output in
      call.send { $0.writeImmutableBuffer(output) }
    }
    let isNew = takeGreeting(call)
    switch after {
    case .goOn:
      if isNew, isDraining { sendDraining() }
      if !call.isWritable { call.pauseReading() }
    case .end(let code, let message):
      self.call = nil
      call.finish(RPCStatus(code, message))
    }
  }

  func sendDraining() {
    guard let frame = session.drainingFrame() else { return }
    call?.send { $0.writeImmutableBuffer(frame) }
  }

  /// The router has nothing more to send.
  func finish() {
    let ended = call
    call = nil
    ended?.finish(.ok)
  }

  func connectionLost() {
    call = nil
  }

  /// Logs what the latest frame's Hello led to. Returns whether a router was accepted.
  private func takeGreeting(_ call: ServerCall) -> Bool {
    guard let greeting = session.greeting else { return false }
    session.greeting = nil
    let address = call.connection.remoteAddress
    switch greeting {
    case .accepted(let router, let isNewMap):
      logger.info(
        "router connected",
        metadata: ["router": "\(router)", "address": "\(address)", "new_map": "\(isNewMap)"])
      return true
    case .refused(let router, let reason):
      logger.warning(
        "router refused",
        metadata: ["router": "\(router)", "address": "\(address)", "reason": "\(reason)"])
      return false
    }
  }
}
