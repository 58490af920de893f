// The calls that a router's loop has under way, found by id in O(1) and without allocation.
//
// A slab: a call's id is its slot's index in the low bits and, above, a number that grows with
// every call. So ids don't come back while a late reply could still name them, and a reply to a
// call that is gone finds nothing.
//
//   id = 0:1 | number of the call : 43 | index : 20      the highest bit marks operations
//
// The number wraps around, after 254 days at 400,000 calls a second; of two calls under way
// `CallOrder` still knows the earlier one.

import GRPC
import NodeCore

/// A call under way. It changes in the table only.
struct PendingCall<Caller> {
  enum Target {
    case caller(Caller)
    case part(Fanout, tag: Int)
    /// The caller has gone, and the shard has yet to reply.
    case abandoned
  }

  /// What the shard is to reply with.
  enum Reply: UInt8 {
    /// One reply; a large one is announced, and becomes `inParts`.
    case whole
    /// A stream whose first part has not come yet.
    case stream
    /// Parts are coming, or were announced: the call has left its lane's counts.
    case inParts
  }

  fileprivate(set) var target: Target
  fileprivate(set) var shard: Int
  /// The slot of the call's key; `Slots.count` where it names none.
  let slot: UInt16
  let lane: LinkLane
  let isWrite: Bool
  /// How often a shard has returned it because its slot wasn't the shard's.
  fileprivate(set) var timesReturned: UInt8 = 0
  /// Whether calls of the other lane on its key may have to wait for it.
  fileprivate(set) var isOrdered = false
  fileprivate(set) var reply: Reply
  /// The place among its lane's calls, which tells what had been handed to the socket when a link
  /// breaks; 0 while the call waits.
  fileprivate(set) var order: UInt64 = 0
  /// The size of the request, counted against the lane's bound.
  let bytes: Int
  /// Where the core is to end it at its deadline.
  fileprivate var timer: DeadlineQueue<UInt64>.Handle?

  init(
    target: Target, shard: Int, slot: UInt16, lane: LinkLane, isWrite: Bool, bytes: Int,
    reply: Reply = .whole
  ) {
    self.target = target
    self.shard = shard
    self.slot = slot
    self.lane = lane
    self.isWrite = isWrite
    self.bytes = bytes
    self.reply = reply
  }

  var isWaiting: Bool { order == 0 }

  var isAbandoned: Bool {
    if case .abandoned = target { return true }
    return false
  }
}

/// The order of calls that are under way at one time, by their ids.
enum CallOrder {
  /// Whether one was submitted before the other. Half the range of numbers lies on either side.
  @inline(__always)
  static func isBefore(_ one: UInt64, _ other: UInt64) -> Bool {
    // Without the highest bit, which no id has.
    Int64(bitPattern: (one &- other) << 1) < 0
  }
}

struct CallTable<Caller> {
  /// At most this many calls are under way in one loop; more are refused (OVERLOADED).
  static var capacityMax: Int { 1 << Self.indexBits }
  private static var indexBits: UInt64 { 20 }

  private struct Slot {
    var id: UInt64 = 0
    var call: PendingCall<Caller>?
  }

  private var slots: [Slot] = []
  private var deadlines = DeadlineQueue<UInt64>()
  private var free: [Int] = []
  private var sequence: UInt64
  private(set) var count = 0

  /// The highest number of a call.
  static var sequenceMax: UInt64 { 1 << (63 - Self.indexBits) - 1 }

  /// - Parameter firstSequence: the number of the first call, above 0.
  init(firstSequence: UInt64 = 1) {
    sequence = firstSequence
  }

