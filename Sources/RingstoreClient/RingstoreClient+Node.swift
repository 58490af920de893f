// Calls about one node: the receiving node, or a shard that is named to a router.

internal import NIOCore
internal import RingstoreAPI

/// One connection of a node.
public struct RingstoreConnection: Sendable, Hashable {
  /// The node's number for it, never reused while the node runs.
  public let id: UInt64
  /// `grpc`, `line`, or `link`: that of a router to a shard.
  public let kind: String
  public let address: String
  /// The user of its latest call; empty if the node has no users, or there was no call.
  public let user: String
  public let isEncrypted: Bool
  public let age: Duration
  /// Since it was last seen busy, to within a few seconds.
  public let idle: Duration
  public let openCalls: Int
  /// Calls since it began.
  public let calls: Int
  /// Bytes of unfinished requests and unread replies that the node holds for it.
  public let heldBytes: Int
}

/// Connections of a node.
public struct RingstoreConnections: Sendable, Hashable {
  /// Ordered by the bytes that the node holds for them, the most first, then the oldest.
  public let connections: [RingstoreConnection]
  /// How many the node has.
  public let total: Int
}

/// Which events a node logs.
public struct RingstoreLogLevel: Sendable, Hashable {
  public let inForce: String
  /// That the node was started with.
  public let configured: String
}

extension RingstoreClient {
  /// The connections of a node.
  ///
  /// - Parameters:
  ///   - node: its id; empty: the receiving node.
  ///   - count: how many at most, up to 10,000.
  /// - Throws: NOT_FOUND if the receiving node has no such node.
  public func connections(
    ofNode node: String = "", count: Int = 100, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreConnections {
    var request = ByteBuffer()
    var node = node
    // Whatever the node sends.
    let most = count > 0 ? count : .max
    node.withUTF8 {
      V1.ClientsRequest(node: UnsafeRawBufferPointer($0), count: UInt32(clamping: count))
        .write(into: &request)
    }
    return try await call(V1.Cluster.clients, request, options) { response throws(WireError) in
      let reply = try V1.ClientsResponse(response)
      return RingstoreConnections(
        connections: reply.clients.prefix(most).map { RingstoreConnection($0) },
        total: Int(reply.total))
    }
  }

  /// Closes a connection of a node.
  ///
  /// - Parameters:
  ///   - id: the node's number of it.
  ///   - node: the node's id; empty: the receiving node.
  /// - Returns: whether there was such a connection.
  @discardableResult
  public func endConnection(
    _ id: UInt64, ofNode node: String = "", options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    var request = ByteBuffer()
    var node = node
    node.withUTF8 {
      V1.KillClientRequest(node: UnsafeRawBufferPointer($0), id: id).write(into: &request)
    }
    return try await call(V1.Cluster.killClient, request, options) { response throws(WireError) in
      try V1.KillClientResponse(response).found
    }
  }

  /// Returns which events a node logs, or changes that until the node ends.
  ///
  /// - Parameters:
  ///   - level: `trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`; nil: it
  ///     stays.
  ///   - node: the node's id; empty: the receiving node.
  public func logLevel(
    _ level: String? = nil, ofNode node: String = "", options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreLogLevel {
    var request = ByteBuffer()
    var (node, level) = (node, level ?? "")
    node.withUTF8 { node in
      level.withUTF8 { level in
        V1.LogLevelRequest(
          node: UnsafeRawBufferPointer(node), level: UnsafeRawBufferPointer(level)
        ).write(into: &request)
      }
    }
    return try await call(V1.Cluster.logLevel, request, options) { response throws(WireError) in
      let reply = try V1.LogLevelResponse(response)
      return RingstoreLogLevel(
        inForce: String(decoding: reply.level, as: UTF8.self),
        configured: String(decoding: reply.configured, as: UTF8.self))
    }
  }
}

extension RingstoreConnection {
  init(_ message: V1.Client) {
    id = message.id
    kind = String(decoding: message.kind, as: UTF8.self)
    address = String(decoding: message.address, as: UTF8.self)
    user = String(decoding: message.user, as: UTF8.self)
    isEncrypted = message.encrypted
    age = .milliseconds(message.ageMillis)
    idle = .milliseconds(message.idleMillis)
    openCalls = Int(message.openCalls)
    calls = Int(clamping: message.calls)
    heldBytes = Int(message.heldBytes)
  }
}
