// The router's own line in Describe. Shared by its loops; thread-safe.

import NIOConcurrencyHelpers
import NIOCore
import NodeCore

final class RouterNodeLine: Sendable {
  private let version: String
  private let started = NIODeadline.now()
  private let address = NIOLockedValueBox("")

  init(version: String) {
    self.version = version
  }

  /// Sets the address, once it is known.
  func setAddress(_ address: String) {
    self.address.withLockedValue { $0 = address }
  }

  func describe() -> NodeDescription {
    var node = NodeDescription(id: NodeDescription.routerID, role: .router)
    node.address = address.withLockedValue { $0 }
    node.state = .serving
    node.version = version
    node.uptimeMillis = (NIODeadline.now() - started).nanoseconds / 1_000_000
    return node
  }
}
