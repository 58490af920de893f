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
  let shardID: String
  private var route: LinkAddress
  /// Whether the shard belongs to the cluster. If not, the link is closed after its calls in
  /// progress.
  private(set) var isMember = true
  /// Whether the shard is known to serve any slot. A new one serves none until it is informed that
  /// the map is in force.
  private(set) var isServing = false
  var hello = LinkHello()
  var lineages = LinkLineages()
  var state: LinkState
  var trouble = LinkTrouble()
  /// The shard's clock, as received on this link.
  private(set) var clock = ShardClock()

  var calls: RouterLane
  var bulk: RouterLane
  private var others = LinkCalls()

  /// All bytes of frames so far.
  private(set) var bytesSent: UInt64 = 0
  private(set) var bytesReceived: UInt64 = 0
  /// When a call was last sent, on the router's clock; nil: none was.
  private(set) var lastCallNanos: UInt64?

  init(shardID: String, address: String, state: LinkState, _ limits: LinkLimits) {
    self.shardID = shardID
    route = LinkAddress(address)
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
    isPlacedAgain: Bool = false
  ) -> UInt64 {
    let millis = body.deadlineNanos == 0 ? 0 : clock.millis(ofDeadline: body.deadlineNanos)
    return self[lane].appendCall(bytes: bytes, tail: body.tail) { frame in
      if isPlacedAgain { frame.append(LinkV1.RouterFrame.Field.placedAgain, id) }
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

  mutating func received(bytes: Int) { bytesReceived &+= UInt64(bytes) }

  // MARK: - Its calls

  /// Whether no reply is outstanding.
  var isIdle: Bool { calls.callsInFlight == 0 && bulk.callsInFlight == 0 && others.isIdle }

  /// Calls that were sent on the link, including lost connections.
  var callCounts: CallCounts {
    let started = Int(clamping: calls.ordered &+ bulk.ordered)
    let open = calls.callsInFlight + bulk.callsInFlight + others.open
    return CallCounts(
      started: started, succeeded: max(0, started - open - others.failed), failed: others.failed)
  }

  /// Memory of the calls that wait for space or for their order.
  var waitingBytes: Int { others.waitingBytes }

  mutating func callWaits(bytes: Int) { others.waits(bytes: bytes) }
  mutating func waitEnded(bytes: Int) { others.waitEnded(bytes: bytes) }

  /// The shard has parked a call: it is in flight on its lane no more.
  mutating func callParked(_ lane: LinkLane, bytes: Int) {
    self[lane].callEnded(bytes: bytes)
    others.beganWait()
  }

  /// The chunked reply of a call has begun: it counts on its lane no more.
  mutating func replyBegan(_ lane: LinkLane, bytes: Int, wasParked: Bool) {
    stopCounting(lane, bytes: bytes, wasParked: wasParked)
    others.beganReply()
  }

  /// A chunked reply has ended.
  mutating func replyEnded() { others.endedReply() }

  /// A call that was parked has had its last reply.
  mutating func parkedEnded() { others.endedWait() }

  /// The shard has returned a call.
  mutating func callReturned(_ lane: LinkLane, bytes: Int, wasParked: Bool) {
    stopCounting(lane, bytes: bytes, wasParked: wasParked)
    others.callFailed()
  }

  private mutating func stopCounting(_ lane: LinkLane, bytes: Int, wasParked: Bool) {
    if wasParked { others.endedWait() } else { self[lane].callEnded(bytes: bytes) }
  }

  /// The last reply of a call was an error.
  mutating func callFailed() { others.callFailed() }

  /// The shard has sent its clock.
  mutating func heard(_ millis: UInt64, nowNanos: UInt64) {
    clock.heard(millis, nowNanos: nowNanos)
    calls.heardMillis = clock.heardMillis
    bulk.heardMillis = clock.heardMillis
  }

  mutating func serves() { isServing = true }

  /// The shard belongs to the cluster.
  mutating func join() { isMember = true }

  /// The shard doesn't belong to the cluster any more.
  mutating func leave() { isMember = false }

  // MARK: - Its address

  /// Where it is dialed the next time.
  var address: String { route.current }

  mutating func readdress(to address: String) { route.change(to: address) }

  /// An attempt to connect begins. Returns the address to dial.
  mutating func beginConnecting() -> String {
    state.beginConnecting()
    hello = LinkHello()
    return route.dial()
  }

  /// Whether new calls wait, because the link is being opened at another address or to a new shard.
  var isMoving: Bool { route.isMoving }

  /// When that has taken too long; nil while the link is being connected.
  var moveDueNanos: UInt64? { state.isReady ? route.dueNanos : nil }

  /// What is to be done so that the link leads to its shard's address.
  var addressStep: LinkAddress.Step {
    route.next(state.phase, isIdle: isIdle, isServing: isServing)
  }

  /// What is to be done when that has taken too long.
  var overdueStep: LinkAddress.Step { route.overdueStep }

  /// Whether the connections lead to the shard's address.
  var isAtItsAddress: Bool { !route.isElsewhere }

  /// New calls wait from now on, or longer than before.
  mutating func wait(untilNanos: UInt64) {
    route.wait(untilNanos: untilNanos)
    calls.isClosed = true
    bulk.isClosed = true
  }

  mutating func endMoving() {
    route.stopWaiting()
    calls.isClosed = false
    bulk.isClosed = false
  }

  /// Drops everything that depended on the lost connections. Waiting calls are not dropped here.
  ///
  /// - Parameter keepsWaiting: whether calls that wait for space continue to wait.
  mutating func clear(keepsWaiting: Bool = false) {
    clock = ShardClock()
    isServing = false
    lineages.clear()
    others.lost(onLanes: calls.callsInFlight + bulk.callsInFlight)
    calls.clear(keepsWaiting: keepsWaiting)
    bulk.clear(keepsWaiting: keepsWaiting)
  }
}
