// A call that has found nothing and waits for a value, for example a pop of an empty list.
//
//   parked --one of its lists is created---> executed --found--> replied
//     |  ^                                      |
//     |  +----others were first, nothing left---+
//     +--its time is over--> replied without a value
//     +--the shard drains--> SHARD_UNAVAILABLE        +--its slot goes--> WRONG_SHARD, or returned
//     +--its caller goes--> dropped
//
// It is executed like any call that comes in at that moment, with the same effects, marks and
// errors. Until then it needs no turn and no check: only a place in the queue of each of its lists,
// and a deadline.
//
// Belongs to a shard's core and its event loop. The reply's handle owns it.

import Commands
import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store

package final class ParkedCall: ReplyWork, DeadlineTaker {
  let method: UInt32
  let request: ByteBuffer
  private(set) var context: CallContext
  /// The lists that it waits for, all of one slot.
  let lists: [StoredKey]
  /// Its place among all calls that have been parked.
  let number: UInt64
  /// A longer reply is chunked; set by its exit.
  var bytesMin: Int
  /// Whether it waits no more.
  private(set) var isOver = false
  private unowned let core: ShardCore
  /// Owns the call; nil once the caller has disconnected.
  private weak var reply: ReplyHandle?
  private var end: DeadlineQueue<Deadline>.Handle?

  init(
    _ method: UInt32, _ request: ByteBuffer, _ wait: ListWait, _ context: CallContext,
    number: UInt64, to reply: ReplyHandle, core: ShardCore
  ) {
    self.method = method
    self.request = request
    self.context = context
    self.number = number
    self.reply = reply
    self.core = core
    bytesMin = core.limits.bulkBytesMin
    lists = request.withUnsafeReadableBytes { bytes in
      let target = try? CommandTable.keyFields(ofMethod: method)?.find(in: bytes)
      let database = Int(target?.database ?? 0)
      var lists = [StoredKey(target?.key ?? noBytes, database: database)]
      for key in wait.otherKeys {
        let list = key.withUnsafeBytes { StoredKey($0, database: database) }
        if !lists.contains(list) { lists.append(list) }
      }
      return lists
    }
    end = core.deadlines.insert(
      deadlineNanos: core.clock() &+ UInt64(wait.millis) * 1_000_000,
      Deadline(taker: self, id: number))
  }

  var slot: Int { lists[0].bytes.withUnsafeBytes { Slots.slot(of: $0) } }

  /// Its approximate memory.
  var byteCount: Int {
    request.readableBytes + lists.reduce(0) { $0 + $1.bytes.count + ParkedCalls.bytesPerPlace }
      + ParkedCalls.bytesPerCall
  }

  /// One of its lists was created. Returns whether the call has ended; if not, there was no value
  /// left.
  func execute() -> Bool {
    guard !isOver, let reply else { return true }
    do throws(CallError) {
      return try takes(reply)
    } catch {
      fail(error, after: core.latestMark)
      return true
    }
  }

  /// Executes the call. Returns whether it has found what it waits for, and so gets its reply.
  private func takes(_ reply: ReplyHandle) throws(CallError) -> Bool {
    var response = ByteBuffer()
    switch try again(into: &response) {
    case .wait?, .search?, .part?: return false
    case .source(let source)?:
      leave()
      reply.ran()
      source.start(reply, after: core.latestMark)
    case nil:
      leave()
      reply.ran()
      reply.respond(response, after: core.latestMark)
    }
    return true
  }

  /// Executes the call as of now.
  private func again(into response: inout ByteBuffer) throws(CallError) -> Remainder? {
    var context = core.later(context)
    context.staleNanos = reply?.staleNanos ?? 0
    return try request.withUnsafeReadableBytes { bytes throws(CallError) in
      try core.executeAgain(
        method, bytes, into: &response, largerThan: bytesMin, context)
    }
  }

  /// Its time is over.
  func deadlinePassed(_ id: UInt64) {
    end = nil
    endWait()
  }

  /// It waits no longer: without a value it gets an empty reply, which waits for the mark of its
  /// lists.
  func endWait() {
    guard !isOver, let reply else { return }
    do throws(CallError) {
      if try takes(reply) { return }
    } catch {
      // A list that has become something else is no list with a value, and a shard without memory
      // for a move has looked at none.
      guard error.reason == .wrongType || error.reason == .memoryLimit else {
        return fail(error, after: core.latestMark)
      }
    }
    leave()
    reply.respond(ByteBuffer(), after: core.latestMark)
  }

  /// Its router doesn't want it to wait any longer, and may tell its caller that the lists have no
  /// values. So this reply waits for their mark too.
  func cancelled() {
    guard !isOver, let reply else { return }
    // An error says as well that nothing was taken.
    if let hasTaken = try? takes(reply), hasTaken { return }
    leave()
    reply.fail(.cancelled, after: core.latestMark)
  }

  /// Ends the call, which has changed nothing.
  func fail(_ error: CallError, after mark: ReplyMark = .none) {
    core.counters.failed(error)
    leave()
    reply?.fail(error, after: mark)
  }

  /// Its slot is this shard's no more.
  func slotGoes(_ refusal: CallError) {
    leave()
    reply?.returned(self, refusal)
  }

  package func wake() {}

  package func checkCaller() {
    do throws(CallError) {
      context.principal = try context.principal?.standing()
    } catch {
      fail(error)
    }
  }

  package func drop() {
    reply = nil
    leave()
  }

  private func leave() {
    guard !isOver else { return }
    isOver = true
    if let end { core.deadlines.remove(end) }
    core.parkedLeft(self)
  }
}

extension CallError {
  /// The maximum number of calls wait.
  static func parkedTooMany(_ limits: Limits) -> CallError {
    .overloaded(
      "The maximum number of calls wait for values at this shard, \(limits.parkedCallsMax) or "
        + "\(limits.parkedBytesMax >> 20) MiB of them; try later.")
  }
}
