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
  private var missing: Set<String>
  let dueNanos: UInt64
  let end: LossAcceptanceEnd

  init(
    shard: String, record: LineageRecord, missing: Set<String>, dueNanos: UInt64,
    end: @escaping LossAcceptanceEnd
  ) {
    self.shard = shard
    self.record = record
    self.missing = missing
    self.dueNanos = dueNanos
    self.end = end
  }

  /// Whether all shards have confirmed the record, or are not reachable.
  var isComplete: Bool { missing.isEmpty }

  /// Some shards may have confirmed the record, or were lost.
  mutating func keepMissing(where isMissing: (String) -> Bool) {
    missing = missing.filter(isMissing)
  }
}
