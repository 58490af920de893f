// A version is never assigned twice, even after a crash that lost the last writes: a number in the
// log is above every assigned version, and a shard starts its versions there. It is raised in large
// steps, so that it costs little and is synced long before a version is near it.

import Store

package struct VersionCeiling: Equatable, Sendable {
  /// 2^26 writes of one slot: twice as many as are possible before writes are refused on a stalled
  /// disk. It equals four seconds of the clock, by which versions may be ahead of it after each
  /// restart.
  static let step: UInt64 = 1 << 26
  /// How far ahead of the clock versions begin in a gained slot if the router, of an earlier build,
  /// reports no bound.
  static let newOwnerLeadMillis: Int64 = 65_536
  /// Versions of other shards that are further ahead of the clock are not believed: ten years. A
  /// shard that followed a clock at the end of time would have no versions left.
  private static let foreignLeadMillisMax: Int64 = 315_360_000_000

  /// The greatest version of another shard that is believed.
  static func foreignMax(_ unixMillis: Int64) -> UInt64 {
    Store.versionsBegin(unixMillis: unixMillis + foreignLeadMillisMax)
  }

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
