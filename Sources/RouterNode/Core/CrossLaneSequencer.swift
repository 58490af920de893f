// The order of calls on one key over the two lanes of a link.
//
// A lane is one connection, so the calls on it stay in order; nothing orders the lanes among each
// other. So a large call (one for the bulk lane) waits for the small calls of its slot that were
// submitted before it, and later calls on its key wait for it.
//
// Most calls are small. For these only the number in progress of each slot is kept: without large
// calls, a small one costs an increment, a decrement and two checks of `isEmpty`. Slots represent
// keys there: a large call may wait for small calls on other keys of its slot, but only for earlier
// ones, so each wait ends.
//
//   key's queue   [large, in progress] | small  small  large  ...   everything right of | is held
//   slot's barriers  (id, how many small calls since the barrier before it are in progress) ...
//
// A held small call is released when no large call of its key is in progress. A held large one is
// released when it is the first of its key's queue and its barrier is reached (all earlier small
// calls have ended), or when it directly follows another large one: these share a lane and need no
// barrier.
//
// A released call still blocks its key until it is taken (`nextRelease`): a call submitted in
// between, by a caller that is just getting a reply, is held after it.
//
// A call on several keys of a slot (LMove, a pop) has its place in the order of each. If one of
// them has a queue, the keys share it from then on, until it is empty: as if their hashes were
// equal. In such a queue a large call always waits for the small ones before it, since those of the
// other keys were not held.
//
// Ids give the order of submission (CallOrder). Pure; part of a router's core.

import NIOCore

struct CrossLaneSequencer {
  /// Stands for a key: collisions make two keys wait for each other, which is harmless.
  struct Key: Hashable {
    let slot: UInt16
    let hash: Int

    init(slot: UInt16, _ key: UnsafeRawBufferPointer) {
      self.slot = slot
      var hasher = Hasher()
      hasher.combine(bytes: key)
      hash = hasher.finalize()
    }
  }

  private struct Held {
    let id: UInt64
    let isLarge: Bool
    /// For a large call: whether it must still wait for its slot's earlier small calls.
    var isBehindBarrier: Bool
  }

  private struct Queue {
    /// Further keys whose calls are in this queue.
    var others: [Key] = []
    var largeUnderWay = 0
    /// Released calls that were not taken yet.
    var released = 0
    /// Sorted by id.
    var held = CircularBuffer<Held>()

    var isUnused: Bool { largeUnderWay == 0 && released == 0 && held.isEmpty }

    func place(of id: UInt64) -> CircularBuffer<Held>.Index? {
      let place = held.firstPlace { !CallOrder.isBefore($0.id, id) }
      return place < held.endIndex && held[place].id == id ? place : nil
    }
  }

  private struct Barrier {
    /// Small calls before this one are waited for.
    let boundary: UInt64
    var owner: UInt64
    let key: Key
    /// Small calls in progress between this barrier and the one before it.
    var smallBefore: UInt32
  }

  private struct Barriers {
    /// Sorted by boundary.
    var list = CircularBuffer<Barrier>()
    var smallInAll: UInt32 = 0
  }

  /// Small calls of each slot that were submitted and have not ended. The last one is for calls
  /// without a key.
  private var small: [UInt32]
  private var queues: [Key: Queue] = [:]
  /// The key whose queue another key's calls are in.
  private var shared: [Key: Key] = [:]
  private var barriers: [UInt16: Barriers] = [:]
  /// The keys of held calls and of large ones in progress.
  private var keys: [UInt64: Key] = [:]
  /// Held calls that may be sent, in order.
  private var released: [(id: UInt64, key: Key)] = []
  private var nextReleased = 0

  init(slotCount: Int) {
    small = Array(repeating: 0, count: slotCount + 1)
  }

  /// Whether no large call is about. Then small calls need nothing but `smallBegan`, `smallEnded`.
  var isEmpty: Bool { queues.isEmpty }

  // MARK: - Calls begin

  /// Adds a small call that may be sent at once: only if `isEmpty` or `mayGo` was true.
  @inline(__always)
  mutating func smallBegan(slot: UInt16) {
    small[Int(slot)] &+= 1
  }

  /// Adds a small call that had left the order, because it waited for a value, at its old place:
  /// barriers that were made meanwhile must wait for it, because its end counts there.
  mutating func smallCameBack(_ id: UInt64, slot: UInt16) {
    smallBegan(slot: slot)
    guard let list = barriers[slot]?.list else { return }
    let place = list.firstPlace { CallOrder.isBefore(id, $0.boundary) }
    guard place < list.endIndex else { return }
    barriers[slot]?.list[place].smallBefore += 1
    barriers[slot]?.smallInAll += 1
  }

