// The heart of a router's event loop: where calls are placed, sent, matched with their answers,
// and ended when a shard goes away.
//
// Pure: no sockets, clock or randomness of its own. The driver passes in events and the time; the
// core calls back through `RouterDriver`. One core per event loop, used on that loop only; cores
// of one router share nothing.
//
// The rules it keeps (see docs/CONSISTENCY.md):
// - A call is sent at most once. When a link breaks, a read or a call that was never handed to the
//   socket fails as SHARD_UNAVAILABLE; a write that was sent fails as OUTCOME_UNKNOWN.
// - A shard whose link isn't ready fails calls at once.
// - Calls to one shard are sent in the order in which they were submitted.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

package final class RouterCore<Driver: RouterDriver>: PartPort {
  package typealias Caller = Driver.Caller

  let identity: RouterIdentity
  package let map: SlotMap
  package let limits: Limits
  package let linkLimits: LinkLimits
  package let shardIDs: [String]
  unowned let driver: Driver

  // A core is used by one thread and never from within an access to one of these, so the run-time
  // checks for that are left out: they cost as much as the work between them.
  @exclusivity(unchecked) var links: [RouterLink]
  @exclusivity(unchecked) var calls = CallTable<Caller>()
  var timers = DeadlineQueue<UInt64>()
  private let clock: () -> UInt64
  var operations: [UInt64: (operation: any FanoutOperation, caller: Caller)] = [:]
  var nextOperation: UInt64 = 1
  /// Failures of parts met while sending them; told when the current event has been dealt with.
  var failedParts: [(part: Part, error: CallError)] = []

  /// - Parameters:
  ///   - firstGeneration: a number no earlier run of this router's loop has reached.
  ///   - seed: for the jitter of reconnects.
  ///   - clock: the time in nanoseconds, never going back.
  package init(
    identity: RouterIdentity, map: SlotMap, limits: Limits, linkLimits: LinkLimits = LinkLimits(),
    firstGeneration: UInt64, seed: UInt64, clock: @escaping () -> UInt64, driver: Driver
  ) {
    self.clock = clock
    self.identity = identity
    self.map = map
    self.limits = limits
    self.linkLimits = linkLimits
    self.driver = driver
    shardIDs = map.shards.map(\.id)
    links = map.shards.enumerated().map { index, shard in
      RouterLink(
        shardID: shard.id, address: shard.address,
        state: LinkState(firstGeneration: firstGeneration, seed: seed &+ UInt64(index)))
    }
  }

  /// Calls that have an answer to come, those that nobody waits for any more among them.
  package var callsUnderWay: Int { calls.count }

  // MARK: - Calls of clients

  /// Takes a call on one key. Returns its id while it is under way, or nil where it has been
  /// answered already.
  ///
  /// - Parameter deadlineNanos: where the core is to end the call; nil where the caller does.
  package func submit(
    _ method: UInt32, message: UnsafeRawBufferPointer, deadlineNanos: UInt64?,
    timeoutMillis: UInt32, caller: Caller
  ) -> UInt64? {
    do throws(CallError) {
      let target = try KeyCheck.check(message, CommandTable.shape(ofMethod: method), limits)
      let shard = map.owner(ofSlot: Slots.slot(of: target.key))
      let call = PendingCall<Caller>(
        target: .caller(caller), shard: shard, isWrite: CommandTable.isWrite(method: method),
        order: nil,
        bytes: message.count)
      let id = try enqueue(
        call, method: method, request: message, timeoutMillis: timeoutMillis)
      if let deadlineNanos {
        calls.setTimer(id, timers.insert(deadlineNanos: deadlineNanos, id))
      }
      return id
    } catch {
      driver.fail(caller, error: error)
      return nil
    }
  }

  /// The caller went away, or its deadline has passed: nobody waits for the answer any more.
  package func cancel(_ id: UInt64) {
    guard var call = calls[id] else { return }
    if call.order == nil, case .caller(let caller) = call.target {
      driver.resumeReading(for: caller)
    }
    call.target = .abandoned
    if let timer = call.timer { _ = timers.remove(timer) }
    call.timer = nil
    calls[id] = call
    guard call.order != nil else { return }
    links[call.shard].append { $0.writeCancel(id: id) }
    driver.linkHasOutput(shard: call.shard)
  }

  // MARK: - Time

  /// Does what is due. Call it at `nextWakeup`, or whenever convenient.
  package func tick() {
    let nowNanos = nowNanos
    for shard in links.indices {
      if let due = links[shard].state.attemptAtNanos, due <= nowNanos { connect(shard) }
      dropUngreeted(shard, nowNanos: nowNanos)
      refuseOverdue(shard)
    }
    while let id = timers.popExpired(nowNanos: nowNanos) { timerFired(id) }
    settle()
  }

  var nowNanos: UInt64 { clock() }

  /// When `tick` is to be called next, in nanoseconds of the clock that is passed in.
  package var nextWakeupNanos: UInt64? {
    var next = timers.nextDeadlineNanos
    for link in links {
      if let attempt = link.state.attemptAtNanos { next = min(next ?? .max, attempt) }
      if link.state.phase == .greeting { next = min(next ?? .max, link.helloDueNanos) }
      if let oldest = link.waiting.first {
        next = min(next ?? .max, oldest.sinceNanos + linkLimits.waitNanosMax)
      }
    }
    return next
  }

  private func timerFired(_ id: UInt64) {
    guard let call = calls[id], case .caller(let caller) = call.target else { return }
    cancel(id)
    driver.fail(caller, error: .deadlineExceeded)
  }

  private func refuseOverdue(_ shard: Int) {
    while let oldest = links[shard].waiting.first,
      oldest.sinceNanos + linkLimits.waitNanosMax <= nowNanos
    {
      _ = links[shard].takeWaiting()
      end(oldest.id, wasWaiting: true, error: overloaded(shard))
    }
  }

  // MARK: - Placing and ending calls

  /// Puts a call into its link's batch, or into the queue where the link is full.
  func enqueue(
    _ call: consuming PendingCall<Caller>, method: UInt32, request: UnsafeRawBufferPointer,
    timeoutMillis: UInt32
  ) throws(CallError) -> UInt64 {
    let shard = call.shard
    guard links[shard].state.isReady else {
      throw .shardUnavailable(shardIDs[shard], links[shard].state.detail)
    }
    let mustWait = !links[shard].waiting.isEmpty || !links[shard].hasRoom(linkLimits)
    guard !mustWait || links[shard].waitingBytes < linkLimits.waitingBytesMax else {
      throw overloaded(shard)
    }
    let bytes = call.bytes
    guard let id = calls.insert(call) else { throw overloaded(shard) }
    if mustWait {
      var record = ByteBuffer()
      record.writeCall(
        .link, id: id, method: method, request: request, timeoutMillis: timeoutMillis)
      links[shard].wait(WaitingCall(id: id, record: record, sinceNanos: nowNanos))
      if case .caller(let caller)? = calls[id]?.target { driver.pauseReading(for: caller) }
      return id
    }
    let order = links[shard].appendCall(bytes: bytes, linkLimits) { frame in
      frame.writeCall(
        .link, id: id, method: method, request: request, timeoutMillis: timeoutMillis)
    }
    calls.setOrder(id, order)
    driver.linkHasOutput(shard: shard)
    return id
  }

  /// Ends a call that gets no answer from its shard.
  func end(_ id: UInt64, wasWaiting: Bool, error: CallError) {
    guard let call = calls.remove(id) else { return }
    if let timer = call.timer { _ = timers.remove(timer) }
    switch call.target {
    case .caller(let caller):
      if wasWaiting { driver.resumeReading(for: caller) }
      driver.fail(caller, error: error)
    case .part(let operation, let tag):
      failedParts.append(
        (Part(operation: operation, tag: tag, method: 0, shard: call.shard), error))
    case .abandoned:
      break
    }
  }

  /// Moves calls that waited into the batch while the link has room.
  func admitWaiting(_ shard: Int) {
    while links[shard].hasRoom(linkLimits), let waiter = links[shard].takeWaiting() {
      guard let call = calls[waiter.id] else { continue }
      if case .abandoned = call.target {
        _ = calls.remove(waiter.id)
        continue
      }
      let order = links[shard].appendCall(bytes: call.bytes, linkLimits) { frame in
        frame.writeImmutableBuffer(waiter.record)
      }
      calls.setOrder(waiter.id, order)
      if case .caller(let caller) = call.target { driver.resumeReading(for: caller) }
      driver.linkHasOutput(shard: shard)
    }
  }

  private func overloaded(_ shard: Int) -> CallError {
    .overloaded("Shard \(shardIDs[shard]) has more calls under way than it can take; try later.")
  }

  /// Tells operations of parts that failed while they were being sent. Each failure may lead to
  /// further sends, which may fail as well; every operation sends a bounded number of parts.
  func settle() {
    while let failed = failedParts.popLast() {
      guard operations[failed.part.operation.handle] != nil else { continue }
      failed.part.operation.part(failed.part.tag, failed: failed.error, on: self)
    }
  }
}

/// Who a router's loop says it is.
package struct RouterIdentity: Sendable {
  package let cluster: String
  /// The router's id and the loop's number, unique among all loops that talk to the shards.
  package let router: String

  package init(cluster: String, router: String) {
    self.cluster = cluster
    self.router = router
  }
}
