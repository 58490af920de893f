// The calls in progress of a router's loop, found by id in O(1) and without allocation.
//
// A slab: a call's id is its slot's index in the low bits and, above, a number that grows with
// every call. So ids aren't reused while a late reply could still carry them, and a reply to an
// ended call finds nothing.
//
//   id = 0:1 | number of the call : 43 | index : 20      the highest bit marks operations
//
// The number wraps around, after 254 days at 400,000 calls a second; of two calls in progress
// `CallOrder` still has the earlier one.
//
// The memory is the table's own: a call is moved in and out of it, while an array's element would
// be copied, which counts up and down each reference in it.

import GRPC
import NodeCore

/// A call in progress. It changes in the table only.
struct PendingCall<Caller> {
  enum Target {
    case caller(Caller)
    case part(Fanout, tag: Int)
    /// The caller has disconnected, and the shard has not replied yet.
    case abandoned
  }

  /// The kind of reply that the shard will send.
  enum Reply: UInt8 {
    /// One reply; a large one is announced, and becomes `inParts`.
    case whole
    /// A stream whose first part has not arrived yet.
    case stream
    /// Parts arrive, or were announced: the call no longer counts on its lane.
    case inParts
    /// It waits for a value at its shard, and no longer counts on its lane (ParkedCallTable).
    case parked
  }

  fileprivate(set) var target: Target
  fileprivate(set) var shard: Int
  /// The slot of the call's key; `Slots.count` if it has no key.
  let slot: UInt16
  let lane: LinkLane
  let isWrite: Bool
  /// How often a shard has returned it because its slot wasn't the shard's.
  fileprivate(set) var timesReturned: UInt8 = 0
  /// Whether calls of the other lane on its key may have to wait for it.
  fileprivate(set) var isOrdered = false
  fileprivate(set) var reply: Reply
  /// Whether its caller waits for a value no longer.
  fileprivate(set) var endsWait = false
  /// The position among its lane's calls, which shows whether it had been given to the socket when
  /// a link breaks; 0 while the call waits.
  fileprivate(set) var order: UInt64 = 0
  /// The size of the request, counted against the lane's limit.
  let bytes: Int
  /// When it was submitted, in the tick's time; and the command that it counts as, -1: none. Parts
  /// are counted with their operation, and a call that waits for a value is not measured.
  let startedNanos: UInt64
  fileprivate(set) var place: Int16
  /// The number of the sub-request's span; 0: it isn't traced.
  var span: UInt32 = 0
  /// Set if the core must end it at its deadline.
  fileprivate var timer: DeadlineQueue<UInt64>.Handle?

  init(
    target: Target, shard: Int, slot: UInt16, lane: LinkLane, isWrite: Bool, bytes: Int,
    reply: Reply = .whole, place: Int = -1, startedNanos: UInt64 = 0
  ) {
    self.target = target
    self.shard = shard
    self.slot = slot
    self.lane = lane
    self.isWrite = isWrite
    self.bytes = bytes
    self.reply = reply
    self.place = Int16(truncatingIfNeeded: place)
    self.startedNanos = startedNanos
  }

  var isWaiting: Bool { order == 0 }

  /// The target alone, which is moved and not copied: `switch (consume call).intoTarget()`.
  @inline(__always)
  consuming func intoTarget() -> Target { target }

  var isAbandoned: Bool {
    if case .abandoned = target { return true }
    return false
  }
}

/// The order of calls that are in progress at one time, by their ids.
enum CallOrder {
  /// Whether one was submitted before the other. Half the range of numbers is on each side.
  @inline(__always)
  static func isBefore(_ one: UInt64, _ other: UInt64) -> Bool {
    // Without the highest bit, which no id has.
    Int64(bitPattern: (one &- other) << 1) < 0
  }
}

struct CallTable<Caller>: ~Copyable {
  /// At most this many calls are in progress in one loop; more are refused (OVERLOADED).
  static var capacityMax: Int { 1 << Self.indexBits }
  private static var indexBits: UInt64 { 20 }

  /// The call's id; of a free place, the place that is free after it, marked by the highest bit.
  private var ids: UnsafeMutablePointer<UInt64>
  /// Initialized if the place isn't free.
  private var calls: UnsafeMutablePointer<PendingCall<Caller>>
  private var capacity: Int
  /// Places that were ever used: all later ones are free too.
  private var used = 0
  /// The first free place; `used` if all before it are occupied.
  private var firstFree = 0
  private var deadlines = DeadlineQueue<UInt64>()
  private var sequence: UInt64
  private(set) var count = 0

  /// The highest number of a call.
  static var sequenceMax: UInt64 { 1 << (63 - Self.indexBits) - 1 }

  /// - Parameter firstSequence: the number of the first call, above 0.
  init(firstSequence: UInt64 = 1) {
    sequence = firstSequence
    capacity = Self.capacityFirst
    ids = .allocate(capacity: capacity)
    calls = .allocate(capacity: capacity)
  }

  private static var capacityFirst: Int { 64 }

  deinit {
    for index in 0..<used where ids[index] < Self.freeMark {
      (calls + index).deinitialize(count: 1)
    }
    ids.deallocate()
    calls.deallocate()
  }

