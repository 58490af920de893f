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
  /// - Returns: the limits, and whether clients get fewer connections than they were to have.
  package static func limits(
    descriptors: Int, outgoing: Int, _ asked: ConnectionsAsked
  ) -> (limits: ConnectionLimits, isLowered: Bool) {
    // Where there are few descriptors, clients have half of them.
    let kept = min(
      own + incomingLinks + reserved + 2 * outgoing + asked.ofAdmin, descriptors / 2)
    var limits = ConnectionLimits()
    limits.reserved = max(1, min(reserved, kept / 4))
    limits.maxConnections = max(
      1, min(asked.maxConnections ?? maxConnections, descriptors - kept))
    limits.maxConnectionsOfAddress = asked.maxConnectionsOfAddress
    return (limits, limits.maxConnections < asked.maxConnections ?? 0)
  }

  /// The limits of a shard inside another node's process, which has that node's links only.
  package static func ofLocalShard(routerThreads: Int) -> ConnectionLimits {
    var limits = ConnectionLimits()
    limits.maxConnections = reserved
    limits.reserved = 2 * routerThreads + reserved
    return limits
  }
}
