// One shard as a router's loop sees it: two lanes with one state, and the replies that come in
// parts.

import NIOCore
import NodeCore

struct RouterLink {
  let shardID: String
  let address: String
  var state: LinkState
  var trouble = LinkTrouble()
  /// When a Hello that was sent must have been answered.
  var helloDueNanos: UInt64 = 0
  /// The shard's clock, as heard on this link.
  private(set) var clock = ShardClock()

  var calls: RouterLane
  var bulk: RouterLane

  /// Memory of the calls that wait, for room or for their turn.
  var waitingBytes = 0
  /// Calls whose replies have begun to come in parts. They are in flight on no lane any more.
  var flowsUnderWay = 0
  /// Bytes that the shard was asked for and that have yet to be passed on, and the calls that wait
  /// for their part of the bound.
  var bytesAskedFor = 0
  var askers = CircularBuffer<UInt64>()

  init(shardID: String, address: String, state: LinkState, _ limits: LinkLimits) {
    self.shardID = shardID
    self.address = address
    self.state = state
    calls = RouterLane(
      callsMax: limits.callsInFlightMax, bytesMax: limits.bytesInFlightMax,
      frameBytes: limits.frameBytes)
    bulk = RouterLane(
      callsMax: limits.bulkCallsInFlightMax, bytesMax: limits.bulkBytesInFlightMax,
      frameBytes: limits.frameBytes)
  }

  subscript(lane: LinkLane) -> RouterLane {
    _read { if lane == .calls { yield calls } else { yield bulk } }
    _modify { if lane == .calls { yield &calls } else { yield &bulk } }
  }

  /// Whether the shard owes no answer.
  var isIdle: Bool {
    calls.callsInFlight == 0 && bulk.callsInFlight == 0 && flowsUnderWay == 0
  }

  /// The shard has told its clock.
  mutating func heard(_ millis: UInt64, nowNanos: UInt64) {
    clock.heard(millis, nowNanos: nowNanos)
    calls.heardMillis = clock.heardMillis
    bulk.heardMillis = clock.heardMillis
  }

  /// Forgets everything but the state: the connections are gone.
  mutating func clear() {
    clock = ShardClock()
    calls.clear()
    bulk.clear()
    waitingBytes = 0
    flowsUnderWay = 0
    bytesAskedFor = 0
    askers.removeAll()
  }
}
