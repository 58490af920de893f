// How calls are sent on one connection, and how their results are reported. Each protocol of a load
// is one type of this kind; everything on the connection's event loop.

import GRPC
import NIOCore
import RingstoreAPI
import StatusCodes

/// One connection, from its making to its loss. It is used once.
protocol LoadTransport: AnyObject {
  /// Connects, and calls its owner's `opened` or `lost` later.
  func connect()
  /// Gathers a call, or sends it. Returns the request's bytes.
  func write(_ call: PlannedCall, id: UInt64) -> Int
  /// Sends what was collected.
  func flush()
  /// Ends the connection; the owner gets `lost` as for any other end.
  func close()
}

/// The owner of a transport. Told from within events of the loop, never from within `write`.
protocol LoadTransportOwner: AnyObject {
  func opened()
  /// It accepts no more calls; those in progress continue.
  func goingAway()
  /// A call that is in progress; nil: there is none of this number.
  func call(_ id: UInt64) -> PlannedCall?
  /// A call has its reply and has not ended yet.
  func replied(_ id: UInt64, _ outcome: CallOutcome, received: Int)
  /// The end of such a call.
  ///
  /// - Parameter failure: nil: OK, so that its reply counts.
  func ended(_ id: UInt64, _ failure: CallFailure?, at nowNanos: UInt64)
  /// Reply and end of a call in one.
  func ended(_ id: UInt64, _ outcome: CallOutcome, received: Int, at nowNanos: UInt64)
  /// All results of one read were reported: there may be room for further calls.
  func endedAll(at nowNanos: UInt64)
  /// The connection is gone, and its calls in progress have ended. Called once.
  func lost(_ failure: CallFailure)
}

extension CallFailure {
  init(_ status: RPCStatus) {
    self.init(CallError(code: status.code, message: status.message, details: status.details))
  }

  init(_ error: CallError) {
    self.init(
      code: error.code.name, reason: error.reason?.rawValue ?? "", message: error.message)
  }

  static func unavailable(_ message: String) -> CallFailure {
    CallFailure(code: StatusCode.unavailable.name, message: message)
  }
}

/// The target of a load, and the transport.
package struct LoadTarget: Sendable {
  package let host: String
  package let port: Int
  /// Whose the token is; only RESP sends it.
  let user: String?
  /// Of gRPC connections; lines and RESP use its TLS, token and time for connecting.
  let connection: ClientConfiguration

  package init(
    host: String, port: Int, tls: ClientTLS?, user: String? = nil, token: String?,
    _ settings: LoadSettings
  ) {
    self.host = host
    self.port = port
    self.user = user
    var connection = ClientConfiguration()
    connection.tls = tls
    connection.token = token
    connection.acceptsGzip = false
    // A batch of replies is closed when it has grown past 256 KiB, and the last may be the longest.
    connection.maxMessageBytes = max(4 << 20, settings.values.bytesMax + (64 << 10)) + (512 << 10)
    self.connection = connection
  }
}
