// The array of a hash table: open addressing with linear probing.
//
//   word = hash's top 19 bits : 19 | entry address / 8 : 45        0 = free
//
// Home of a key = the top bits of its hash, so homes are in hash order whatever the capacity:
// that is what makes a scan cursor (a hash) survive growth. The 19 bits avoid nearly every read of
// a wrong entry, and give the home without the entry for up to 2^19 places. Deletion shifts back,
// so there are no tombstones and the order of probing never degrades.

struct Places {
  let words: UnsafeMutablePointer<UInt64>
  let log2: UInt8

  private static let tagBits: UInt8 = 19
  private static let tagUnit: UInt64 = 1 << 45

  @inline(__always)
  init(_ words: UnsafeMutablePointer<UInt64>, log2: UInt8) {
    self.words = words
    self.log2 = log2
  }

  /// New ones, all free.
  init(log2: UInt8, on heap: Heap) {
    let count = 1 << Int(log2)
    words = heap.allocateZeroed(count * 8).bindMemory(to: UInt64.self, capacity: count)
    self.log2 = log2
  }

  func free(_ heap: Heap) { heap.free(words, capacity * 8) }

  @inline(__always)
  var capacity: Int { 1 &<< Int(log2) }

  /// At 7/8 a found key costs about 5 adjacent words.
  var countMax: Int { Places.countMax(capacity) }

  static func countMax(_ capacity: Int) -> Int {
    capacity < 8 ? max(0, capacity - 1) : capacity - capacity / 8
  }

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
    let mask = capacity &- 1
    var place = home(hash)
    while true {
      let word = words[place]
      if word == 0 { return nil }
      if hasTag(word, of: hash), Places.entry(word).hasKey(key) { return place }
      place = (place &+ 1) & mask
    }
  }

  /// Place of the first key with this hash, or nil.
  func place(withHash hash: UInt64, _ hasher: KeyHasher) -> Int? {
    let mask = capacity - 1
    var place = home(hash)
    while words[place] != 0 {
      let word = words[place]
      if hasTag(word, of: hash), hasher.hash(Places.entry(word).key) == hash {
        return place
      }
      place = (place + 1) & mask
    }
    return nil
  }

  /// Whether the hash of a word's key begins like this one.
  @inline(__always)
  func hasTag(_ word: UInt64, of hash: UInt64) -> Bool { (word ^ hash) < Places.tagUnit }

  @inline(__always)
  func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> (64 &- UInt64(log2))) }

  /// Home of the entry a word points to.
  func home(ofWord word: UInt64, _ hasher: KeyHasher) -> Int {
    if log2 <= Places.tagBits { return home(word) }
    return home(hasher.hash(Places.entry(word).key))
  }

  /// The least hash with this home; not for `capacity`.
  func hash(ofHome home: Int) -> UInt64 { UInt64(home) << (64 - UInt64(log2)) }

  func put(_ word: UInt64, home: Int) {
    let mask = capacity - 1
    var place = home
    while words[place] != 0 { place = (place + 1) & mask }
    words[place] = word
  }

  /// Frees a place, and moves back keys that the gap would separate from their home (Knuth, TAOCP
  /// 3, 6.4, algorithm R).
  func free(at place: Int, _ hasher: KeyHasher) {
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
}

/// A table that is moving to places of another capacity, home by home in the order of hashes.
struct Move {
  let old: Places
  let new: Places
  /// Keys with a lower home in the old places are in the new ones.
  private(set) var moved = 0

  init(from old: Places, to new: Places) {
    self.old = old
    self.new = new
  }

  /// From this hash on keys are in the old places.
  var boundary: UInt64 { old.hash(ofHome: moved) }

  @inline(__always)
  func places(of hash: UInt64) -> Places { old.home(hash) < moved ? new : old }

  /// Moves the keys of some homes.
  /// - Returns: whether all are moved.
  mutating func step(homes: Int, _ hasher: KeyHasher) -> Bool {
    let (target, overflows) = moved.addingReportingOverflow(homes)
    while moved < (overflows ? old.capacity : min(target, old.capacity)) { moveRun(hasher) }
    return moved == old.capacity
  }

  /// Moves the keys from `moved` to the next free place. All of them have their home there, except
  /// for keys of the last homes, which found no place before the end: these stay.
  private mutating func moveRun(_ hasher: KeyHasher) {
    var end = moved
    while end < old.capacity, old.words[end] != 0 { end += 1 }
    let homesEnd = min(end + 1, old.capacity)
    var staying: [UInt64] = []
    for place in moved..<end {
      let word = take(place)
      if old.home(ofWord: word, hasher) < homesEnd {
        new.put(word, home: new.home(ofWord: word, hasher))
      } else {
        staying.append(word)
      }
    }
    for word in staying { old.put(word, home: old.home(ofWord: word, hasher)) }
    moved = homesEnd
    guard moved == old.capacity else { return }
    var place = 0
    while place < old.capacity, old.words[place] != 0 {
      let word = take(place)
      new.put(word, home: new.home(ofWord: word, hasher))
      place += 1
    }
  }

  private func take(_ place: Int) -> UInt64 {
    let word = old.words[place]
    old.words[place] = 0
    return word
  }
}
