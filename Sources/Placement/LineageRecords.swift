// Which data each shard has, according to a node: the part of the slot map's document that reveals
// a shard that returns with an empty disk (docs/ARCHITECTURE.md, "Lineages").
//
// Records are merged, never compared:
//
//   the records of a shard      what they make together
//   one has more losses         that one
//   as many, one has no data    the other one
//   as many, the same data      that
//   as many, other data         a dispute: no data is the shard's until a loss is accepted
//
// The merge is commutative, associative and idempotent, so the order in which nodes exchange
// records doesn't matter.
//
// Owns nothing. Values; any thread.

/// The identity of a shard's data: random bits that were made with it.
package struct DataLineage: Hashable, Sendable {
  package static let byteCount = 16

  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// What is on record of one shard.
package struct LineageRecord: Hashable, Sendable {
  package enum Data: Hashable, Sendable {
    /// None is known, or the shard was accepted without any.
    case none
    case known(DataLineage)
    case disputed
  }

  package var data: Data
  /// How often an operator has accepted that the shard has other data than before.
  package var acceptedLosses: UInt64

  package init(_ data: Data = .none, acceptedLosses: UInt64 = 0) {
    self.data = data
    self.acceptedLosses = acceptedLosses
  }

  /// Whether a shard with this data may serve; nil: it has no lineage, since it is in memory only.
  package func admits(_ lineage: DataLineage?) -> Bool {
    switch data {
    case .none: true
    case .known(let known): known == lineage
    case .disputed: false
    }
  }

  package func merged(with other: LineageRecord) -> LineageRecord {
    if acceptedLosses != other.acceptedLosses {
      return acceptedLosses > other.acceptedLosses ? self : other
    }
    switch (data, other.data) {
    case (.none, _): return other
    case (_, .none): return self
    default:
      return data == other.data
        ? self : LineageRecord(.disputed, acceptedLosses: acceptedLosses)
    }
  }
}

package struct LineageRecords: Hashable, Sendable {
  /// By shard id. An empty record isn't stored.
  private var records: [String: LineageRecord] = [:]

  package init() {}

  package subscript(shard: String) -> LineageRecord {
    get { records[shard] ?? LineageRecord() }
    set { records[shard] = newValue == LineageRecord() ? nil : newValue }
  }

  package var isEmpty: Bool { records.isEmpty }

  /// Sorted by the ids of the shards.
  package var sorted: [(shard: String, record: LineageRecord)] {
    records.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
  }

  /// Whether a shard with this data may serve.
  package func admits(_ shard: String, _ lineage: DataLineage?) -> Bool {
    self[shard].admits(lineage)
  }

  /// Merges the records of another node. Returns whether that added anything.
  @discardableResult
  package mutating func merge(_ other: LineageRecords) -> Bool {
    let before = self
    for (shard, record) in other.records { self[shard] = self[shard].merged(with: record) }
    return self != before
  }

  /// Whether they include all that the others contain.
  package func contain(_ other: LineageRecords) -> Bool {
    other.records.allSatisfy { shard, record in self[shard].merged(with: record) == self[shard] }
  }

  /// The same of the shards of a map alone. O(shards of the map).
  package func of(_ shards: [ShardDescription]) -> LineageRecords {
    var kept = LineageRecords()
    for shard in shards { kept[shard.id] = self[shard.id] }
    return kept
  }

  /// Records a shard's data if none is on record. Returns whether that is new.
  @discardableResult
  package mutating func note(_ lineage: DataLineage?, of shard: String) -> Bool {
    guard let lineage, self[shard].data == .none else { return false }
    self[shard].data = .known(lineage)
    return true
  }

  /// An operator accepts that a shard has this data, and not what is on record. Returns false if no
  /// more losses can be counted, for example after a peer has sent the greatest number.
  package mutating func acceptLoss(of shard: String, now lineage: DataLineage?) -> Bool {
    let losses = self[shard].acceptedLosses
    guard losses < .max else { return false }
    self[shard] = LineageRecord(
      lineage.map { .known($0) } ?? .none, acceptedLosses: losses + 1)
    return true
  }
}
