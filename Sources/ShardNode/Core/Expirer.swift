// Deletes the keys that expire and that no call meets.
//
// Ten times a second it continues with the store's walk (Expiry.swift of Store) until that has been
// round once. A round looks at `visitsPerRound` keys at most, so that tables in which little is due
// cost a bounded share of the loop; it continues past that as long as a quarter of the keys that it
// looks at is due. All of it in turns.

import Commands
import NodeCore
import Store

final class Expirer: CooperativeTask {
  /// The time from the end of one round to the next.
  static let pauseNanos: UInt64 = 100_000_000
  /// Some 50 ns each, and 1 us for each that is due.
  static let visitsPerTurn = 500
  static let visitsPerRound = 50_000
  /// A round continues as long as one key of so many is due.
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
  ///   - wall: the clock that calls are told the time by.
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
