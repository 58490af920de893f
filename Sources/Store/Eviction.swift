// What a store with a memory limit gives up when it is full: the keys that were used longest ago,
// or nearly so. As in Redis, a few keys are looked at for each that goes, and the best ones seen
// are remembered for the next, so that no list of all keys has to be kept in order. Where Redis
// draws the few at random, a walk over the tables finds them here.
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

/// How much memory the keys and values of a store may take, and what happens then.
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

  /// - Precondition: `takes` said so.
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

/// Where the search for keys to evict continues: a walk over all tables, round and round. Keys lie
/// in the order of their hashes, so the next few are as good as a few drawn at random, and cost
/// less.
struct EvictionWalk {
  var database = 0
  var slot = 0
  var place = 0
}

extension Store {
  /// Whether more memory is in use than `memoryLimit` allows.
  @inline(__always)
  package var isOverMemoryLimit: Bool { heap.usedBytes > memoryLimit.bytes }

  /// Evicts keys, and frees what has been deleted, until no more memory is in use than the limit
  /// allows.
  /// - Parameter evictions: how many keys at most; about 1 us each, and what is to be freed.
  /// - Returns: whether there is nothing left to evict.
  @discardableResult
  package func makeRoom(evictions: Int, nowMillis: Int64) -> Bool {
    freeLeftovers()
    var left = evictions
    while isOverMemoryLimit, left > 0 {
      left -= 1
      // What was deleted in large pieces counts until it is freed: that comes first.
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

  /// - Returns: false where there is no key to evict.
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
    guard entry.clock == candidate.clock else { return false }
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
