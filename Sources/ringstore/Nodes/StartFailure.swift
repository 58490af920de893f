// Why a node could not start although its configuration is sound, as one sentence.

import Admin
import GRPC
import Glibc
import LineProtocol
import LogFiles
import NIOCore
import TextForms

package struct StartFailure: Error, Sendable, Hashable {
  package let sentence: String

  /// - Parameter port: the requested one; another one if the error names it.
  package init(_ error: any Error, host: String, port: Int) {
    if let failure = error as? LineServer.ListenFailure {
      let cause = StartFailure(failure.cause, host: host, port: failure.port)
      sentence = "the line protocol: \(cause.sentence) --line-port names another port, or off."
      return
    }
    if let failure = error as? AdminServer.ListenFailure {
      let cause = StartFailure(failure.cause, host: host, port: failure.port)
      sentence = "the admin port: \(cause.sentence) --admin-port names another port, or off."
      return
    }
    if let refusal = error as? LogRefusal {
      sentence = refusal.description
      return
    }
    if let failure = error as? TLSFileFailure {
      sentence = "TLS: \(failure.sentence)."
      return
    }
    let place = HostPort(host: host, port: port)
    sentence =
      switch error {
      case let error as IOError where error.errnoCode == EADDRINUSE:
        "port \(port) of \(host) is in use by another program."
      case let error as IOError where error.errnoCode == EACCES:
        "port \(port) of \(host) may not be used by this user."
      case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
        "\(host) is not an address of this machine."
      case is SocketAddressError, is SocketAddressError.UnknownHost:
        "the host name '\(host)' can't be resolved."
      default:
        "listening on \(place) failed: \(Self.oneLine("\(error)"))"
      }
  }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}