  /// Notes a call. Returns whether it may go at once; otherwise its id will be released.
  ///
  /// - Parameter others: the further keys of a call that has several, in the same slot.
  mutating func began(_ id: UInt64, isLarge: Bool, key: Key, others: [Key] = []) -> Bool {
    var key = shared[key] ?? key
    // All of them join if one has a queue.
    if queues[key] == nil, others.contains(where: { queues[shared[$0] ?? $0] != nil }) {
      queues[key] = Queue()
    }
    for other in others { key = share(key, shared[other] ?? other, isLarge: isLarge) }
    let mayGo = isLarge ? largeBegan(id, key) : smallMayGo(id, key)
    if !isLarge { smallBegan(slot: key.slot) }
    return mayGo
  }

  /// Puts two keys into one queue, if one of them has any or will have.
  ///
  /// - Returns: the key that owns the queue.
  private mutating func share(_ one: Key, _ other: Key, isLarge: Bool) -> Key {
    guard one != other, isLarge || queues[one] != nil || queues[other] != nil else { return one }
    // Taken out, so that a call on many keys doesn't copy it for each of them.
    var queue = queues.removeValue(forKey: one) ?? Queue()
    if let joining = queues.removeValue(forKey: other) {
      queue.largeUnderWay += joining.largeUnderWay
      queue.released += joining.released
      queue.others += joining.others
      for key in joining.others { shared[key] = one }
      queue.held = CircularBuffer(
        (Array(queue.held) + Array(joining.held)).sorted { CallOrder.isBefore($0.id, $1.id) })
    }
    queue.others.append(other)
    shared[other] = one
    queues[one] = queue
    return one
  }

  private mutating func smallMayGo(_ id: UInt64, _ key: Key) -> Bool {
    guard queues[key] != nil else { return true }
    keys[id] = key
    queues[key]?.held.append(Held(id: id, isLarge: false, isBehindBarrier: false))
    return false
  }

  private mutating func largeBegan(_ id: UInt64, _ key: Key) -> Bool {
    keys[id] = key
    guard let queue = queues[key], !queue.isUnused else {
      let mustWait = small[Int(key.slot)] > 0
      queues[key, default: Queue()].largeUnderWay = mustWait ? 0 : 1
      if mustWait {
        queues[key]?.held.append(Held(id: id, isLarge: true, isBehindBarrier: true))
        addBarrier(id, key)
      }
      return !mustWait
    }
    let isShared = !queue.others.isEmpty
    if queue.held.isEmpty, queue.released == 0, !isShared || small[Int(key.slot)] == 0 {
      queues[key]?.largeUnderWay += 1
      return true
    }
    let followsLarge = !isShared && queue.held.last?.isLarge == true
    let isBehindBarrier = !followsLarge && small[Int(key.slot)] > 0
    queues[key]?.held.append(Held(id: id, isLarge: true, isBehindBarrier: isBehindBarrier))
    if isBehindBarrier { addBarrier(id, key) }
    return false
  }

  private mutating func addBarrier(_ id: UInt64, _ key: Key) {
    let before = small[Int(key.slot)] - (barriers[key.slot]?.smallInAll ?? 0)
    barriers[key.slot, default: Barriers()].list.append(
      Barrier(boundary: id, owner: id, key: key, smallBefore: before))
    barriers[key.slot]?.smallInAll += before
  }

  // MARK: - Calls end

  /// A small call has ended: with a reply, with an error, or while it was held.
  @inline(__always)
  mutating func smallEnded(_ id: UInt64, slot: UInt16) {
    small[Int(slot)] &-= 1
    if !queues.isEmpty { smallEndedAmongLarge(id, slot) }
  }

  private mutating func smallEndedAmongLarge(_ id: UInt64, _ slot: UInt16) {
    lowerBarrier(after: id, slot)
    if let key = removeKey(of: id) {
      if let place = queues[key]?.place(of: id) { queues[key]?.held.remove(at: place) }
      advance(key)
    }
    removePassedBarriers(slot)
  }

  /// A large call has ended: with a reply, with an error, or while it was held.
  mutating func largeEnded(_ id: UInt64) {
    guard let key = removeKey(of: id) else { return }
    if let place = queues[key]?.place(of: id) {
      removeHeldLarge(id, place, key)
    } else {
      queues[key]?.largeUnderWay -= 1
    }
    advance(key)
    removePassedBarriers(key.slot)
  }

  /// The key whose queue a call is in.
  private mutating func removeKey(of id: UInt64) -> Key? {
    keys.removeValue(forKey: id).map { shared[$0] ?? $0 }
  }