  /// Adds a call and gives it an id, behind all before it (`CallOrder`) and never 0; nil where the
  /// table is full.
  ///
  /// - Parameters:
  ///   - isOrdered: whether calls of the other lane on its key may have to wait for it.
  ///   - order: its place among its lane's calls; 0: it waits.
  mutating func insert(
    _ call: consuming PendingCall<Caller>, isOrdered: Bool, order: UInt64 = 0
  ) -> UInt64? {
    call.isOrdered = isOrdered
    call.order = order
    let index: Int
    if let reused = free.popLast() {
      index = reused
    } else {
      guard slots.count < Self.capacityMax else { return nil }
      index = slots.count
      slots.append(Slot())
    }
    let id = sequence << Self.indexBits | UInt64(index)
    sequence = sequence == Self.sequenceMax ? 1 : sequence &+ 1
    slots[index].id = id
    slots[index].call = call
    count += 1
    return id
  }

  /// Takes a call out; nil where no call bears the id (any more).
  mutating func remove(_ id: UInt64) -> PendingCall<Caller>? {
    guard let index = index(of: id) else { return nil }
    return vacate(index)
  }

  /// Takes out a call that its shard has answered; nil where the shard has no such call.
  mutating func removeSent(_ id: UInt64, shard: Int) -> PendingCall<Caller>? {
    guard let index = index(of: id), slots[index].call?.shard == shard,
      slots[index].call?.isWaiting == false
    else { return nil }
    return vacate(index)
  }

  /// The call is moved out rather than copied: this is half of what the table costs a call.
  @inline(__always)
  private mutating func vacate(_ index: Int) -> PendingCall<Caller>? {
    var call: PendingCall<Caller>?
    swap(&call, &slots[index].call)
    slots[index].id = 0
    free.append(index)
    count -= 1
    if let timer = call?.timer { deadlines.remove(timer) }
    return call
  }

  subscript(id: UInt64) -> PendingCall<Caller>? {
    index(of: id).flatMap { slots[$0].call }
  }

  // MARK: - The life of a call

  /// A call that waited has its place among its lane's calls.
  mutating func placed(_ id: UInt64, order: UInt64) {
    guard let index = index(of: id) else { return }
    slots[index].call?.order = order
  }

  /// A call that waits goes to another shard.
  mutating func move(_ id: UInt64, to shard: Int) {
    guard let index = index(of: id) else { return }
    slots[index].call?.shard = shard
  }

  /// The first part of a call's reply has come, or its large reply was announced: its turn is over.
  mutating func beganReply(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    slots[index].call?.isOrdered = false
    slots[index].call?.reply = .inParts
  }

  /// A shard has not executed a call, which waits again.
  mutating func returned(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    slots[index].call?.order = 0
    slots[index].call?.timesReturned += 1
  }

  /// The caller of a call that was sent has gone.
  mutating func abandon(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    slots[index].call?.target = .abandoned
    if let timer = slots[index].call?.timer { deadlines.remove(timer) }
  }

  // MARK: - Deadlines

  /// When the next of the calls that have a deadline is to be ended.
  var dueNanos: UInt64? { deadlines.nextDeadlineNanos }

  /// Has a call ended at its deadline.
  mutating func setDeadline(_ id: UInt64, _ deadlineNanos: UInt64) {
    guard let index = index(of: id) else { return }
    slots[index].call?.timer = deadlines.insert(deadlineNanos: deadlineNanos, id)
  }

  /// The next call whose time is over. It is still there.
  mutating func nextOverdue(nowNanos: UInt64) -> UInt64? {
    deadlines.popExpired(nowNanos: nowNanos)
  }

  // MARK: - Looking at all

  /// Looks at every call. O(capacity).
  func forEach(_ body: (UInt64, borrowing PendingCall<Caller>) -> Void) {
    for slot in slots { if let call = slot.call { body(slot.id, call) } }
  }

  /// The ids of the calls that a closure picks, oldest first. O(capacity): for rare events, as when
  /// a link breaks or a client with calls under way is gone.
  func ids(where isWanted: (PendingCall<Caller>) -> Bool) -> [UInt64] {
    slots.compactMap { slot in slot.call.map(isWanted) == true ? slot.id : nil }
      .sorted(by: CallOrder.isBefore)
  }

  private func index(of id: UInt64) -> Int? {
    let index = Int(id & (1 << Self.indexBits - 1))
    guard id != 0, index < slots.count, slots[index].id == id else { return nil }
    return index
  }
}