  private static var indexMask: UInt64 { 1 << Self.indexBits - 1 }
  private static var freeMark: UInt64 { 1 << 63 }

  /// Adds a call and assigns an id, later than all others (`CallOrder`) and never 0; nil if the
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
    let index = firstFree
    if index < used {
      firstFree = Int(ids[index] & ~Self.freeMark)
    } else {
      guard used < Self.capacityMax else { return nil }
      if used == capacity { grow() }
      used += 1
      firstFree = used
    }
    let id = sequence << Self.indexBits | UInt64(index)
    sequence = sequence == Self.sequenceMax ? 1 : sequence &+ 1
    ids[index] = id
    (calls + index).initialize(to: call)
    count += 1
    return id
  }

  private mutating func grow() {
    let larger = min(2 * capacity, Self.capacityMax)
    let largerIDs = UnsafeMutablePointer<UInt64>.allocate(capacity: larger)
    let largerCalls = UnsafeMutablePointer<PendingCall<Caller>>.allocate(capacity: larger)
    // All places are occupied.
    largerIDs.moveInitialize(from: ids, count: used)
    largerCalls.moveInitialize(from: calls, count: used)
    ids.deallocate()
    calls.deallocate()
    (ids, calls, capacity) = (largerIDs, largerCalls, larger)
  }

  /// Removes a call; nil if no call has the id (any more).
  mutating func remove(_ id: UInt64) -> PendingCall<Caller>? {
    guard let index = index(of: id) else { return nil }
    return vacate(index)
  }

  /// Removes a call that got its reply; nil if the shard has no such call.
  mutating func removeSent(_ id: UInt64, shard: Int) -> PendingCall<Caller>? {
    guard let index = index(of: id), calls[index].shard == shard, !calls[index].isWaiting else {
      return nil
    }
    return vacate(index)
  }

  @inline(__always)
  private mutating func vacate(_ index: Int) -> PendingCall<Caller> {
    ids[index] = Self.freeMark | UInt64(firstFree)
    firstFree = index
    count -= 1
    if let timer = calls[index].timer { deadlines.remove(timer) }
    return (calls + index).move()
  }

  subscript(id: UInt64) -> PendingCall<Caller>? { index(of: id).map { calls[$0] } }

  // MARK: - The life of a call

  /// A call that waited has its place among its lane's calls.
  mutating func placed(_ id: UInt64, order: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].order = order
  }

  /// A call that waits goes to another shard.
  mutating func move(_ id: UInt64, to shard: Int) {
    guard let index = index(of: id) else { return }
    calls[index].shard = shard
  }

  /// The first part of a call's reply has arrived, or its large reply was announced: it leaves the
  /// order.
  mutating func beganReply(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].isOrdered = false
    calls[index].reply = .inParts
  }

  /// A shard has parked a call: its turn is over.
  mutating func parked(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].isOrdered = false
    calls[index].reply = .parked
    calls[index].place = -1
    calls[index].timesReturned = 0
  }

  /// The caller of a call waits for a value no longer.
  mutating func endWait(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].endsWait = true
  }

  /// A parked call must be routed again; it waits until then. Small calls keep their place in the
  /// order.
  mutating func unparked(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].isOrdered = calls[index].lane == .calls
    calls[index].reply = .whole
    calls[index].order = 0
  }

  /// A shard has not executed a call, which waits again.
  mutating func returned(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].order = 0
    calls[index].timesReturned += 1
  }

  /// The caller of a sent call has disconnected.
  mutating func abandon(_ id: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].target = .abandoned
    calls[index].place = -1
    if let timer = calls[index].timer { deadlines.remove(timer) }
  }

  // MARK: - Deadlines

  /// The earliest deadline of the calls.
  var dueNanos: UInt64? { deadlines.nextDeadlineNanos }

  /// Sets the deadline of a call.
  mutating func setDeadline(_ id: UInt64, _ deadlineNanos: UInt64) {
    guard let index = index(of: id) else { return }
    calls[index].timer = deadlines.insert(deadlineNanos: deadlineNanos, id)
  }

  /// The next call whose deadline has passed. It stays in the table.
  mutating func nextOverdue(nowNanos: UInt64) -> UInt64? {
    deadlines.popExpired(nowNanos: nowNanos)
  }

  // MARK: - Looking at all

  /// Looks at every call. O(capacity).
  func forEach(_ body: (UInt64, borrowing PendingCall<Caller>) -> Void) {
    for index in 0..<used where ids[index] < Self.freeMark { body(ids[index], calls[index]) }
  }

  /// The ids of the calls that a closure selects, oldest first. O(capacity): for rare events, as
  /// when a link breaks or a client with calls in progress disconnects.
  func ids(where isWanted: (PendingCall<Caller>) -> Bool) -> [UInt64] {
    var wanted: [UInt64] = []
    for index in 0..<used where ids[index] < Self.freeMark && isWanted(calls[index]) {
      wanted.append(ids[index])
    }
    return wanted.sorted(by: CallOrder.isBefore)
  }

  private func index(of id: UInt64) -> Int? {
    let index = Int(id & Self.indexMask)
    guard id < Self.freeMark, index < used, ids[index] == id else { return nil }
    return index
  }
}
