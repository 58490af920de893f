// The calls of a router's loop that can't be sent yet, by id, and when each of them is refused.
// Pure; part of a router's core.

import GRPC
import LargeMemory
import NIOCore

/// A call that waits.
struct WaitingCall {
  enum Reason {
    /// Earlier calls on its key are not through.
    case turn
    /// Its lane is full: it is in the lane's queue.
    case room
    /// Its slot's owner is changing.
    case owner
  }

  let body: CallBody
  /// The request, unless the body has it.
  let request: ByteBuffer
  fileprivate(set) var reason: Reason
  let sinceNanos: UInt64
  /// When it is refused.
  fileprivate let limit: DeadlineQueue<UInt64>.Handle

  var bytes: Int {
    request.readableBytes + (body.tail?.count ?? 0) + (body.restriction?.readableBytes ?? 0)
      + (body.traceContext?.readableBytes ?? 0) + LinkLimits.waitingCallBytes
  }
}

struct WaitingCalls {
  private var calls: [UInt64: WaitingCall] = [:]
  private var limits = DeadlineQueue<UInt64>()

  var count: Int { calls.count }
  /// When the next call must be refused.
  var dueNanos: UInt64? { limits.nextDeadlineNanos }

  subscript(id: UInt64) -> WaitingCall? { calls[id] }

  /// Whether a call waits, and for this.
  func waits(_ id: UInt64, for reason: WaitingCall.Reason) -> Bool {
    calls[id]?.reason == reason
  }

  /// Adds a call. Returns its memory.
  mutating func add(
    _ id: UInt64, _ body: CallBody, _ request: ByteBuffer, for reason: WaitingCall.Reason,
    sinceNanos: UInt64, untilNanos: UInt64
  ) -> Int {
    let limit = limits.insert(deadlineNanos: untilNanos, id)
    let call = WaitingCall(
      body: body, request: request, reason: reason, sinceNanos: sinceNanos, limit: limit)
    calls[id] = call
    return call.bytes
  }

  mutating func setReason(_ id: UInt64, _ reason: WaitingCall.Reason) {
    calls[id]?.reason = reason
  }

  mutating func remove(_ id: UInt64) -> WaitingCall? {
    guard let call = calls.removeValue(forKey: id) else { return nil }
    _ = limits.remove(call.limit)
    return call
  }

  /// The next call whose time is over. It stays in the list.
  mutating func nextOverdue(nowNanos: UInt64) -> UInt64? {
    limits.popExpired(nowNanos: nowNanos)
  }
}
