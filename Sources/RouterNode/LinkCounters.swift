// What a router's loop has counted about its links, for Stats. StatsMerge.swift documents the
// names.

import NodeCore

struct LinkCounters {
  /// Shards that came back with another incarnation; counted by the loop that saw it first.
  var shardRestarts: Int64 = 0
  /// Links that became ready after they had been lost.
  private(set) var reconnects: Int64 = 0
  private var shardsReached: Set<String> = []

  /// Notes that a shard's link is ready.
  mutating func ready(_ shard: String) {
    if !shardsReached.insert(shard).inserted { reconnects += 1 }
  }

  var entries: [String: Int64] {
    [
      "\(NodeCounters.routerPrefix)shard_restarts_total": shardRestarts,
      "\(NodeCounters.routerPrefix)link_reconnects_total": reconnects,
    ]
  }
}
