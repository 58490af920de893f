// A shard's measurements of calls: durations, slow and large calls. This needs no clock reading:
// calls are recorded with the time of their entry, and the loop finishes all calls of a tick at its
// end (CallMeter).
//
// The core's event loop.

import Commands
import MetricTypes
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Tracing
import Users

extension ShardCore {
  /// A call was executed, and gets its reply in this tick or later.
  @inline(__always)
  func note(_ method: UInt32, isError: Bool, _ context: CallContext) {
    meter.note(
      CallNumbers.place(of: Int(method)) ?? -1, isError: isError, tickNanos: context.nowNanos)
  }

  /// The same for an encoded call.
  @inline(__always)
  func executed(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, _ remainder: Remainder?,
    _ context: CallContext
  ) {
    note(method, isError: false, context)
    if meter.isNotable(bytes: message.count) || remainder != nil {
      noteLarge(method, message, remainder, context)
    }
  }

  /// A call failed. (A refused call may not have begun.)
  @inline(never)
  func failed(_ method: UInt32, _ error: CallError, _ context: CallContext) {
    counters.failed(error)
    note(method, isError: true, context)
    if context.span != 0 { tracer?.setOutcome(SpanOutcome(of: error), of: context.span) }
  }

  // MARK: - Slow and large calls

  @inline(never)
  private func noteLarge(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, _ remainder: Remainder?,
    _ context: CallContext
  ) {
    var replyBytes = 0
    if case .source(let source) = remainder { replyBytes = source.byteCount ?? 0 }
    guard meter.isNotable(bytes: max(message.count, replyBytes)) else { return }
    var call = slowCall(method, message, nanos: 0)
    call.replyBytes = replyBytes
    meter.slowLog.note(call)
  }

  /// A search in turns has ended. Its waits for other turns count.
  func searched(_ method: UInt32, _ request: ByteBuffer, _ context: CallContext) {
    let now = clock()
    let nanos = context.nowNanos > 0 && now > context.nowNanos ? now &- context.nowNanos : 0
    guard meter.isNotable(nanos: nanos) else { return }
    let call = request.withUnsafeReadableBytes { slowCall(method, $0, nanos: nanos) }
    meter.slowLog.note(call)
  }

  private func slowCall(
    _ method: UInt32, _ message: UnsafeRawBufferPointer, nanos: UInt64
  ) -> SlowCall {
    var call = SlowCall(
      place: CallNumbers.place(of: Int(method)) ?? -1, durationNanos: nanos, isError: false)
    call.requestBytes = message.count
    if let fields = CommandTable.keyFields(ofMethod: method),
      let target = try? fields.find(in: message)
    {
      call.slot = Slots.slot(of: target.key)
      call.database = Int(target.database)
      switch meter.slowLog.keyForm {
      case .digest: call.key = .digest(KeyDigest.text(target.key))
      case .key: call.key = .bytes(Array(target.key.prefix(SlowKeyForm.keyBytesMax)))
      case .none: break
      }
    }
    return call
  }

  // MARK: - Metrics

  /// The core's own figures. O(commands).
  package func addMetrics(to metrics: inout MetricCollection) {
    metrics.add(NodeMetric.info, [MetricLabel("cluster", ownership.cluster)], 1)
    metrics.add(NodeMetric.mapEpoch, ownership.map?.epoch ?? 0)
    metrics.add(NodeMetric.slotsOwned, ownership.states.owned.count)
    metrics.add(counters, meter, isShard: true)
    metrics.add(NodeMetric.loopTickDuration, [MetricLabel("loop", "0")], meter.ticks)
    metrics.add(NodeMetric.parkedCalls, parked.count)
    metrics.add(NodeMetric.callParks, parked.total)
    addStore(to: &metrics)
    metrics.add(replyMemory)
    for (kind, bytes) in [("replies", limits.replyMemoryBytesMax), ("gate", limits.heldBytesMax)] {
      metrics.add(NodeMetric.memoryLimit, [MetricLabel("kind", kind)], bytes)
    }
    metrics.add(NodeMetric.memory, [MetricLabel("kind", "gate")], gate.heldBytes)
    metrics.add(NodeMetric.gateReplies, gate.count)
    metrics.add(NodeMetric.gateWait, gate.waits)
    metrics.add(NodeMetric.backupsRunning, backups.count)
    metrics.add(
      NodeMetric.backupCompleted, number: Double(backups.completedMillis) / 1_000)
    guard let log else { return }
    log.addMetrics(to: &metrics)
    log.passes.addMetrics(to: &metrics, wallMillis: wall.millis(atNanos: clock()))
  }

  private func addStore(to metrics: inout MetricCollection) {
    metrics.add(NodeMetric.keys, store.totalKeyCount)
    metrics.add(NodeMetric.keysExpiring, store.expiringKeyCount)
    metrics.add(NodeMetric.keysExpired, store.expiredKeyCount)
    metrics.add(NodeMetric.keysEvicted, store.evictedKeyCount)
    metrics.add(NodeMetric.memoryRefusals, memoryRefusals)
    metrics.add(NodeMetric.pinned, store.pinnedBytes)
    metrics.add(NodeMetric.views, views.count)
    metrics.add(NodeMetric.viewsExpired, viewsExpired)
    metrics.add(NodeMetric.memory, [MetricLabel("kind", "store_used")], store.usedBytes)
    metrics.add(
      NodeMetric.memory, [MetricLabel("kind", "store_free")],
      max(0, store.memoryBytes - store.usedBytes))
    if store.memoryLimit.bytes < .max, store.memoryLimit.bytes > 0 {
      metrics.add(
        NodeMetric.memoryLimit, [MetricLabel("kind", "store_used")], store.memoryLimit.bytes)
    }
  }
}

extension ShardLog {
  func addMetrics(to metrics: inout MetricCollection) {
    metrics.add(NodeMetric.logAppended, appendedBytes)
    metrics.add(NodeMetric.logBatches, [MetricLabel("way", "direct")], directBatches)
    metrics.add(NodeMetric.logBatches, [MetricLabel("way", "queued")], queuedBatches)
    metrics.add(NodeMetric.logWrite, writes)
    let measures = outputMeasures
    metrics.add(NodeMetric.logSync, measures.syncs)
    metrics.add(NodeMetric.logSegments, measures.segments)
    metrics.add(NodeMetric.logUnsynced, number: Double(unsyncedNanos) / 1_000_000_000)
    metrics.add(NodeMetric.diskFull, isDiskFull ? 1 : 0)
    metrics.add(NodeMetric.logStalled, isStalled ? 1 : 0)
    metrics.add(NodeMetric.memory, [MetricLabel("kind", "log")], bytesWaiting)
    metrics.add(NodeMetric.memoryLimit, [MetricLabel("kind", "log")], Self.queuedBytesMax)
  }
}

extension ShardPasses {
  /// - Parameter wallMillis: now, in milliseconds since 1970.
  func addMetrics(to metrics: inout MetricCollection, wallMillis: Int64) {
    metrics.add(NodeMetric.passes, [MetricLabel("result", "completed")], completedCount)
    metrics.add(NodeMetric.passes, [MetricLabel("result", "abandoned")], abandonedCount)
    metrics.add(NodeMetric.passRunning, progress == nil ? 0 : 1)
    metrics.add(NodeMetric.passDuration, number: Double(newestNanos) / 1_000_000_000)
    let ago = nanosSinceCompleted.map { Int64(clamping: $0 / 1_000_000) }
    metrics.add(
      NodeMetric.passCompleted, number: ago.map { Double(wallMillis - $0) / 1_000 } ?? 0)
  }
}
