// An operator accepts through a router that a shard has other data than before: which shards still
// have to record that. Pure; part of a router's core.

import Placement

/// What has become of an acceptance.
package struct LossReport: Sendable, Hashable {
  /// What is on record of the shard now.
  package let record: LineageRecord
  /// Ids of the other shards that have it on record, durably.
  package var recorded: [String] = []
  /// Shards that could not be reached. They get the record when they are back.
  package var missing: [String] = []
}

/// Called once with the result of an acceptance.
package typealias LossAcceptanceEnd = (Result<LossReport, MapChangeRefusal>) -> Void

struct LossAcceptance {
  let shard: String
  let record: LineageRecord
  /// Shards that were sent the record and have not confirmed it.
  var waits: Set<String>
  let dueNanos: UInt64
  let end: LossAcceptanceEnd
}
