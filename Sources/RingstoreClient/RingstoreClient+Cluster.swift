// A cluster's counters, and its end. `describe` has its own file, with its reply.

internal import NIOCore
internal import RingstoreAPI

extension RingstoreClient {
  /// The counters by name: a router returns the sums over the whole cluster, a shard its own. The
  /// names are those of docs/PROTOCOL.md.
  ///
  /// - Parameter node: the id of the one node whose counters to read; empty: as described above.
  public func stats(
    ofNode node: String = "", options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [String: Int] {
    var request = ByteBuffer()
    var node = node
    node.withUTF8 { V1.StatsRequest(node: UnsafeRawBufferPointer($0)).write(into: &request) }
    return try await call(V1.Cluster.stats, request, options) { response throws(WireError) in
      var counters: [String: Int] = [:]
      // As protobuf has it, the last entry of a name wins.
      for entry in try V1.StatsResponse(response).counters {
        counters[String(decoding: entry.key, as: UTF8.self)] = Int(entry.value)
      }
      return counters
    }
  }

  /// Ends the receiving node, or one of its shards: it lets calls in progress finish and exits.
  ///
  /// A node replies before it exits. If the reply is lost, the error's `isOutcomeUnknown` is true.
  ///
  /// - Parameters:
  ///   - wholeCluster: ends every shard as well; sent to a router. Other routers of the cluster
  ///     keep running.
  ///   - node: the id of the shard to end, sent to a router; empty: the receiving node.
  /// - Throws: SHARD_UNAVAILABLE if a shard could not be reached; others may already be ending.
  public func shutdown(
    wholeCluster: Bool = false, node: String = "", options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) {
    var request = ByteBuffer()
    var node = node
    node.withUTF8 {
      V1.ShutdownRequest(wholeCluster: wholeCluster, node: UnsafeRawBufferPointer($0))
        .write(into: &request)
    }
    try await call(V1.Cluster.shutdown, request, options) { _ in }
  }

  /// Makes a router read its list of shards again and change the cluster to it, or shows what that
  /// would change.
  ///
  /// - Parameter planOnly: changes nothing. The reply's `obstacle` says what would prevent the
  ///   change.
  /// - Throws: FAILED_PRECONDITION if the shards stay unchanged, with a message that says why.
  public func reload(
    planOnly: Bool = false, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreReload {
    var request = ByteBuffer()
    V1.ReloadRequest(planOnly: planOnly).write(into: &request)
    return try await call(V1.Cluster.reload, request, options) { response throws(WireError) in
      let reply = try V1.ReloadResponse(response)
      let text = { (bytes: UnsafeRawBufferPointer) in String(decoding: bytes, as: UTF8.self) }
      return RingstoreReload(
        epoch: reply.epoch, added: reply.added.map(text), dropped: reply.dropped.map(text),
        readdressed: reply.readdressed.map(text),
        moves: reply.moves.map {
          RingstoreReload.Move(from: text($0.from), to: text($0.to), slots: Int($0.slots))
        }, obstacle: reply.obstacle.isEmpty ? nil : text(reply.obstacle))
    }
  }
}

/// A change of the cluster's shards.
public struct RingstoreReload: Sendable, Hashable {
  /// The version of the slot map after it.
  public let epoch: UInt64
  /// Ids of shards.
  public let added: [String]
  public let dropped: [String]
  /// Shards with another address.
  public let readdressed: [String]
  public let moves: [Move]
  /// Why a planned change would be refused; nil if it would not be.
  public let obstacle: String?

  /// Slots that go from one shard to another.
  public struct Move: Sendable, Hashable {
    public let from: String
    public let to: String
    public let slots: Int
  }
}
