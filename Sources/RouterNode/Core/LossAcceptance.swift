// An operator has a router accept that a shard has other data than it had: who has still to put
// that on record. Pure; part of a router's core.

import Placement

/// What has become of an acceptance.
package struct LossReport: Sendable, Hashable {
  /// What is on record of the shard now.
  package let record: LineageRecord
  /// Ids of the other shards that have it on record, durably.
  package var recorded: [String] = []
  /// Of those that could not be told. They are when they are back.
  package var missing: [String] = []
}

/// Is told once how an acceptance has ended.
package typealias LossAcceptanceEnd = (Result<LossReport, MapChangeRefusal>) -> Void

struct LossAcceptance {
  let shard: String
  let record: LineageRecord
  /// Shards that were told, and have not said that they have it on record.
  var waits: Set<String>
  let dueNanos: UInt64
  let end: LossAcceptanceEnd
}
