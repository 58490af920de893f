// What a link knows of its shard's data and records, see docs/ARCHITECTURE.md, "Lineages". Pure;
// part of a router's core.

import Placement

struct LinkLineages {
  /// A shard's report about its data.
  struct Data: Equatable {
    /// Nil: it is in memory only.
    let lineage: DataLineage?
  }

  /// The shard's data, as reported on this link; nil: nothing was reported.
  private var data: Data?
  /// Its current data, if the latest attempt has failed because the record differs.
  private(set) var loss: Data?
  /// Its records of all shards, as reported on this link.
  private var recorded = LineageRecords()
  /// The records that were sent to it last.
  private var told = LineageRecords()

  /// The lineage that it has reported; nil: none, or nothing was reported.
  var lineage: DataLineage? { data?.lineage }

  mutating func reported(_ lineage: DataLineage?) { data = Data(lineage: lineage) }

  mutating func reported(_ records: LineageRecords) { recorded = records }

  mutating func sent(_ records: LineageRecords) { told = records }

  /// Whether it has to be sent these records: they were not, and it has not reported them.
  func lacks(_ records: LineageRecords) -> Bool {
    told != records && !recorded.contain(records)
  }

  /// Whether the shard has reported this record of another one, or a newer one.
  func hasOnRecord(_ record: LineageRecord, of other: String) -> Bool {
    recorded[other].merged(with: record) == recorded[other]
  }

  /// The data that the shard has reported, if the records say that it must not serve with it.
  func refused(by records: LineageRecords, shard: String) -> Data? {
    guard let data, !records.admits(shard, data.lineage) else { return nil }
    return data
  }

  /// An attempt has failed because the shard's data differs from the record.
  mutating func refused(_ loss: Data) { self.loss = loss }

  /// Whether the data for which an attempt has failed is what the records say by now; it doesn't
  /// count as lost any more then.
  mutating func isRecovered(by records: LineageRecords, shard: String) -> Bool {
    guard let loss, records.admits(shard, loss.lineage) else { return false }
    self.loss = nil
    return true
  }

  /// The link is lost.
  mutating func clear() { self = LinkLineages() }
}
