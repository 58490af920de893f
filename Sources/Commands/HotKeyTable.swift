// Which keys calls look up most often, from a sample of the look-ups.
//
// One look-up in `HotKeyTable.intervalMean`, at random distances so that no pattern of calls is
// missed, is counted in a table of `countersMax` keys (Space-Saving; Metwally, Agrawal, El Abbadi:
// "Efficient computation of frequent and top-k elements in data streams", 2005): a key without a
// counter takes over the smallest one with its count, which is kept as the possible excess. So a
// key that has more than 1 / countersMax of the samples is certainly in the table, and its reported
// number, the count minus the possible excess, is never above the true number.
//
// Counts decay, to a half in a minute, so they describe the last minute or two.
//
// Belongs to the shard's event loop.

import RingstoreAPI
import Store

package struct HotKeyTable {
  /// One look-up in this many is counted.
  package static let intervalMean = 128
  /// Keys that are counted. The table's memory is mainly their bytes, up to 64 KiB each.
  package static let countersMax = 128
  /// The rest of a count after a second: 2^(-1/60), one half after a minute.
  private static let leftAfterSecond = 0.988_514_020_352_896
  /// After so long nothing is.
  private static let secondsToNothing: Int64 = 3_600
  /// Counts below it are not reported.
  private static let samplesMin = 0.5

  /// A key and its data.
  package struct HotKey {
    package let key: StoredKey
    package let slot: Int
    /// Look-ups in a second.
    package let rate: Double
    /// Of all look-ups of the shard, 0 to 1.
    package let share: Double
    /// How many samples that rests on: the relative error is about one over the root of it.
    package let samples: Double
  }

  private struct Counter {
    var key: StoredKey
    var slot: Int
    var count: Double
    /// The part of the count that may belong to other keys.
    var error: Double
  }

  private var counters: [Counter] = []
  /// The hashes of `counters`, in the same order, for the search of a key.
  private var hashes: [UInt64] = []
  /// All samples, decaying like the counters.
  private var total: Double = 0
  /// For how long samples were taken, decaying like them, in seconds.
  private var span: Double = 0
  private var fadedMillis: Int64 = 0
  /// Of the distances between samples (xorshift64; Marsaglia, 2003).
  private var random: UInt64 = 0x9E37_79B9_7F4A_7C15

  package init() {}

  // MARK: - Samples

  /// How many look-ups are passed over before the next sample.
  mutating func nextInterval() -> Int {
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    // From one on: the mean is that of 1 ... 2 * mean - 1.
    return Int(random % UInt64(2 * Self.intervalMean - 1))
  }

  /// Counts a look-up. O(counters).
  mutating func sample(_ lookup: KeyLookup) {
    fade(to: lookup.nowMillis)
    total += 1
    if let place = place(of: lookup) {
      counters[place].count += 1
      return
    }
    let key = StoredKey(lookup.key, database: lookup.database)
    if counters.count < Self.countersMax {
      counters.append(Counter(key: key, slot: lookup.slot, count: 1, error: 0))
      hashes.append(lookup.hash)
      return
    }
    var least = 0
    for place in counters.indices where counters[place].count < counters[least].count {
      least = place
    }
    let count = counters[least].count
    counters[least] = Counter(key: key, slot: lookup.slot, count: count + 1, error: count)
    hashes[least] = lookup.hash
  }

  private func place(of lookup: KeyLookup) -> Int? {
    for place in hashes.indices where hashes[place] == lookup.hash {
      let key = counters[place].key
      if key.database == lookup.database, lookup.key.elementsEqual(key.bytes) { return place }
    }
    return nil
  }

  /// Whole seconds fade. Where the clock was put back, nothing does.
  private mutating func fade(to nowMillis: Int64) {
    let seconds = (nowMillis &- fadedMillis) / 1_000
    guard fadedMillis > 0, seconds >= 0 else {
      fadedMillis = nowMillis
      return
    }
    if seconds == 0 { return }
    fadedMillis += seconds * 1_000
    let left = Self.left(after: seconds)
    for place in counters.indices {
      counters[place].count *= left
      counters[place].error *= left
    }
    total *= left
    // The seconds that have passed, each decayed by those after it.
    span = span * left + (1 - left) / (1 - Self.leftAfterSecond)
  }

  /// The rest of a count.
  private static func left(after seconds: Int64) -> Double {
    guard seconds < secondsToNothing else { return 0 }
    var (left, factor, rest) = (1.0, leftAfterSecond, seconds)
    while rest > 0 {
      if rest & 1 == 1 { left *= factor }
      factor *= factor
      rest >>= 1
    }
    return left
  }

  // MARK: - Reports

  /// The keys with the most look-ups, the first one first. O(counters * log counters).
  package mutating func hottest(_ count: Int, nowMillis: Int64) -> [HotKey] {
    fade(to: nowMillis)
    guard total > 0 else { return [] }
    // With the second that has begun.
    let seconds = span + Double(max(0, nowMillis &- fadedMillis)) / 1_000
    return
      counters.map { counter in
        let samples = counter.count - counter.error
        let lookups = samples * Double(Self.intervalMean)
        return HotKey(
          key: counter.key, slot: counter.slot, rate: seconds > 0 ? lookups / seconds : 0,
          share: samples / total, samples: samples)
      }
      .filter { $0.samples >= Self.samplesMin }
      .sorted { $0.samples > $1.samples }
      .prefix(count).map { $0 }
  }
}
