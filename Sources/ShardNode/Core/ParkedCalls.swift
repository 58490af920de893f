// The calls of a shard that wait for values, by their lists: for each list in the order of arrival.
// A call may be in the queues of several lists.
//
// All operations are amortised O(1): a call that leaves is marked, and removed from its queues when
// it reaches their fronts or when half of a queue is marked. Bounded by Limits.parkedCallsMax and
// parkedBytesMax. Part of a shard's core; its event loop.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Store

struct ParkedCalls {
  /// The memory of a call besides its request, and of its place in a list's queue besides the
  /// list's key.
  static let bytesPerCall = 640
  static let bytesPerPlace = 160

  private struct Queue {
    var calls = CircularBuffer<ParkedCall>(initialCapacity: 1)
    /// Calls in it that have left.
    var gone = 0

    mutating func takeOutGone() {
      calls.removeAll { $0.isOver }
      gone = 0
    }
  }

  private var queues: [StoredKey: Queue] = [:]
  /// By their numbers.
  private var calls: [UInt64: ParkedCall] = [:]
  private(set) var byteCount = 0
  /// All calls that were parked so far.
  private(set) var total: UInt64 = 0

  var count: Int { calls.count }
  var isEmpty: Bool { calls.isEmpty }

  /// The number of the next call.
  mutating func nextNumber() -> UInt64 {
    total += 1
    return total
  }

  mutating func add(_ call: ParkedCall) {
    calls[call.number] = call
    byteCount += call.byteCount
    for list in call.lists { queues[list, default: Queue()].calls.append(call) }
  }

  /// Takes out a call that is over.
  mutating func remove(_ call: ParkedCall) {
    guard calls.removeValue(forKey: call.number) != nil else { return }
    byteCount -= call.byteCount
    for list in call.lists {
      queues[list]?.gone += 1
      guard let queue = queues[list] else { continue }
      if queue.gone == queue.calls.count {
        queues[list] = nil
      } else if queue.gone > 32, queue.gone > queue.calls.count / 2 {
        queues[list]?.takeOutGone()
      }
    }
  }

  /// The call that has waited longest for a list.
  mutating func first(for list: StoredKey) -> ParkedCall? {
    while let first = queues[list]?.calls.first {
      guard first.isOver else { return first }
      _ = queues[list]?.calls.popFirst()
      queues[list]?.gone -= 1
    }
    return nil
  }

  /// All calls in the order of arrival.
  var inOrder: [ParkedCall] { calls.values.sorted { $0.number < $1.number } }
}

extension ShardCore {
  /// Calls that wait for values.
  package var parkedCount: Int { parked.count }

  /// Parks a call whose lists have no values.
  func park(
    _ wait: ListWait, _ method: UInt32, _ request: ByteBuffer, _ context: CallContext,
    to reply: ReplyHandle
  ) {
    guard state != .draining else { return reply.fail(.waitsNoMore(id)) }
    guard parked.count < limits.parkedCallsMax, parked.byteCount < limits.parkedBytesMax else {
      let error = CallError.parkedTooMany(limits)
      counters.failed(error)
      return reply.fail(error)
    }
    let call = ParkedCall(
      method, request, wait, context, number: parked.nextNumber(), to: reply, core: self)
    parked.add(call)
    store.notesNewLists = true
    reply.park(call)
  }

  /// Call it when a call has been executed and its reply written: calls that wait for its values
  /// come next.
  @inline(__always)
  package func serveParked() {
    if !parked.isEmpty, store.hasNewLists { executeParked() }
  }

  @inline(never)
  private func executeParked() {
    var lists = WaitedForLists()
    repeat {
      // An executed call may create a list itself.
      for list in store.takeNewLists() { lists.insert(list, parked.first(for: list)) }
    } while executeFirst(of: &lists)
  }

  /// Executes the oldest call that waits for any of these lists: the next one of a list might take
  /// from another list, for which others have waited longer. Returns false if there is none.
  private func executeFirst(of lists: inout WaitedForLists) -> Bool {
    guard let next = lists.popFirst() else { return false }
    guard let first = parked.first(for: next.list) else { return true }
    // If another call has left, this one may not be the oldest.
    guard first.number == next.number else {
      lists.insert(next.list, first)
      return true
    }
    // If this list has no values left, the next call for it needn't be tried.
    if first.execute() { lists.insert(next.list, parked.first(for: next.list)) }
    return true
  }

  /// A call waits no more.
  func parkedLeft(_ call: ParkedCall) {
    parked.remove(call)
    if parked.isEmpty { store.notesNewLists = false }
  }

  /// The shard drains: no call waits any more.
  package func endParked() {
    for call in parked.inOrder { call.fail(.waitsNoMore(id)) }
  }

  /// Another map is in force here: calls on slots that are not this shard's any more can't wait
  /// here.
  func endParkedElsewhere() {
    guard !parked.isEmpty else { return }
    for call in parked.inOrder where !ownership.states.owned.contains(call.slot) {
      call.slotGoes(ownership.refusal(ofSlot: call.slot))
    }
  }

  /// Executes a call that waited.
  func executeAgain(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer,
    largerThan bytesMin: Int, _ context: CallContext
  ) throws(CallError) -> Remainder? {
    latestMark = .none
    try admit(method, context)
    defer { if marks != nil { endMarking(method) } }
    return try run(method, message, in: nil, into: &response, largerThan: bytesMin, context)
  }
}

/// New lists with waiting calls, in the order of the calls that have waited longest for them.
/// Inserting one costs a search and a move of the later ones.
private struct WaitedForLists {
  /// The last one is the first.
  private var lists: [(number: UInt64, list: StoredKey)] = []

  mutating func insert(_ list: StoredKey, _ first: ParkedCall?) {
    guard let number = first?.number else { return }
    var (low, high) = (0, lists.count)
    while low < high {
      let middle = (low + high) / 2
      if lists[middle].number > number { low = middle + 1 } else { high = middle }
    }
    lists.insert((number, list), at: low)
  }

  mutating func popFirst() -> (number: UInt64, list: StoredKey)? { lists.popLast() }
}

extension CallError {
  /// A call that waited for a value when its shard began to drain. It was not executed.
  static func waitsNoMore(_ shard: String) -> CallError {
    .shardUnavailable(shard, "the shard is draining; the call was not executed")
  }
}
