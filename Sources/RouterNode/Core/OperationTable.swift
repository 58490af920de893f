// The operations that a router's loop has in progress, by their handles: until when each of them
// may take, and which of their sub-requests have failed while they were being sent. Pure; part of a
// router's core.

import GRPC
import NodeCore
import RingstoreAPI

struct OperationTable<Operation> {
  private struct Entry {
    let operation: Operation
    var timer: DeadlineQueue<UInt64>.Handle?
  }

  /// A sub-request that could not be sent.
  struct Failure {
    let fanout: Fanout
    let tag: Int
    let error: CallError
  }

  private var entries: [UInt64: Entry] = [:]
  private var deadlines = DeadlineQueue<UInt64>()
  private var lastNumber: UInt64 = 0
  private var failures: [Failure] = []

  /// Set in the handles of operations, and never in the ids of calls.
  private static var mark: UInt64 { 1 << 63 }

  var count: Int { entries.count }
  /// When the next operation is to be ended.
  var dueNanos: UInt64? { deadlines.nextDeadlineNanos }

  subscript(handle: UInt64) -> Operation? { entries[handle]?.operation }

  /// All of them, in the order in which they began.
  var all: [Operation] { entries.sorted { $0.key < $1.key }.map(\.value.operation) }

  func contains(where isWanted: (Operation) -> Bool) -> Bool {
    entries.values.contains { isWanted($0.operation) }
  }

  /// Adds the operation that a closure makes for a handle.
  mutating func add(_ make: (UInt64) -> Operation) -> Operation {
    lastNumber = (lastNumber &+ 1) & ~Self.mark
    let handle = lastNumber | Self.mark
    let operation = make(handle)
    entries[handle] = Entry(operation: operation)
    return operation
  }

  mutating func setDeadline(_ handle: UInt64, _ deadlineNanos: UInt64) {
    guard let entry = entries[handle], entry.timer == nil else { return }
    entries[handle]?.timer = deadlines.insert(deadlineNanos: deadlineNanos, handle)
  }

  mutating func remove(_ handle: UInt64) {
    guard let entry = entries.removeValue(forKey: handle) else { return }
    if let timer = entry.timer { deadlines.remove(timer) }
  }

  /// The next operation whose time is over. It is still there.
  mutating func nextOverdue(nowNanos: UInt64) -> Operation? {
    deadlines.popExpired(nowNanos: nowNanos).flatMap { entries[$0]?.operation }
  }

  // MARK: - Sub-requests that failed while they were being sent

  /// Their operations are notified after the current event has been handled.
  mutating func note(_ failure: Failure) {
    failures.append(failure)
  }

  mutating func nextFailure() -> Failure? { failures.popLast() }
}
