// One shard as a router's loop sees it: two lanes with one state, and the replies that come in
// parts.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

/// What is sent of a call that has to wait, beside its request.
struct CallBody {
  let method: UInt32
  /// On the router's clock; 0: none.
  let deadlineNanos: UInt64
  /// The request, where it stays where it was received.
  let tail: OwnedBytes?
  /// What the shard is told of what the call's caller may touch; nil: he may touch everything, or
  /// the call's keys were checked.
  var restriction: ByteBuffer?
  /// What the shard is told of the call's trace; nil: it isn't traced.
  var traceContext: ByteBuffer?
}

struct RouterLink {
  /// What a shard has said of its data.
  struct Greeted {
    /// Nil: it is in memory only.
    let lineage: DataLineage?
  }

  let shardID: String
  /// Where it is dialed the next time.
  var address: String
  /// Whether the shard belongs to the cluster. Where not, the link ends with what is under way on
  /// it.
  var isMember = true
  /// What the connections were dialed with.
  var dialedAddress = ""
  /// Until when the link tries to come to an end, to be dialed anew at another address; nil: it
  /// doesn't. Calls wait meanwhile, and until the new connections are ready or can't be made. The
  /// link to a shard that has just joined is as one that moves.
  private var movesUntilNanos: UInt64?
  /// The epoch of the map that the latest Hello carried.
  var helloEpoch: UInt64 = 0
  /// The round of the agreement in which it was sent; 0: it carried another map than is offered.
  var helloRound: UInt64 = 0
  /// Whether the shard serves any slot, as far as is known. One that has just started serves none
  /// until it is told that the map is in force.
  private(set) var isServing = false
  /// Which data the shard has, as it has told on this link.
  var greeted: Greeted?
  /// What it has now, where the latest attempt has failed because something else is on record.
  var loss: Greeted?
  /// What it has on record of all shards, as it has told on this link; and what it was told last.
  var recorded = LineageRecords()
  var told = LineageRecords()
  var state: LinkState
  var trouble = LinkTrouble()
  /// When a Hello that was sent must have been answered.
  var helloDueNanos: UInt64 = 0
  /// The shard's clock, as heard on this link.
  private(set) var clock = ShardClock()

  var calls: RouterLane
  var bulk: RouterLane

  /// Bytes of frames, ever.
  var bytesSent: UInt64 = 0
  var bytesReceived: UInt64 = 0

  /// Memory of the calls that wait, for room or for their turn.
  var waitingBytes = 0
  /// Calls whose replies have begun to come in parts. They are in flight on no lane any more.
  var flowsUnderWay = 0
  /// Calls that wait for values at the shard. They are in flight on no lane either.
  var callsParked = 0
  /// Calls whose last reply was an error or a return, or never came.
  var callsFailed = 0
  /// When a call was last sent, on the router's clock; nil: none was.
  var lastCallNanos: UInt64?

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

  /// Puts a call into a lane's batch. Returns its place among the lane's calls.
  mutating func append(
    _ id: UInt64, _ body: CallBody, _ request: UnsafeRawBufferPointer, lane: LinkLane, bytes: Int,
    isAnew: Bool = false
  ) -> UInt64 {
    let millis = body.deadlineNanos == 0 ? 0 : clock.millis(ofDeadline: body.deadlineNanos)
    return self[lane].appendCall(bytes: bytes, tail: body.tail) { frame in
      if isAnew { frame.append(LinkV1.RouterFrame.Field.placedAnew, id) }
      if let tail = body.tail {
        frame.writeCallHead(
          .link, id: id, method: body.method, requestBytes: tail.count, timeMillis: millis,
          traceContext: body.traceContext)
      } else if body.restriction != nil || body.traceContext != nil {
        frame.writeLinkCall(
          id: id, method: body.method, request: request, deadlineMillis: millis,
          restriction: body.restriction, traceContext: body.traceContext)
      } else {
        frame.writeCall(
          .link, id: id, method: body.method, request: request, timeMillis: millis)
      }
    }
  }

  /// Whether the shard owes no reply.
  var isIdle: Bool {
    calls.callsInFlight == 0 && bulk.callsInFlight == 0 && flowsUnderWay == 0
  }

  /// Calls that were put on the link, on connections that have gone too.
  var callCounts: CallCounts {
    let started = Int(clamping: calls.ordered &+ bulk.ordered)
    return CallCounts(
      started: started, succeeded: max(0, started - callsOpen - callsFailed), failed: callsFailed)
  }

  private var callsOpen: Int {
    calls.callsInFlight + bulk.callsInFlight + flowsUnderWay + callsParked
  }

  /// The shard has told its clock.
  mutating func heard(_ millis: UInt64, nowNanos: UInt64) {
    clock.heard(millis, nowNanos: nowNanos)
    calls.heardMillis = clock.heardMillis
    bulk.heardMillis = clock.heardMillis
  }

  mutating func serves(_ isServing: Bool) {
    self.isServing = isServing
  }

  var isMoving: Bool { movesUntilNanos != nil }

  /// When the calls under way have had their time; nil once they have ended.
  var movesDueNanos: UInt64? { state.isReady ? movesUntilNanos : nil }

  /// Lets calls under way end, so that the link can be dialed anew.
  mutating func beginMoving(untilNanos: UInt64) {
    movesUntilNanos = untilNanos
    calls.isClosed = true
    bulk.isClosed = true
  }

  mutating func endMoving() {
    movesUntilNanos = nil
    calls.isClosed = false
    bulk.isClosed = false
  }

  /// Forgets what depended on the connections, which are gone. Calls that wait are not forgotten
  /// here.
  ///
  /// - Parameter keepsWaiting: whether calls that wait for room go on waiting for it.
  mutating func clear(keepsWaiting: Bool = false) {
    clock = ShardClock()
    isServing = false
    greeted = nil
    loss = nil
    recorded = LineageRecords()
    told = LineageRecords()
    callsFailed += callsOpen
    callsParked = 0
    calls.clear(keepsWaiting: keepsWaiting)
    bulk.clear(keepsWaiting: keepsWaiting)
    flowsUnderWay = 0
  }
}
