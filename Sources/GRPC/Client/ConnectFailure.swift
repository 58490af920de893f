// Why a connection could not be made, in the operating system's terms, which operators know.

import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

enum ConnectFailure {
  /// One phrase, without the names of functions and types that NIO's own description holds.
  static func sentence(_ error: any Error) -> String {
    guard let failure = error as? NIOConnectionError else { return words(error) }
    if let last = failure.connectionErrors.last { return words(last.error) }
    return "no address is known for \(failure.host)"
  }

  private static func words(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
    case ChannelError.connectTimeout: "no reply in time"
    default: "\(error)"
    }
  }
}
