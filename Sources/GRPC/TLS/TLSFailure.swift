// Why a handshake or an encrypted connection failed, as a message for an operator. Pure, any
// thread.

import NIOCore
import NIOSSL

package enum TLSFailure {
  /// One phrase; nil: the error is none of TLS.
  package static func sentence(_ error: any Error) -> String? {
    switch error {
    case NIOSSLError.handshakeFailed(let cause), NIOSSLError.shutdownFailed(let cause):
      return words(cause)
    case let cause as BoringSSLError: return words(cause)
    case NIOSSLError.uncleanShutdown: return "the peer closed the connection"
    case NIOSSLError.noCertificateToValidate: return "the peer has no certificate"
    case let error as NIOSSLExtraError where error == .failedToValidateHostname:
      return "the peer's certificate is for another name"
    case is NIOSSLError, is NIOSSLExtraError, is NIOSSLCloseTimedOutError: return "\(error)"
    default: return nil
    }
  }

  /// Whether a connection has only ended without the closing alert of TLS. Many clients do that. It
  /// does no harm: HTTP/2 and the line protocol mark the end of their messages themselves.
  package static func isMissingGoodbye(_ error: any Error) -> Bool {
    if case NIOSSLError.uncleanShutdown = error { true } else { false }
  }

  private static func words(_ error: BoringSSLError) -> String {
    switch error {
    case .sslError(let stack), .unknownError(let stack):
      guard let first = stack.first else { return "the peer violated the TLS protocol" }
      return words(first)
    case .zeroReturn, .syscallError: return "the peer closed the connection"
    default: return "\(error)"
    }
  }

  private static func words(_ error: BoringSSLInternalError) -> String {
    if error == .eofDuringHandshake { return "the peer closed the connection in the handshake" }
    // "Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at
    // file:line": the name is the stable part.
    let reason = error.description.split(separator: ":").first { $0.contains(" at ") }
    guard let name = reason?.split(separator: " ").first.map(String.init) else {
      return "the peer violated the TLS protocol"
    }
    return known[name] ?? String(name.lowercased().map { $0 == "_" ? " " : $0 })
  }

  private static let known = [
    "CERTIFICATE_VERIFY_FAILED":
      "the peer's certificate is not of the certificate authority, or not valid now",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client has sent no certificate",
    "TLSV1_ALERT_CERTIFICATE_REQUIRED": "the peer requires a certificate",
    "TLSV1_CERTIFICATE_REQUIRED": "the peer requires a certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer doesn't know the certificate's authority",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer says that the certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer refuses the certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer refuses the certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer refuses the handshake",
    "WRONG_VERSION_NUMBER": "the peer doesn't use TLS",
    "HTTP_REQUEST": "the peer doesn't use TLS",
    "UNSUPPORTED_PROTOCOL": "the peer doesn't support TLS 1.2 or 1.3",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer doesn't support TLS 1.2 or 1.3",
    "NO_SHARED_CIPHER": "there is no common cipher suite",
  ]
}
