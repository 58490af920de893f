// The calls of a router's loop that wait for values at their shards, by id: the data to make them
// wait again at another shard or on a new link. They stay in the table of calls, but count on no
// lane.
//
//   parked --its reply comes--> replied
//     |  +--recalled: the shard says it had not run--> the error for which it was recalled
//     +--its link is lost--> adrift --the same shard reports what ran--> parked again,
//                              |                                         or OUTCOME_UNKNOWN
//                              +--the link stays away--> OUTCOME_UNKNOWN
//
// Pure; part of a router's core.

import NIOCore
import RingstoreAPI
import Users

struct ParkedCall {
  let shard: Int
  let method: UInt32
  let request: ByteBuffer
  /// The caller's, on the router's clock; 0: none.
  let deadlineNanos: UInt64
  /// When it has waited long enough.
  let endNanos: UInt64
  /// Whether its caller was notified and no longer counts it.
  fileprivate(set) var isTold = false
  /// Who waits; nil: the router has no users.
  fileprivate(set) var principal: Principal?
  /// The link over which it was parked is lost.
  fileprivate(set) var isAdrift = false
  /// Whether the shard was asked to release it.
  fileprivate(set) var isReleased = false
  /// The error for its caller if it is released without having been executed.
  fileprivate(set) var recall: CallError?
}

struct ParkedCallTable {
  private var calls: [UInt64: ParkedCall] = [:]
  /// When calls that were parked over a lost link are abandoned, by the links' places.
  private var givenUpNanos: [Int: UInt64] = [:]

  var count: Int { calls.count }
  /// Whether no call may wait for values any more.
  private(set) var isClosed = false
  /// When the calls of the next link are abandoned.
  var dueNanos: UInt64? { givenUpNanos.isEmpty ? nil : givenUpNanos.values.min() }

  subscript(id: UInt64) -> ParkedCall? { calls[id] }

  /// The ids of all calls, in the order in which they were submitted.
  var ids: [UInt64] { calls.keys.sorted(by: CallOrder.isBefore) }

  mutating func close() { isClosed = true }

  mutating func add(_ id: UInt64, _ call: ParkedCall) { calls[id] = call }

  mutating func isFrom(_ principal: Principal?, _ id: UInt64) { calls[id]?.principal = principal }

  mutating func told(_ id: UInt64) { calls[id]?.isTold = true }

  @discardableResult
  mutating func remove(_ id: UInt64) -> ParkedCall? { calls.removeValue(forKey: id) }

  mutating func recall(_ id: UInt64, _ error: CallError) { calls[id]?.recall = error }

  /// Whether a call's shard can be asked to release it, and has not been yet. It counts as asked.
  mutating func mayRelease(_ id: UInt64) -> Bool {
    guard let call = calls[id], !call.isAdrift, !call.isReleased else { return false }
    calls[id]?.isReleased = true
    return true
  }

  // MARK: - Links that are lost

  /// A link is lost: its calls are adrift.
  ///
  /// - Parameter untilNanos: when they are abandoned, if the link doesn't come back.
  mutating func lost(_ shard: Int, untilNanos: UInt64) {
    var hasAny = false
    for (id, call) in calls where call.shard == shard {
      calls[id]?.isAdrift = true
      hasAny = true
    }
    if hasAny, givenUpNanos[shard] == nil { givenUpNanos[shard] = untilNanos }
  }

  /// The calls that were parked over earlier links to a shard.
  func adrift(_ shard: Int) -> [UInt64] {
    guard givenUpNanos[shard] != nil else { return [] }
    return calls.filter { $0.value.shard == shard && $0.value.isAdrift }.keys
      .sorted(by: CallOrder.isBefore)
  }

  /// None of a link's calls is adrift any more.
  mutating func settled(_ shard: Int) { givenUpNanos[shard] = nil }

  /// The next link whose calls are abandoned.
  func nextGivenUp(nowNanos: UInt64) -> Int? {
    givenUpNanos.filter { $0.value <= nowNanos }.keys.min()
  }
}
