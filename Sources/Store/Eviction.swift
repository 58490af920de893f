// Eviction of a store with a memory limit: approximately the least recently used keys. As in Redis,
// a few keys are sampled for each eviction, and the best candidates are kept for the next, so that
// no ordered list of all keys is needed. Redis samples at random; here a walk over the tables finds
// the samples.
//
// An eviction is an effect, like any deletion.

/// Which keys may be evicted.
package enum EvictionPolicy: String, Sendable, CaseIterable {
  /// None: writes that need memory are refused instead.
  case noEviction = "noeviction"
  case allKeysLRU = "allkeys-lru"
  /// Those that expire.
  case volatileLRU = "volatile-lru"
}

/// The memory limit of a store's keys and values, and the policy at the limit.
package struct MemoryLimit: Sendable, Hashable {
  /// In bytes, of `usedBytes`.
  package var bytes = Int.max
  package var policy = EvictionPolicy.noEviction

  package init(bytes: Int = .max, policy: EvictionPolicy = .noEviction) {
    self.bytes = bytes
    self.policy = policy
  }
}

/// The keys seen so far that were used longest ago.
struct EvictionCandidates {
  struct Candidate {
    let database: Int
    let slot: Int
    let hash: UInt64
    let clock: UInt32
    let idleMillis: Int64
  }

  private static let countMax = 16

  /// In order of idle time, the longest last.
  private var candidates: [Candidate] = []

  /// Whether a key that was idle so long is among the best.
  func takes(_ idleMillis: Int64) -> Bool {
    candidates.count < Self.countMax || idleMillis > candidates[0].idleMillis
  }

  /// - Precondition: `takes` was true.
  mutating func add(_ candidate: Candidate) {
    if candidates.contains(where: { $0.hash == candidate.hash && $0.slot == candidate.slot }) {
      return
    }
    if candidates.count == Self.countMax { candidates.removeFirst() }
    let index =
      candidates.firstIndex { $0.idleMillis > candidate.idleMillis } ?? candidates.count
    candidates.insert(candidate, at: index)
  }

  mutating func takeIdlest() -> Candidate? { candidates.popLast() }
}

/// Where the search for keys to evict continues: an endless walk over all tables. Keys are in the
/// order of their hashes, so the next few are as good as random ones, and cost less.
struct EvictionWalk {
  var database = 0
  var slot = 0
  var place = 0
}

extension Store {
  /// Whether more memory is in use than `memoryLimit` allows.
  @inline(__always)
  package var isOverMemoryLimit: Bool { heap.usedBytes > memoryLimit.bytes }

  /// Evicts keys, and frees deleted memory, until the memory in use is within the limit.
  /// - Parameter evictions: the maximum number of keys; about 1 us each, plus the time to free
  ///   memory.
  /// - Returns: whether there is nothing left to evict.
  @discardableResult
  package func makeRoom(evictions: Int, nowMillis: Int64) -> Bool {
    freeLeftovers()
    var left = evictions
    while isOverMemoryLimit, left > 0 {
      left -= 1
      // Large deleted values count until they are freed, so they come first.
      if hasGarbage {
        collectGarbage(entries: Store.garbagePerEviction)
      } else if !evict(nowMillis: nowMillis) {
        return true
      }
    }
    return false
  }

  private static let garbagePerEviction = 64
  /// Keys looked at for each eviction.
  private static let samplesPerEviction = 8
  /// Places and tables looked at to find them, at most.
  private static let stepsPerEviction = 256
  /// Where no candidate is found, or all have been used meanwhile, it is tried so often.
  private static let looksMax = 4

  private var hasEvictableKeys: Bool {
    switch memoryLimit.policy {
    case .noEviction: false
    case .allKeysLRU: (0..<databaseCount).contains { keyCounts[$0] > 0 }
    case .volatileLRU: expiringKeyCount > 0
    }
  }

  /// - Returns: false if there is no key to evict.
  private func evict(nowMillis: Int64) -> Bool {
    guard hasEvictableKeys else { return false }
    for _ in 0..<Store.looksMax {
      addCandidates(nowMillis)
      while let candidate = evictionCandidates.takeIdlest() {
        if evict(candidate, nowMillis) { return true }
      }
    }
    return true
  }

  private func evict(_ candidate: EvictionCandidates.Candidate, _ nowMillis: Int64) -> Bool {
    let (database, slot) = (candidate.database, candidate.slot)
    guard
      let table = directory.table(database: database, slot: slot), table.pointee.count > 0,
      let index = table.pointee.place(withHash: candidate.hash, hasher)
    else { return false }
    let entry = table.pointee.entry(at: index, hash: candidate.hash)
    // The key may have been used since, or may not expire any more.
    guard entry.clock == candidate.clock, memoryLimit.policy != .volatileLRU || entry.expires
    else { return false }
    evictedKeyCount += 1
    let lookup = KeyLookup(
      key: entry.key, slot: slot, database: database, hash: candidate.hash, nowMillis: nowMillis)
    change(place(of: lookup, table: table, index: index, entry: entry), .delete)
    return true
  }

  /// Looks at the next keys of the walk, a bounded number of steps.
  private func addCandidates(_ nowMillis: Int64) {
    let expiring = memoryLimit.policy == .volatileLRU
    var samplesLeft = Store.samplesPerEviction
    var stepsLeft = Store.stepsPerEviction
    while samplesLeft > 0, stepsLeft > 0 {
      stepsLeft -= 1
      let (database, slot) = (evictionWalk.database, evictionWalk.slot)
      guard let table = directory.table(database: database, slot: slot)?.pointee,
        evictionWalk.place < table.placeCount, !expiring || table.expiringCount > 0
      else {
        walkOn()
        continue
      }
      evictionWalk.place += 1
      guard let entry = table.entry(atPlace: evictionWalk.place - 1), !expiring || entry.expires
      else { continue }
      samplesLeft -= 1
      let idleMillis = AccessClock.idleMillis(entry.clock, nowMillis: nowMillis)
      guard evictionCandidates.takes(idleMillis) else { continue }
      evictionCandidates.add(
        EvictionCandidates.Candidate(
          database: database, slot: slot, hash: hasher.hash(entry.key), clock: entry.clock,
          idleMillis: idleMillis))
    }
  }

  /// To the next table.
  private func walkOn() {
    let (database, slot) = (evictionWalk.database, evictionWalk.slot)
    let hasGroup = directory.tables(database: database, from: slot) != nil
    evictionWalk.slot = hasGroup ? slot + 1 : directory.nextGroup(after: slot)
    evictionWalk.place = 0
    guard evictionWalk.slot >= slotCount else { return }
    evictionWalk.slot = 0
    evictionWalk.database = database + 1 < databaseCount ? database + 1 : 0
  }
}
