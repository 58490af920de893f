// One shard on the router's side: two lanes with one state, and chunked replies.

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
  /// The request, if it stays in its receive block.
  let tail: OwnedBytes?
  /// The restriction of the call's caller for the shard; nil: none, or the call's keys were
  /// checked.
  var restriction: ByteBuffer?
  /// The trace context for the shard; nil: the call isn't traced.
  var traceContext: ByteBuffer?
}

struct RouterLink {
  /// A shard's report about its data.
  struct Greeted {
    /// Nil: it is in memory only.
    let lineage: DataLineage?
  }

  let shardID: String
  /// Where it is dialed the next time.
  var address: String
  /// Whether the shard belongs to the cluster. If not, the link is closed after its calls in
  /// progress.
  var isMember = true
  /// What the connections were dialed with.
  var dialedAddress = ""
  /// Until when the link waits for its calls, to be opened at another address; nil: it doesn't. New
  /// calls wait meanwhile, and until the new connections are ready or have failed. The link to a
  /// new shard is treated like one that moves.
  private var movesUntilNanos: UInt64?
  /// The epoch of the map that the latest Hello carried.
  var helloEpoch: UInt64 = 0
  /// The round of the agreement in which it was sent; 0: it carried another map than is offered.
  var helloRound: UInt64 = 0
  /// Whether the shard is known to serve any slot. A new one serves none until it is informed that
  /// the map is in force.
  private(set) var isServing = false
  /// The shard's data, as reported on this link.
  var greeted: Greeted?
  /// Its current data, if the latest attempt has failed because of a different record.
  var loss: Greeted?
  /// Its records of all shards, as reported on this link; and the records sent to it last.
  var recorded = LineageRecords()
  var told = LineageRecords()
  var state: LinkState
  var trouble = LinkTrouble()
  /// For what the shard has refused the latest attempt; nil: that has ended otherwise, or the link
  /// is ready.
  var refusal: LinkRefusal?
  /// The deadline for the reply to a Hello.
  var helloDueNanos: UInt64 = 0
  /// The shard's clock, as received on this link.
  private(set) var clock = ShardClock()

  var calls: RouterLane
  var bulk: RouterLane

  /// All bytes of frames so far.
  var bytesSent: UInt64 = 0
  var bytesReceived: UInt64 = 0

  /// Memory of the calls that wait for space or for their order.
  var waitingBytes = 0
  /// Calls whose chunked replies have begun. They are no longer in flight on a lane.
  var flowsUnderWay = 0
  /// Calls that wait for values at the shard. They are in flight on no lane either.
  var callsParked = 0
  /// Calls whose final reply was an error or a return, or never arrived.
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

  /// The next frame for a lane, or nil if there is nothing to send.
  mutating func takeFrame(_ lane: LinkLane, nowNanos: UInt64) -> OutgoingFrame? {
    var hasCalls = false
    let frame = self[lane].takeFrame(hasCalls: &hasCalls)
    if hasCalls { lastCallNanos = nowNanos }
    if let frame { bytesSent &+= UInt64(frame.byteCount) }
    return frame
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

  /// Whether no reply is outstanding.
  var isIdle: Bool {
    calls.callsInFlight == 0 && bulk.callsInFlight == 0 && flowsUnderWay == 0
  }

  /// Calls that were sent on the link, including lost connections.
  var callCounts: CallCounts {
    let started = Int(clamping: calls.ordered &+ bulk.ordered)
    return CallCounts(
      started: started, succeeded: max(0, started - callsOpen - callsFailed), failed: callsFailed)
  }

  private var callsOpen: Int {
    calls.callsInFlight + bulk.callsInFlight + flowsUnderWay + callsParked
  }

  /// The shard has sent its clock.
  mutating func heard(_ millis: UInt64, nowNanos: UInt64) {
    clock.heard(millis, nowNanos: nowNanos)
    calls.heardMillis = clock.heardMillis
    bulk.heardMillis = clock.heardMillis
  }

  mutating func serves(_ isServing: Bool) {
    self.isServing = isServing
  }

  var isMoving: Bool { movesUntilNanos != nil }

  /// Until when the link waits for calls in progress; nil once they have ended.
  var movesDueNanos: UInt64? { state.isReady ? movesUntilNanos : nil }

  /// Waits for calls in progress, so that the link can be opened again.
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

  /// Drops everything that depended on the lost connections. Waiting calls are not dropped here.
  ///
  /// - Parameter keepsWaiting: whether calls that wait for space continue to wait.
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