  private mutating func removeHeldLarge(
    _ id: UInt64, _ place: CircularBuffer<Held>.Index, _ key: Key
  ) {
    guard let gone = queues[key]?.held.remove(at: place), gone.isBehindBarrier else { return }
    // The next large call relied on this barrier, unless it has its own: the small calls of its key
    // between them have ended.
    let successor = queues[key]?.held.firstIndex {
      $0.isLarge && CallOrder.isBefore(id, $0.id)
    }
    if let successor, let next = queues[key]?.held[successor], !next.isBehindBarrier {
      queues[key]?.held[successor].isBehindBarrier = true
      passBarrier(from: id, to: next.id, key.slot)
    } else {
      removeBarrier(of: id, key.slot)
    }
  }

  // MARK: - Barriers

  private mutating func lowerBarrier(after id: UInt64, _ slot: UInt16) {
    guard let list = barriers[slot]?.list else { return }
    let place = list.firstPlace { CallOrder.isBefore(id, $0.boundary) }
    guard place < list.endIndex else { return }
    barriers[slot]?.list[place].smallBefore -= 1
    barriers[slot]?.smallInAll -= 1
  }

  /// Takes away the first barriers as long as nothing is waited for at them.
  private mutating func removePassedBarriers(_ slot: UInt16) {
    while let first = barriers[slot]?.list.first, first.smallBefore == 0 {
      _ = barriers[slot]?.list.popFirst()
      if barriers[slot]?.list.isEmpty == true { barriers[slot] = nil }
      let key = shared[first.key] ?? first.key
      if let place = queues[key]?.place(of: first.owner) {
        queues[key]?.held[place].isBehindBarrier = false
      }
      advance(key)
    }
  }

  private mutating func passBarrier(from id: UInt64, to successor: UInt64, _ slot: UInt16) {
    guard let place = barriers[slot]?.list.firstIndex(where: { $0.owner == id }) else { return }
    barriers[slot]?.list[place].owner = successor
  }

  private mutating func removeBarrier(of id: UInt64, _ slot: UInt16) {
    guard let place = barriers[slot]?.list.firstIndex(where: { $0.owner == id }),
      let gone = barriers[slot]?.list.remove(at: place)
    else { return }
    let next = barriers[slot]?.list.firstPlace { CallOrder.isBefore(gone.boundary, $0.boundary) }
    if let next, next != barriers[slot]?.list.endIndex {
      barriers[slot]?.list[next].smallBefore += gone.smallBefore
    } else {
      barriers[slot]?.smallInAll -= gone.smallBefore
    }
    if barriers[slot]?.list.isEmpty == true { barriers[slot] = nil }
  }

  // MARK: - Release

  /// Releases the calls of a key's queue that may be sent, from its front.
  private mutating func advance(_ key: Key) {
    while let next = queues[key]?.held.first {
      if next.isLarge {
        guard !next.isBehindBarrier else { return }
        queues[key]?.largeUnderWay += 1
      } else {
        guard queues[key]?.largeUnderWay == 0 else { return }
        keys[next.id] = nil
      }
      _ = queues[key]?.held.popFirst()
      queues[key]?.released += 1
      released.append((next.id, key))
    }
    if let queue = queues[key], queue.largeUnderWay == 0, queue.released == 0 {
      for other in queue.others { shared[other] = nil }
      queues[key] = nil
    }
  }

  /// The next held call that may be sent now.
  mutating func nextRelease() -> UInt64? {
    guard nextReleased < released.count else {
      released.removeAll(keepingCapacity: true)
      nextReleased = 0
      return nil
    }
    let (id, ownKey) = released[nextReleased]
    let key = shared[ownKey] ?? ownKey
    nextReleased += 1
    queues[key]?.released -= 1
    advance(key)
    return id
  }

  /// Calls of all slots that were added and have not ended, including large ones. For tests.
  var callCount: Int {
    small.reduce(0) { $0 + Int($1) }
      + queues.values.reduce(0) { $0 + $1.largeUnderWay + $1.held.count(where: \.isLarge) }
  }

  /// For tests.
  var barrierCount: Int { barriers.values.reduce(0) { $0 + $1.list.count } }
}

extension CircularBuffer {
  /// The first place from which `isBehind` is true, or the end. The buffer is sorted by it. O(log
  /// n).
  fileprivate func firstPlace(where isBehind: (Element) -> Bool) -> Index {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      let isFound = isBehind(self[index(startIndex, offsetBy: middle)])
      if isFound { high = middle } else { low = middle + 1 }
    }
    return index(startIndex, offsetBy: low)
  }
}
