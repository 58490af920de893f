// Deletes expired keys that no call looks up.
//
// Ten times a second it continues the store's walk (Expiry.swift of Store) until that has visited
// all tables. A round visits at most `visitsPerRound` keys, so that tables with few expired keys
// cost a limited share of the loop; it continues past that as long as a quarter of the visited keys
// has expired. All of it in turns.

import Commands
import NodeCore
import Store

final class Expirer: CooperativeTask {
  /// The time from the end of one round to the next.
  static let pauseNanos: UInt64 = 100_000_000
  /// Some 50 ns each, and 1 us for each expired one.
  static let visitsPerTurn = 500
  static let visitsPerRound = 50_000
  /// A round continues as long as at least one of this many keys has expired.
  static let dueShare = 4

  var isQueued = false
  /// When the next round begins, on the core's clock.
  private(set) var dueNanos: UInt64 = 0
  private var visitsLeft = Expirer.visitsPerRound
  private let store: Store
  private let clock: () -> UInt64
  private let wall: WallClock

  /// - Parameters:
  ///   - clock: the time in nanoseconds, never going back.
  ///   - wall: the wall clock of calls.
  init(_ store: Store, clock: @escaping () -> UInt64, wall: WallClock) {
    self.store = store
    self.clock = clock
    self.wall = wall
  }

  func runSlice() -> Turn {
    let progress = store.expire(
      nowMillis: wall.millis(atNanos: clock()), maxVisits: Expirer.visitsPerTurn)
    visitsLeft -= max(1, progress.visited)
    let isWorthwhile = progress.expired * Expirer.dueShare >= max(1, progress.visited)
    if !progress.endsRound, visitsLeft > 0 || isWorthwhile { return .more }
    visitsLeft = Expirer.visitsPerRound
    dueNanos = clock() &+ Expirer.pauseNanos
    return .used
  }
}
