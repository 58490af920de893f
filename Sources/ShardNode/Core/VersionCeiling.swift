// No version is given twice, not after a crash that lost the last writes either: a number in the
// log lies above every version that was given, and a shard that starts counts from there. It is
// raised in large steps, so that it costs nothing and is synced long before a version comes near
// it.

import Store

package struct VersionCeiling: Equatable, Sendable {
  /// 2^26 writes of one slot: more than fit into the time after which a disk that stands has writes
  /// refused, twice. Four seconds of the clock, by which each restart may count ahead of it.
  static let step: UInt64 = 1 << 26
  /// How far ahead of the clock a shard counts that gets a slot and isn't told what versions others
  /// have given, by a router of an earlier build.
  static let newOwnerLeadMillis: Int64 = 65_536
  /// Versions of other shards that are further ahead of the clock are not believed: ten years. A
  /// shard that followed a clock at the end of time would have no versions left.
  private static let foreignLeadMillisMax: Int64 = 315_360_000_000

  /// The greatest version of another shard that is believed.
  static func foreignMax(_ unixMillis: Int64) -> UInt64 {
    Store.versionsBegin(unixMillis: unixMillis + foreignLeadMillisMax)
  }

  /// Above every version that was given, and every one until it is raised.
  package private(set) var value: UInt64
  /// A version from which on it is time.
  private(set) var raiseFrom: UInt64

  /// What a shard counts from that starts, and the ceiling above it.
  ///
  /// - Parameters:
  ///   - recovered: the ceiling in the log; 0: there is none.
  ///   - unixMillis: the wall clock. Versions begin at it, as those of shards without a log, so
  ///     that they are above what a log that was lost had given.
  package static func start(
    recovered: UInt64, unixMillis: Int64
  ) -> (versionsBegin: UInt64, ceiling: VersionCeiling) {
    let begin = max(recovered, Store.versionsBegin(unixMillis: unixMillis))
    return (begin, VersionCeiling(above: begin))
  }

  private init(above version: UInt64) {
    value = version + Self.step
    raiseFrom = version + Self.step / 2
  }

  /// - Parameter version: one that is given now.
  mutating func raise(above version: UInt64) {
    self = VersionCeiling(above: max(version, value - Self.step / 2))
  }
}
