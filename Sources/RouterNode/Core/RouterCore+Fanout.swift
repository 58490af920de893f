// Calls that are made of sub-requests, on a router: sub-requests are sent over links as separate
// calls.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

final class RouterFanout<Driver: RouterDriver>: FanoutTransport {
  let fanout: Fanout
  private unowned let core: RouterCore<Driver>
  let caller: Driver.Caller
  /// Its handle, in place of a call's id.
  let handle: UInt64
  /// The places of the shards' links, as the operation counts the shards.
  private(set) var shards: [Int]
  /// Sub-requests that wait for space or for order; the caller's connection is not read meanwhile.
  private var waiting = 0
  /// The calls of sub-requests in progress, and some that have ended.
  private var calls: [UInt64] = []
  private var callsMax = 64
  /// When it began, in the tick's time, and the command that it counts as; -1: none.
  private let startedNanos: UInt64
  private let place: Int

  init(
    _ operation: any FanoutOperation, _ context: CallContext, caller: Driver.Caller,
    handle: UInt64, place: Int, core: RouterCore<Driver>
  ) {
    self.place = place
    startedNanos = core.tickNanos
    shards = core.links.members
    self.core = core
    self.caller = caller
    self.handle = handle
    fanout = Fanout(operation, context, memory: core.replyMemory, core.limits)
  }

  /// Amortised O(1), plus the cost of routing it.
  func send(_ request: SubRequest) {
    if fanout.followsMap { shards = core.links.members }
    guard let id = core.send(request, of: self) else { return }
    if calls.count >= callsMax {
      calls.removeAll { core.calls[$0] == nil }
      callsMax = max(64, 2 * calls.count)
    }
    calls.append(id)
  }

  var takesMore: Bool { core.driver.takesMore(caller, id: handle) }

  func emit(_ message: ByteBuffer) {
    message.withUnsafeReadableBytes { core.driver.emit(caller, message: $0) }
  }

  func endNode() { core.driver.endNode() }

  func released() {
    core.operations.remove(handle)
    for id in calls { core.withdraw(id) }
  }

  func ended(_ end: ReplyEnd, isRefused: Bool) {
    core.measure(end, place: place, since: startedNanos)
    if fanout.context.span != 0 { core.noteFailures(of: fanout) }
    switch end {
    case .response(let response): core.driver.reply(to: caller, response: response)
    case .complete: core.driver.finishStream(caller)
    case .failed(let error): core.driver.fail(caller, error: error)
    }
  }

  func requestWaits() {
    waiting += 1
    if waiting == 1 { core.driver.pauseReading(for: caller) }
  }

  func requestWaitsNoMore() {
    waiting -= 1
    if waiting == 0 { core.driver.resumeReading(for: caller) }
  }
}

extension RouterCore: FanoutCluster {
  /// Operations in progress.
  package var operationsUnderWay: Int { operations.count }

  /// Starts an operation. Returns its handle while it is in progress, or nil if it has ended.
  ///
  /// - Parameters:
  ///   - context: the call's, also used for its sub-requests; the driver ends the operation at its
  ///     deadline.
  ///   - command: the command that it counts as; nil: none.
  package func start(
    _ operation: any FanoutOperation, _ context: CallContext, caller: Caller,
    as command: CommandID? = nil
  ) -> UInt64? {
    let place = command.flatMap { CallNumbers.place(of: $0.rawValue) } ?? -1
    let running = operations.add {
      RouterFanout(operation, context, caller: caller, handle: $0, place: place, core: self)
    }
    running.fanout.start(on: self, over: running)
    finishEvent()
    return running.fanout.isOver ? nil : running.handle
  }

  /// Makes the core end an operation at its deadline, if the driver doesn't.
  package func endOperation(_ handle: UInt64, atNanos deadlineNanos: UInt64) {
    operations.setDeadline(handle, deadlineNanos)
  }

  package var servesCluster: Bool { true }

  package var nodeCounters: [String: Int64] { driver.counters }

  package func randomNumber() -> UInt64 { random.next() }

  /// Routes a sub-request. Returns its id; nil if it has failed, which is reported to its operation
  /// after the current event.
  func send(_ part: SubRequest, of running: RouterFanout<Driver>) -> UInt64? {
    part.request.withBytes { request in
      // Items of many-key calls have their place among the calls on their keys; slices have not.
      let key = try? CommandTable.keyFields(ofMethod: part.method)?.find(in: request).key
      let slot = key.map { Slots.slot(of: $0) }
      let call = PendingCall<Caller>(
        target: .part(running.fanout, tag: part.tag),
        shard: slot.map { links.owner(ofSlot: $0) } ?? running.shards[part.shard ?? 0],
        slot: slot.map { UInt16($0) } ?? Self.noSlot,
        lane: part.lane, isWrite: part.isWrite, bytes: request.count)
      let (shard, slotNumber, spans) = (call.shard, call.slot, spansWanted(running.fanout))
      do throws(CallError) {
        return try place(
          call, key: key, method: part.method, request: request, in: part.request.block,
          running.fanout.context)
      } catch {
        if spans >= 0, spans == spansWanted(running.fanout) {
          tracePart(
            part, of: running.fanout, slot: slotNumber, at: shard, bytes: request.count, error)
        }
        operations.note(.init(fanout: running.fanout, tag: part.tag, error: error))
        return nil
      }
    }
  }
}
