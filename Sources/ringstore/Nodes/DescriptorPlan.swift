// How a process divides its descriptors: a number for clients, and a reserve for its own files,
// links and administration, which always need some. Pure.

import GRPC

package enum DescriptorPlan {
  /// The process's own: standard streams, event loops, listening sockets, lookups of names.
  package static let own = 32
  /// Links of routers to a shard.
  package static let incomingLinks = 64
  /// Connections above the limits, for operators and links.
  package static let reserved = 32
  /// The maximum of clients' connections, with any number of descriptors.
  package static let maxConnections = 65_536

  /// - Parameters:
  ///   - descriptors: what the system allows.
  ///   - outgoing: connections that the process makes itself; there may be twice as many while old
  ///     ones are being closed.
  package static func shares(
    descriptors: Int, outgoing: Int, _ asked: ConnectionsAsked
  ) -> DescriptorShares {
    // Without its own the process can't write its data. Where the others are few, clients have half
    // of them, and the reserve and the admin port an eighth each.
    let others = max(0, descriptors - own)
    let kept = min(incomingLinks + reserved + 2 * outgoing + asked.ofAdmin, others / 2)
    var clients = ConnectionLimits()
    clients.reserved = max(1, min(reserved, kept / 4))
    clients.maxConnections = max(1, min(asked.maxConnections ?? maxConnections, others - kept))
    clients.maxConnectionsOfAddress = asked.maxConnectionsOfAddress
    return DescriptorShares(
      clients: clients, admin: max(1, min(asked.ofAdmin, kept / 4)),
      isLowered: clients.maxConnections < asked.maxConnections ?? 0)
  }

  /// The limits of a shard inside another node's process, which has that node's links only.
  package static func ofLocalShard(routerThreads: Int) -> ConnectionLimits {
    var limits = ConnectionLimits()
    limits.maxConnections = reserved
    limits.reserved = 2 * routerThreads + reserved
    return limits
  }
}

/// How many connections each kind of client may have.
package struct DescriptorShares {
  package var clients: ConnectionLimits
  /// Connections of the admin port.
  package var admin: Int
  /// Whether clients get fewer connections than the settings say.
  package var isLowered: Bool
}
