// Clients' calls: from the front into the core, which sends them over links.

import Commands
import Front
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI
import StandardServices
import Users

extension RouterService: Dispatcher {
  var limits: Limits { core.limits }
  var replyMemory: MemoryBudget { core.replyMemory }

  func unary(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    _ principal: Principal?, span: UInt32
  ) -> UInt64? {
    let method = UInt32(truncatingIfNeeded: call.methodID)
    nodeCounters.called(method)
    var context = CallContext(principal, deadlineNanos: call.deadlineNanos)
    context.span = span
    return core.submit(
      method, message: message, in: block, context, endsAtDeadline: false, caller: .unary(call))
  }

  func submit(_ call: LocalCall, _ request: any KeyedCall, _ context: CallContext) -> UInt64? {
    nodeCounters.called(UInt32(truncatingIfNeeded: call.command.id.rawValue))
    return core.submit(request, context, endsAtDeadline: true, caller: .local(call))
  }

  func openStream(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, for caller: FrontCaller
  ) -> UInt64? {
    core.openStream(message: message, context, caller: caller)
  }

  func start(
    _ command: CommandID, _ operation: any FanoutOperation, _ context: CallContext,
    endsAtDeadline: Bool, for caller: FrontCaller
  ) -> UInt64? {
    guard let handle = core.start(operation, context, caller: caller, as: command) else {
      return nil
    }
    if endsAtDeadline, context.hasDeadline {
      core.endOperation(handle, atNanos: context.deadlineNanos)
    }
    return handle
  }

  func read(_ batch: UnsafeRawBufferPointer) throws(WireError) { _ = try V1.CallBatch(batch) }

  func place(
    _ batch: UnsafeRawBufferPointer, in block: LargeBlock?, of pipeline: FrontPipeline
  ) throws(WireError) -> Int {
    var calls = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    var taken = 0
    guard let core else { return 0 }
    while let bytes = calls.next() {
      guard pipeline.begins() else { return taken }
      place(try V1.Call(bytes), in: block, of: pipeline, core)
      if let start = batch.baseAddress, let end = bytes.baseAddress {
        taken = start.distance(to: end) + bytes.count
      }
    }
    return batch.count
  }

  /// - Parameter core: looked up once for a batch.
  private func place(
    _ next: V1.Call, in block: LargeBlock?, of pipeline: FrontPipeline,
    _ core: RouterCore<RouterService>
  ) {
    let method = next.methodNumber
    nodeCounters.called(method)
    do throws(CallError) {
      if let field = next.unservedField { throw .unservedField(field) }
      if next.hasUnknownField { throw .unknownField }
      try pipeline.admit(next)
    } catch {
      return fail(.pipelined(pipeline, id: next.id), error: error)
    }
    var context = CallContext()
    context.principal = pipeline.principal
    if pipeline.mayTrace, let span = pipeline.trace(next) {
      span.endsWithChild = true
      context.span = span.number
    }
    if next.timeoutMillis > 0 {
      context.deadlineNanos = pipeline.receivedNanos + UInt64(next.timeoutMillis) * 1_000_000
    }
    _ = core.submit(
      method, message: next.request, in: block, context, endsAtDeadline: true,
      caller: .pipelined(pipeline, id: next.id))
  }

  func cancel(_ id: UInt64) { core.cancel(id) }

  func endWait(_ id: UInt64) { core.endWait(id) }

  func isThisNode(_ node: String) -> Bool { core.isThisNode(node) }

  func endRevokedCalls() { core.endRevokedCalls() }

  func cancelCalls(of pipeline: FrontPipeline) {
    core.cancelCalls { $0.isPipelined(by: pipeline) }
  }

  func callerTakesMore(_ id: UInt64) { core.callerWritable(id) }

  // MARK: - The node

  func context(of call: CallContext) -> CallContext {
    LocalCall.bounded(call, nowNanos: NIODeadline.now().uptimeNanoseconds)
  }

  func countCall(_ method: UInt32) { nodeCounters.called(method) }

  func countError(_ error: CallError) { nodeCounters.failed(error) }

  /// The wake-up is set at the end of the tick.
  func afterEvent() { flusher.markDirty(self) }

  /// With several loops, the counters of all of them come first.
  func fetchCounters() -> EventLoopFuture<Void>? {
    guard !loops.isSingle else {
      counters = ownCounters
      return nil
    }
    let service = NIOLoopBound(self, eventLoop: eventLoop)
    return loops.counters(on: eventLoop).map { service.value.counters = $0 }
  }

  var notReadyReason: String? { core.notServingReason }

  var shardHealth: [(id: String, isServing: Bool)] { core.shardHealth }

  func healthOfAllLoops() -> EventLoopFuture<NodeHealth>? {
    loops.isSingle ? nil : loops.health(on: eventLoop)
  }

  func linkReports() -> EventLoopFuture<[LinkReport]>? { loops.linkReports(on: eventLoop) }

  /// This loop's links.
  ///
  /// - Parameter number: the loop's.
  func ownLinkReports(loop number: Int) -> [LinkReport] {
    core.linkReports { "loop \(number), shard \($0)" }
  }

  /// What Describe starts from.
  func describe() -> DescribeMerge {
    var router = describeSelf()
    if let reason = core.notServingReason {
      router.state = .notServing
      router.detail = reason
    }
    return DescribeMerge(
      cluster: core.identity.cluster, map: core.shownMap, core.lineages, in: encodedMap,
      router: router, shardIDs: core.shardIDs)
  }
}
