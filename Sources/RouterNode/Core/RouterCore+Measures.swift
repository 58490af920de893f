// Measurements of a router's loop: durations of its clients' calls, slow and large calls, and the
// state of its links. A call carries the time of the tick in which it was read; the tick of its
// reply has its own time. So the clock is read once for all calls of a read.
//
// The core's event loop.

import Commands
import MetricTypes
import NodeCore
import Placement
import RingstoreAPI

extension RouterCore {
  /// A call has ended.
  @inline(__always)
  func measure(
    _ call: borrowing PendingCall<Caller>, replyBytes: Int = 0, isError: Bool
  ) {
    guard call.place >= 0 else { return }
    let nanos = elapsedNanos(since: call.startedNanos)
    meter.record(Int(call.place), isError: isError, nanos: nanos)
    let bytes = max(call.bytes, replyBytes)
    if meter.isNotable(nanos: nanos, bytes: bytes) {
      noteSlow(call, nanos, replyBytes: replyBytes, isError: isError)
    }
  }

  @inline(__always)
  private func elapsedNanos(since startedNanos: UInt64) -> UInt64 {
    let now = tickNanos
    return now > startedNanos ? now &- startedNanos : 0
  }

  @inline(never)
  private func noteSlow(
    _ call: borrowing PendingCall<Caller>, _ nanos: UInt64, replyBytes: Int, isError: Bool
  ) {
    var slow = SlowCall(place: Int(call.place), durationNanos: nanos, isError: isError)
    slow.requestBytes = call.bytes
    slow.replyBytes = replyBytes
    slow.slot = call.slot == Self.noSlot ? nil : Int(call.slot)
    slow.shard = links[call.shard].shardID
    meter.slowLog.note(slow)
  }

  /// An operation has ended.
  func measure(_ end: ReplyEnd, place: Int, since startedNanos: UInt64) {
    guard place >= 0 else { return }
    let nanos = elapsedNanos(since: startedNanos)
    var isError = false
    if case .failed = end { isError = true }
    meter.record(place, isError: isError, nanos: nanos)
    var slow = SlowCall(place: place, durationNanos: nanos, isError: isError)
    if case .response(let response) = end { slow.replyBytes = response.readableBytes }
    meter.slowLog.note(slow)
  }

  // MARK: - Metrics

  /// The loop's figures of its calls and links. O(links + commands).
  package func addMetrics(to metrics: inout MetricCollection) {
    metrics.add(NodeMetric.callsInFlight, calls.count - parkedCalls.count)
    metrics.add(NodeMetric.parkedCalls, parkedCalls.count)
    metrics.add(NodeMetric.linkWait, linkWaits)
    metrics.add(replyMemory)
    var waitingBytes = 0
    for place in links.members {
      let link = links[place]
      let shard = MetricLabel("shard", link.shardID)
      waitingBytes += link.waitingBytes
      for lane in LinkLane.allCases {
        let labels = [shard, MetricLabel("lane", lane.rawValue)]
        metrics.add(NodeMetric.linkCallsInFlight, labels, link[lane].callsInFlight)
        metrics.add(NodeMetric.linkCallsWaiting, labels, link[lane].waitingCount)
      }
      for (direction, bytes) in [("sent", link.bytesSent), ("received", link.bytesReceived)] {
        metrics.add(NodeMetric.linkBytes, [shard, MetricLabel("direction", direction)], bytes)
      }
    }
    metrics.add(NodeMetric.memory, [MetricLabel("kind", "waiting")], waitingBytes)
    metrics.add(NodeMetric.memory, [MetricLabel("kind", "large_replies")], streams.requestedBytes)
  }

  /// What is the same for all loops of a router.
  package func addSharedMetrics(to metrics: inout MetricCollection) {
    metrics.add(NodeMetric.info, [MetricLabel("cluster", identity.cluster)], 1)
    metrics.add(NodeMetric.mapEpoch, mapEpoch)
    metrics.add(NodeMetric.mapShards, shardIDs.count)
    for (kind, bytes) in [
      ("replies", limits.replyMemoryBytesMax), ("large_replies", limits.largeReplyMemoryBytesMax),
    ] {
      metrics.add(NodeMetric.memoryLimit, [MetricLabel("kind", kind)], bytes)
    }
  }
}
