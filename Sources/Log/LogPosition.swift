// The numbers of the log. docs/FORMATS.md has the grammar of the files.

/// Bytes of batches since the log's beginning. Headers of files don't count.
package typealias LogPosition = UInt64

/// The identity of the data: 128 random bits, created with the first log and kept by every copy.
package struct Lineage: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// The identity of every batch of one file: the data, and the run of the process that wrote it. It
/// is the seed of each checksum, so that bytes of another file are never valid here.
package struct LogIdentity: Hashable, Sendable {
  package var lineage: Lineage
  /// 64 random bits, new at every start of a process.
  package var life: UInt64

  package init(lineage: Lineage, life: UInt64) {
    self.lineage = lineage
    self.life = life
  }
}
