// A peer's address in logs: the address and the port as an operator writes them.

import NIOCore

extension SocketAddress {
  /// `10.0.0.1:50051` or `[::1]:50051`; NIO's own description has the kind and the name as well.
  package var shown: String {
    guard let ipAddress, let port else { return description }
    return ipAddress.contains(":") ? "[\(ipAddress)]:\(port)" : "\(ipAddress):\(port)"
  }
}
