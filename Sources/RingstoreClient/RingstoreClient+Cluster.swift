// What a cluster counts, and its end. `describe` has a file of its own, with what it answers.

internal import NIOCore
internal import RingstoreAPI

extension RingstoreClient {
  /// What has been counted, by name: a router answers with the sums over the whole cluster, a
  /// shard for itself. The names are those of docs/PROTOCOL.md.
  public func stats(
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [String: Int] {
    try await call(V1.Cluster.stats, .init(), options) { response throws(WireError) in
      var counters: [String: Int] = [:]
      // As protobuf has it, the last entry of a name wins.
      for entry in try V1.StatsResponse(response).counters {
        counters[String(decoding: entry.key, as: UTF8.self)] = Int(entry.value)
      }
      return counters
    }
  }

  /// Ends the node that is asked: it lets calls under way finish and leaves.
  ///
  /// A node answers before it leaves. Where the answer is lost all the same, the error's
  /// `isOutcomeUnknown` is true.
  ///
  /// - Parameter wholeCluster: ends every shard as well; asked of a router. Other routers of the
  ///   cluster stay.
  /// - Throws: SHARD_UNAVAILABLE where a shard could not be told; others may have been.
  public func shutdown(
    wholeCluster: Bool = false, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) {
    var request = ByteBuffer()
    V1.ShutdownRequest(wholeCluster: wholeCluster).write(into: &request)
    try await call(V1.Cluster.shutdown, request, options) { _ in }
  }
}
