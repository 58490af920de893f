// The hash table of one (database, slot): open addressing with linear probing.
//
//   word = hash's top 19 bits : 19 | entry address / 8 : 45        0 = free
//
// Home of a key = the top bits of its hash, so homes are in hash order whatever the capacity:
// that is what makes a scan cursor (a hash) survive growth. The 19 bits spare nearly every look at
// an entry that isn't the one sought, and give the home without it up to 2^19 places. Deletion
// shifts back, so there are no tombstones and the order of probing never degrades.
//
// Lives in a TableDirectory, on the thread of the store.

struct Table {
  private(set) var words: UnsafeMutablePointer<UInt64>?
  private(set) var count: UInt32 = 0
  private(set) var capacityLog2: UInt32 = 0
  /// Keys that expire.
  var expiringCount: UInt32 = 0
  /// Not later than the first of them expires; see Expiry.swift.
  var due = Expiry.never

  private static let tagBits: UInt32 = 19
  private static let tagUnit: UInt64 = 1 << 45
  private static let capacityLog2Min: UInt32 = 2

  var capacity: Int { words == nil ? 0 : 1 << Int(capacityLog2) }

  @inline(__always)
  static func entry(_ word: UInt64) -> Entry {
    let address = UInt((word & (tagUnit &- 1)) << 3)
    return Entry(UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped)
  }

  static func word(_ entry: Entry, hash: UInt64) -> UInt64 {
    let address = UInt64(UInt(bitPattern: entry.base))
    assert(Heap.isHoldable(UInt(address)), "the heap has checked it")
    return (hash & ~(tagUnit - 1)) | address >> 3
  }

  /// Place of `key`, or nil. O(1) expected: one entry is read, and few others are.
  @inline(__always)
  func place(of key: UnsafeRawBufferPointer, hash: UInt64) -> Int? {
    guard let words else { return nil }
    let mask = (1 &<< Int(capacityLog2)) &- 1
    var place = home(hash)
    while true {
      let word = words[place]
      if word == 0 { return nil }
      if (word ^ hash) < Table.tagUnit, Table.entry(word).hasKey(key) { return place }
      place = (place &+ 1) & mask
    }
  }

  @inline(__always)
  func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> UInt64(64 &- capacityLog2)) }

  /// Home of the entry a word points to.
  func home(ofWord word: UInt64, _ hasher: KeyHasher) -> Int {
    if capacityLog2 <= Table.tagBits { return home(word) }
    return home(hasher.hash(Table.entry(word).key))
  }

  @inline(__always)
  func entry(at place: Int) -> Entry { Table.entry(words.unsafelyUnwrapped[place]) }

  /// Puts `entry` in the place of one with the same key.
  func replace(at place: Int, with entry: Entry, hash: UInt64) {
    words.unsafelyUnwrapped[place] = Table.word(entry, hash: hash)
  }

  /// Adds an entry whose key is not in the table. Amortised O(1).
  mutating func insert(_ entry: Entry, hash: UInt64, heap: Heap, hasher: KeyHasher) {
    if Int(count) + 1 > Table.countMax(capacity) {
      let log2 = words == nil ? Table.capacityLog2Min : capacityLog2 + 1
      resize(toLog2: log2, heap: heap, hasher: hasher)
    }
    count += 1
    put(Table.word(entry, hash: hash), home: home(hash))
  }

  /// Takes the word out of a place; the table shrinks when it is nearly empty. Amortised O(1).
  mutating func remove(at place: Int, heap: Heap, hasher: KeyHasher) {
    count -= 1
    if count == 0 {
      free(heap)
      return
    }
    closeGap(at: place, hasher)
    if capacityLog2 > Table.capacityLog2Min, Int(count) * 8 < capacity {
      let log2 = max(Table.capacityLog2Min, capacityLog2 - 2)
      resize(toLog2: log2, heap: heap, hasher: hasher)
    }
  }

  /// Gives back the table's own memory and leaves it empty; the entries are the caller's.
  mutating func free(_ heap: Heap) {
    if let words { heap.free(words, capacity * 8) }
    self = Table()
  }

  /// At 7/8 a found key costs about 5 words, side by side in memory.
  private static func countMax(_ capacity: Int) -> Int {
    capacity < 8 ? max(0, capacity - 1) : capacity - capacity / 8
  }

  private func put(_ word: UInt64, home: Int) {
    let words = words.unsafelyUnwrapped
    let mask = capacity - 1
    var place = home
    while words[place] != 0 { place = (place + 1) & mask }
    words[place] = word
  }

  /// Moves back what would be cut off from its home by the gap (Knuth, TAOCP 3, 6.4, algorithm R).
  private func closeGap(at place: Int, _ hasher: KeyHasher) {
    let words = words.unsafelyUnwrapped
    let mask = capacity - 1
    var gap = place
    var next = (place + 1) & mask
    while words[next] != 0 {
      let home = home(ofWord: words[next], hasher)
      if (next - home) & mask >= (next - gap) & mask {
        words[gap] = words[next]
        gap = next
      }
      next = (next + 1) & mask
    }
    words[gap] = 0
  }

  private mutating func resize(toLog2 log2: UInt32, heap: Heap, hasher: KeyHasher) {
    let old = self
    let capacity = 1 << Int(log2)
    let fresh = heap.allocate(capacity * 8).bindMemory(to: UInt64.self, capacity: capacity)
    fresh.initialize(repeating: 0, count: capacity)
    words = fresh
    capacityLog2 = log2
    guard let oldWords = old.words else { return }
    for place in 0..<old.capacity where oldWords[place] != 0 {
      put(oldWords[place], home: home(ofWord: oldWords[place], hasher))
    }
    heap.free(oldWords, old.capacity * 8)
  }
}
