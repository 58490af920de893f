// What a start deletes before the shard serves: keys that expired while it was down, and then, if
// the recovered data takes more memory than the shard may use now, the keys that the eviction policy
// chooses. In turns and logged, so a shard that got a lower limit is within it from its first call.
//
// Pure; the shard's event loop.

import Store

struct StartCleaning {
  enum Step {
    case more
    /// The disk must first write some of the deletions, and the log has an event when it has.
    case waitsForDisk
    case done
  }

  /// Keys checked for expiry in a turn.
  private static let visitsPerTurn = 2_000
  /// Bytes of deletions that may be on their way to the disk.
  static let bytesUnderWayMax = 1 << 20

  private var hasExpired = false

  /// Does the work of one turn.
  mutating func step(_ store: Store, _ log: ShardLog, nowMillis: Int64) -> Step {
    // A full disk may stay full, and reads can be served meanwhile.
    if log.bytesUnderWay > Self.bytesUnderWayMax, !log.isDiskFull { return .waitsForDisk }
    if !hasExpired {
      hasExpired = store.expire(nowMillis: nowMillis, maxVisits: Self.visitsPerTurn).endsRound
      if !hasExpired { return .more }
    }
    // On a full disk writes are refused; the first accepted one evicts.
    guard store.isOverMemoryLimit, !log.isDiskFull else { return .done }
    let isEmpty = store.makeRoom(evictions: Evictor.evictionsPerTurn, nowMillis: nowMillis)
    return isEmpty || !store.isOverMemoryLimit ? .done : .more
  }
}
