// Calls that are made of parts: where they start, send and end.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

/// An operation under way, with the calls that carry its parts.
final class RunningOperation<Caller> {
  let operation: any FanoutOperation
  let caller: Caller
  let context: CallContext
  /// The operation's place in the core's timers, where the core is to end it at its deadline.
  var timer: DeadlineQueue<UInt64>.Handle?
  var isOver = false
  /// The places of the shards' links, as the operation counts the shards.
  let shards: [Int]
  /// Parts that wait for room or their turn; the caller's connection is not read meanwhile.
  var partsWaiting = 0
  /// What the core's `answerMemory` counts for it.
  var heldBytes = 0
  /// The calls of parts under way, and some that have ended.
  private(set) var parts: [UInt64] = []
  private var partsMax = 64

  init(
    _ operation: any FanoutOperation, caller: Caller, _ context: CallContext, shards: [Int]
  ) {
    self.shards = shards
    self.operation = operation
    self.caller = caller
    self.context = context
  }

  /// Notes a part's call. Amortised O(1).
  func sent(_ id: UInt64, isUnderWay: (UInt64) -> Bool) {
    if parts.count >= partsMax {
      parts.removeAll { !isUnderWay($0) }
      partsMax = max(64, 2 * parts.count)
    }
    parts.append(id)
  }
}

extension RouterCore {
  /// Operations under way.
  package var operationsUnderWay: Int { operations.count }

  /// Starts an operation. Returns its handle while it is under way, or nil where it has ended.
  ///
  /// - Parameter context: the call's, which parts carry on; the driver ends the operation at its
  ///   deadline.
  package func start(
    _ operation: any FanoutOperation, _ context: CallContext, caller: Caller
  ) -> UInt64? {
    operationCount = (operationCount &+ 1) & ~Self.operationMark
    operation.handle = operationCount | Self.operationMark
    let running = RunningOperation(operation, caller: caller, context, shards: members)
    operations[operation.handle] = running
    if account(running) { operation.start(on: self) }
    settle()
    return operations[operation.handle] == nil ? nil : operation.handle
  }

  /// Has the core end an operation at its deadline, where the driver doesn't.
  package func endOperation(_ handle: UInt64, atNanos deadlineNanos: UInt64) {
    guard let running = operations[handle], running.timer == nil else { return }
    running.timer = timers.insert(deadlineNanos: deadlineNanos, handle)
  }

  /// Counts what an operation holds now, or ends it where that is too much. Returns whether it goes
  /// on.
  @discardableResult
  func account(_ running: RunningOperation<Caller>) -> Bool {
    guard !running.isOver else { return false }
    let held = running.operation.heldBytes
    guard answerMemory.change(from: running.heldBytes, to: held) else {
      finish(running.operation, error: .answersHoldTooMuch(limits))
      return false
    }
    running.heldBytes = held
    return true
  }

  /// The caller went away: parts under way are taken back, and no further ones are sent.
  package func cancelOperation(_ handle: UInt64) {
    cancel(handle)
  }

  /// Set in the handles of operations, and never in the ids of calls.
  private static var operationMark: UInt64 { 1 << 63 }

  func isOperation(_ id: UInt64) -> Bool { id & Self.operationMark != 0 }

  /// Ends an operation's part in the core. Its caller can be told afterwards.
  @discardableResult
  func drop(_ handle: UInt64) -> RunningOperation<Caller>? {
    guard let running = operations.removeValue(forKey: handle) else { return nil }
    running.isOver = true
    if let timer = running.timer { _ = timers.remove(timer) }
    _ = answerMemory.change(from: running.heldBytes, to: 0)
    for id in running.parts { withdraw(id) }
    return running
  }

  // MARK: - What operations ask for

  package var servesCluster: Bool { true }

  package var nodeCounters: [String: Int64] { driver.counters }

  package func endNode() {
    driver.endNode()
  }

  package func owner(of key: UnsafeRawBufferPointer) -> Int {
    map.owner(ofSlot: Slots.slot(of: key))
  }

  package func send(
    _ part: Part, request: UnsafeRawBufferPointer, in block: LargeBlock?
  ) {
    guard let running = operations[part.operation.handle] else { return }
    // Items of many-key calls have their place among the calls on their keys; slices have not.
    let key = try? CommandTable.keyFields(ofMethod: part.method)?.find(in: request).key
    let slot = key.map(Slots.slot(of:))
    let call = PendingCall<Caller>(
      target: .part(running, tag: part.tag),
      shard: slot.map(owner(ofSlot:)) ?? running.shards[part.shard],
      slot: slot.map { UInt16($0) } ?? Self.noSlot,
      lane: request.count > limits.bulkBytesMin ? .bulk : part.lane, isWrite: part.isWrite,
      bytes: request.count)
    do throws(CallError) {
      let id = try place(
        call, key: key, method: part.method, request: request, in: block, running.context)
      running.sent(id) { calls[$0] != nil }
    } catch {
      failedParts.append((running, part.tag, error))
    }
  }

  package func emit(_ operation: any FanoutOperation, message: ByteBuffer) {
    guard let running = operations[operation.handle] else { return }
    message.withUnsafeReadableBytes { driver.emit(running.caller, message: $0) }
  }

  package func isWritable(_ operation: any FanoutOperation) -> Bool {
    guard let running = operations[operation.handle] else { return false }
    return driver.takesMore(running.caller, id: operation.handle)
  }

  package func finishStream(_ operation: any FanoutOperation) {
    guard let ended = drop(operation.handle) else { return }
    driver.finishStream(ended.caller)
  }

  package func finish(_ operation: any FanoutOperation, response: ByteBuffer) {
    guard let ended = drop(operation.handle) else { return }
    driver.answer(ended.caller, response: response)
  }

  package func finish(_ operation: any FanoutOperation, error: CallError) {
    guard let ended = drop(operation.handle) else { return }
    driver.fail(ended.caller, error: error)
  }
}
