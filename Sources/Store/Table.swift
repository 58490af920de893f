// The hash table of one (database, slot). Its places (Places.swift) grow and shrink; a large table
// does so in steps, one with each added or removed key, and has two arrays meanwhile.
//
// Lives in a TableDirectory, on the thread of the store.

struct Table {
  /// The words of its places, or its `Move` while it moves.
  private var base: UnsafeMutableRawPointer?
  private(set) var count: UInt32 = 0
  /// Keys that expire.
  var expiringCount: UInt32 = 0
  private var log2: UInt8 = 0
  private(set) var isMoving = false
  /// Not later than the first of them expires; see Expiry.swift.
  var due = Expiry.never

  static let log2Min: UInt8 = 2
  /// Homes moved by a step. A table that was made four times smaller must have moved before it is
  /// full: 11 would do.
  private static let homesPerStep = 16

  /// A range of hashes whose keys are in one array.
  struct Segment {
    let places: Places
    /// The first hash after the range; 0: it extends to the end.
    let end: UInt64

    /// The first home in the array whose keys are all after the range.
    var homesEnd: Int { end == 0 ? places.capacity : places.home(end - 1) + 1 }
  }

  // MARK: - Reading

  /// Place of `key`, or nil: among the `places(of: hash)`. O(1) expected.
  @inline(__always)
  func place(of key: UnsafeRawBufferPointer, hash: UInt64) -> Int? {
    guard base != nil else { return nil }
    return places(of: hash).place(of: key, hash: hash)
  }

  /// Place of the first key with this hash, or nil: among the `places(of: hash)`.
  func place(withHash hash: UInt64, _ hasher: KeyHasher) -> Int? {
    guard base != nil else { return nil }
    return places(of: hash).place(withHash: hash, hasher)
  }

  /// The places of keys with a hash; only for a table that has keys.
  @inline(__always)
  func places(of hash: UInt64) -> Places {
    isMoving ? move.pointee.places(of: hash) : places
  }

  @inline(__always)
  func entry(at place: Int, hash: UInt64) -> Entry {
    Places.entry(places(of: hash).words[place])
  }

  /// Where keys from a hash on are; only of a table that has keys.
  func segment(from hash: UInt64) -> Segment {
    guard isMoving else { return Segment(places: places, end: 0) }
    let move = move.pointee
    let isMoved = move.old.home(hash) < move.moved
    return Segment(places: move.places(of: hash), end: isMoved ? move.boundary : 0)
  }

  /// Places of all its arrays.
  var placeCount: Int {
    guard base != nil else { return 0 }
    return isMoving ? move.pointee.old.capacity + move.pointee.new.capacity : places.capacity
  }

  /// The entry at one of `placeCount` places.
  func entry(atPlace index: Int) -> Entry? {
    let word: UInt64
    if isMoving {
      let (old, new) = (move.pointee.old, move.pointee.new)
      word = index < old.capacity ? old.words[index] : new.words[index - old.capacity]
    } else {
      word = places.words[index]
    }
    return word == 0 ? nil : Places.entry(word)
  }

  @inline(__always)
  private var places: Places {
    Places(base.unsafelyUnwrapped.assumingMemoryBound(to: UInt64.self), log2: log2)
  }

  private var move: UnsafeMutablePointer<Move> {
    base.unsafelyUnwrapped.assumingMemoryBound(to: Move.self)
  }

  // MARK: - Changing

  /// Puts `entry` in the place of one with the same key.
  func replace(at place: Int, with entry: Entry, hash: UInt64) {
    places(of: hash).words[place] = Places.word(entry, hash: hash)
  }

  /// Adds an entry whose key is not in the table. Amortised O(1).
  /// - Parameters:
  ///   - log2: how many places a table that has none begins with, as a power of two.
  ///   - stepsFrom: with this many places or more it grows in steps.
  mutating func insert(
    _ entry: Entry, hash: UInt64, log2 first: UInt8, heap: Heap, hasher: KeyHasher,
    stepsFrom: UInt8
  ) {
    if isMoving {
      step(homes: Table.homesPerStep, heap, hasher)
    } else if base == nil {
      become(Places(log2: first, on: heap))
    } else if Int(count) + 1 > places.countMax {
      resize(to: log2 + 1, heap, hasher, stepsFrom: stepsFrom)
    }
    count += 1
    let places = places(of: hash)
    places.put(Places.word(entry, hash: hash), home: places.home(hash))
  }

  /// Removes the word of a place; the table shrinks when it is nearly empty. Amortised O(1).
  mutating func remove(
    at place: Int, hash: UInt64, heap: Heap, hasher: KeyHasher, stepsFrom: UInt8
  ) {
    count -= 1
    if count == 0 {
      free(heap)
      return
    }
    places(of: hash).free(at: place, hasher)
    if isMoving {
      step(homes: Table.homesPerStep, heap, hasher)
    } else if log2 > Table.log2Min, Int(count) * 8 < places.capacity {
      resize(to: max(Table.log2Min, log2 - 2), heap, hasher, stepsFrom: stepsFrom)
    }
  }

  /// Frees the table's own memory and leaves it empty; the entries are not freed.
  mutating func free(_ heap: Heap) {
    if isMoving {
      move.pointee.old.free(heap)
      move.pointee.new.free(heap)
      heap.free(move, MemoryLayout<Move>.stride)
    } else if base != nil {
      places.free(heap)
    }
    self = Table()
  }

  // MARK: - Moving

  private mutating func become(_ places: Places) {
    base = UnsafeMutableRawPointer(places.words)
    log2 = places.log2
    isMoving = false
  }

  private mutating func resize(
    to newLog2: UInt8, _ heap: Heap, _ hasher: KeyHasher, stepsFrom: UInt8
  ) {
    let inSteps = log2 >= stepsFrom
    let move = heap.allocate(MemoryLayout<Move>.stride)
      .bindMemory(to: Move.self, capacity: 1)
    move.initialize(to: Move(from: places, to: Places(log2: newLog2, on: heap)))
    base = UnsafeMutableRawPointer(move)
    isMoving = true
    step(homes: inSteps ? Table.homesPerStep : .max, heap, hasher)
  }

  private mutating func step(homes: Int, _ heap: Heap, _ hasher: KeyHasher) {
    guard move.pointee.step(homes: homes, hasher) else { return }
    let (done, move) = (move.pointee, move)
    done.old.free(heap)
    heap.free(move, MemoryLayout<Move>.stride)
    become(done.new)
  }
}
