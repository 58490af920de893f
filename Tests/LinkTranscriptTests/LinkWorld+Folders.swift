// The data directories of a transcript's shards: what a shard keeps of the slot map's document over
// a restart, and restarts with another directory.

import NodeCore
import Placement
import RouterNode
import ShardNode

/// What a shard has on disk: a document for each folder that it ever had.
struct ShardFolder {
  /// The folder that it has now; 0: none.
  var number = 0
  var documents: [Int: LineageRecords] = [:]
}

extension LinkWorld {
  /// Restarts the shard with another directory, which has the document that was written to it.
  func exchangeDisk(of shard: Int, _ number: Int) {
    folders[shard].documents[folders[shard].number] = shards[shard].lineages
    folders[shard].number = number
    endConnections(of: shard)
    incarnations[shard] += 1
    let core = newShard(shard, cluster: "test")
    if number > 0 {
      core.lineage = DataLineage(high: UInt64(shard + 1), low: UInt64(number))
      core.lineages = folders[shard].documents[number] ?? LineageRecords()
    }
    shards[shard] = core
    lose(shard, "connection reset")
  }

  func accept(_ shard: Int) {
    core.acceptLoss(of: names[shard]) { [unowned self] end in
      switch end {
      case .success(let report):
        say("accepted, recorded: \(report.recorded), missing: \(report.missing)")
      case .failure(let refusal): say("not accepted: \(refusal.sentence)")
      }
    }
  }

  /// Longer than any delay between two attempts.
  private static var roundNanos: UInt64 { 1_300_000_000 }
  private static var rounds: Int { 4 }

  func stabilize() {
    for _ in 0..<Self.rounds {
      for (shard, lanes) in connections.enumerated() {
        for (lane, connection) in lanes.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where !connection.wasAccepted { connect(shard, lane) }
      }
      flush()
      while deliverToShards(names.indices) || deliverToRouter() {}
      nowNanos += Self.roundNanos
      for shard in shards { shard.watchLinks() }
      core.tick()
      flush()
    }
    log = log.filter { line in
      ["log:", "accepted", "call"].contains { line.hasPrefix($0) }
    }
  }
}
