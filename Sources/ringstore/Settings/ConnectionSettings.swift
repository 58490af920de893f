// From settings to the limits of clients' connections.

import Admin
import GRPC
import LineProtocol

extension SettingSources {
  private static let connectionCounts = 1_000_000
  private static let streamCounts = 1...1_000_000
  private static let day = 86_400
  private static let month = 30 * 86_400

  /// How many connections clients may have; `maxConnections` nil: derived from the number of
  /// descriptors.
  func connectionsAsked() throws(ConfigurationError) -> ConnectionsAsked {
    var asked = ConnectionsAsked()
    let all = try integer(.maxConnections, 0...Self.connectionCounts, default: 0)
    let ofAddress = try integer(.maxConnectionsPerAddress, 0...Self.connectionCounts, default: 0)
    asked.maxConnections = all == 0 ? nil : all
    asked.maxConnectionsOfAddress = ofAddress == 0 ? nil : ofAddress
    if try adminPort() != nil { asked.ofAdmin = AdminLimits().connectionsMax }
    return asked
  }

  func serverConfiguration() throws(ConfigurationError) -> ServerConfiguration {
    var server = ServerConfiguration()
    server.keepaliveNanos = try nanoseconds(
      .keepaliveSeconds, 0...Self.day, default: server.keepaliveNanos)
    server.keepaliveTimeoutNanos = try nanoseconds(
      .keepaliveTimeoutSeconds, 1...3_600, default: server.keepaliveTimeoutNanos)
    server.idleNanosMax = try nanoseconds(.idleSeconds, 0...Self.day, default: server.idleNanosMax)
    server.minPingIntervalNanos = try nanoseconds(
      .minPingSeconds, 0...Self.day, default: server.minPingIntervalNanos)
    server.minIdlePingIntervalNanos = try nanoseconds(
      .minIdlePingSeconds, 0...Self.day, default: server.minIdlePingIntervalNanos)
    server.ageNanosMax = try nanoseconds(
      .maxConnectionAgeSeconds, 0...Self.month, default: server.ageNanosMax)
    server.ageGraceNanos = try nanoseconds(
      .maxConnectionAgeGraceSeconds, 0...Self.day, default: server.ageGraceNanos)
    server.maxConcurrentStreams = try integer(
      .maxStreamsPerConnection, Self.streamCounts, default: server.maxConcurrentStreams)
    server.connectionMemoryBytes = try connectionMemory()
    return server
  }

  /// Nil: derived from the other memory limits.
  private func connectionMemory() throws(ConfigurationError) -> Int? {
    let bytes = try size(.connectionMemoryBytes, Self.memorySizes, orZero: true, default: 0)
    guard bytes > 0 else { return nil }
    let limits = try self.limits()
    guard bytes >= 2 * limits.maxMessageBytes, bytes <= limits.clientMemoryBytes else {
      throw ConfigurationError(
        "connection_memory_bytes (\(bytes)) must be at least two of the longest messages "
          + "(\(2 * limits.maxMessageBytes)) and at most client_memory_bytes "
          + "(\(limits.clientMemoryBytes)).")
    }
    return bytes
  }

  func lineConfiguration() throws(ConfigurationError) -> LineConfiguration {
    var lines = LineConfiguration()
    lines.idleNanosMax = Int64(
      try nanoseconds(.lineIdleSeconds, 0...Self.day, default: UInt64(lines.idleNanosMax)))
    return lines
  }
}

/// The settings on the number of connections; nil: none.
package struct ConnectionsAsked: Sendable, Hashable {
  package var maxConnections: Int?
  package var maxConnectionsOfAddress: Int?
  /// Connections of the admin port, which are reserved for it.
  package var ofAdmin = 0

  package init() {}
}
