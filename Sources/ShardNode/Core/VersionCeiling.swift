// A version is never assigned twice, even after a crash that lost the last writes: a number in the
// log is above every assigned version, and a shard starts its versions there. It is raised in large
// steps, so that it costs little and is synced long before a version is near it.

import Store

package struct VersionCeiling: Equatable, Sendable {
  /// 2^26 writes of one slot: twice as many as are possible before writes are refused on a stalled
  /// disk. It equals four seconds of the clock, by which versions may be ahead of it after each
  /// restart.
  static let step: UInt64 = 1 << 26
  /// How far ahead of the clock a shard counts that gets a slot, because the owner before it may
  /// have been: as far as 16 restarts in a row, or clocks that differ by a minute.
  static let newOwnerLeadMillis: Int64 = 65_536

  /// Above every assigned version, and above every one until it is raised.
  package private(set) var value: UInt64
  /// A version from which on it is time.
  private(set) var raiseFrom: UInt64

  /// What a shard counts from that starts, and the ceiling above it.
  ///
  /// - Parameters:
  ///   - recovered: the ceiling in the log; 0: there is none.
  ///   - unixMillis: the wall clock. Versions begin at it, as for shards without a log, so that
  ///     they are above the versions of a lost log.
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

  /// - Parameter version: one that is assigned now.
  mutating func raise(above version: UInt64) {
    self = VersionCeiling(above: max(version, value - Self.step / 2))
  }
}
