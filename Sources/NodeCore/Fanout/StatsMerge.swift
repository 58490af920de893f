// Stats: the sums of the counters of all shards, and the counters of this node; or those of one
// node.
//
// From the shards, added up (a shard returns its own):
//   ringstore_calls_total             calls on one key that the shards executed
//   ringstore_calls_<call>_total      the same for each call: get, lpush, ...
//   ringstore_slices_total            slices of calls on every shard
//   ringstore_errors_total            failed calls and slices
//   ringstore_keys                    keys in all databases
//   ringstore_expiring_keys           keys with an expiry
//   ringstore_expired_keys_total      keys that were deleted because they expired
//   ringstore_evicted_keys_total      keys that were evicted to keep the memory limit
//   ringstore_memory_refusals_total   writes that were refused with MEMORY_LIMIT
//   ringstore_memory_bytes            memory held for keys and values
//   ringstore_used_bytes              the part of it in use
//   ringstore_pinned_bytes            the part that is kept only for views
//   ringstore_views_expired_total     readers that were ended with VIEW_EXPIRED
//   ringstore_parked_calls            calls that wait for values (wait_millis)
//   ringstore_parked_calls_total      the total of such calls
//   ringstore_connections_open        connections of clients and links to the shards
//   ringstore_connections_links       the links among them
//   ringstore_connections_accepted_total
//   ringstore_connections_refused_total, ringstore_connections_refused_<reason>_total
//   ringstore_connections_cut_total, ringstore_connections_cut_<reason>_total
//   ringstore_resets_total            calls that clients reset (RST_STREAM)
//   ringstore_refused_calls_total     calls that the transport refused
// From a router also those of its own clients, with the prefix ringstore_router_:
//   ringstore_router_calls_total      clients' calls
//   ringstore_router_calls_<call>_total
//   ringstore_router_errors_total     failed calls
//   ringstore_router_shard_restarts_total   shards with a new incarnation
//   ringstore_router_link_reconnects_total  links that were lost and came back, one for each
//                                           event loop of the router, also after restarts
//   ringstore_router_parked_calls     calls of its clients that wait for values at the shards
// About the call itself:
//   ringstore_shards                  shards of the cluster
//   ringstore_shards_unreachable      shards whose counters are missing here

import Commands
import NIOCore
import RingstoreAPI

package struct StatsMerge: FanoutReducer {
  package let part = InternalMethod.statsPart
  package let allowsPartial = true
  package let tellsOfClusterState = true
  private var ownCounters: [String: Int64] = [:]
  private var sums: [String: Int64] = [:]
  private var replied = 0
  private var unreachable = 0

  /// The id of a single node; empty: all.
  private let node: String

  package init(_ request: V1.StatsRequest = V1.StatsRequest()) {
    node = String(decoding: request.node, as: UTF8.self)
  }

  package func shards(of cluster: any FanoutCluster) throws(CallError) -> [Int] {
    if node.isEmpty || !cluster.servesCluster && cluster.isThisNode(node) {
      return Array(cluster.shardIDs.indices)
    }
    if cluster.isThisNode(node) { return [] }
    guard let shard = cluster.shardIDs.firstIndex(of: node), cluster.servesCluster else {
      throw .noSuchNode(node)
    }
    return [shard]
  }

  package mutating func begin(on cluster: any FanoutCluster) {
    if cluster.isThisNode(node) { ownCounters = cluster.nodeCounters }
  }

  package mutating func request(shard: Int) -> ByteBuffer { ByteBuffer() }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    for (name, value) in try V1.StatsResponse(decoding: response).byName {
      sums[name, default: 0] &+= value
    }
    replied += 1
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable += 1
  }

  package func reply() -> ByteBuffer {
    var all = sums.merging(ownCounters) { shards, own in shards &+ own }
    all["ringstore_shards"] = Int64(replied + unreachable)
    all["ringstore_shards_unreachable"] = Int64(unreachable)
    var reply = ByteBuffer()
    for name in all.keys.sorted() { reply.writeCounter(name, all[name] ?? 0) }
    return reply
  }
}
