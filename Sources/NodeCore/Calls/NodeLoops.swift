// Runs work on a node's event loops for code outside of them. Each request gets one reply, also if
// the node ends meanwhile. An event loop drops tasks after its shutdown, so tasks are submitted
// under a lock, and the loops are shut down after `close`.
//
// Any thread.

import NIOCore
import Synchronization

package final class NodeLoops: Sendable {
  private struct State {
    var isOpen = true
    var lastID: UInt64 = 0
    /// Tells those who wait that the loops have ended.
    var waiting: [UInt64: @Sendable () -> Void] = [:]
  }

  private let state = Mutex(State())

  package init() {}

  /// Has an event loop do something soon.
  ///
  /// - Returns: whether it will; else the loops have ended.
  @discardableResult
  package func execute(
    on eventLoop: any EventLoop, _ work: @escaping @Sendable () -> Void
  ) -> Bool {
    state.withLock { state in
      if state.isOpen { eventLoop.execute(work) }
      return state.isOpen
    }
  }

  /// Runs work on an event loop and returns its result; nil: the loops have ended.
  package func ask<Output: Sendable>(
    _ eventLoop: any EventLoop, _ work: @escaping @Sendable () -> Output
  ) async -> Output? {
    await perform(on: eventLoop) { $0(work()) }
  }

  /// Begins work on an event loop and returns its result; nil: the loops have ended.
  ///
  /// - Parameter begin: called on the event loop; calls its argument there, once.
  package func perform<Output: Sendable>(
    on eventLoop: any EventLoop,
    _ begin: @escaping @Sendable (_ tell: @escaping (Output) -> Void) -> Void
  ) async -> Output? {
    await withCheckedContinuation { continuation in
      let first = FirstResult<Output>(continuation)
      let isTaken = state.withLock { state in
        guard state.isOpen else { return false }
        state.lastID += 1
        let id = state.lastID
        state.waiting[id] = { first.give(nil) }
        eventLoop.execute {
          begin {
            self.state.withLock { $0.waiting[id] = nil }
            first.give($0)
          }
        }
        return true
      }
      if !isTaken { first.give(nil) }
    }
  }

  /// The loops are about to be shut down: they get no more work, and all waits end with nil.
  package func close() {
    let waiting = state.withLock { state in
      state.isOpen = false
      defer { state.waiting = [:] }
      return state.waiting.values
    }
    for tell in waiting { tell() }
  }
}

/// Resumes the continuation with the first result, and ignores later ones.
private final class FirstResult<Output: Sendable>: Sendable {
  private let waiting: Mutex<CheckedContinuation<Output?, Never>?>

  init(_ continuation: CheckedContinuation<Output?, Never>) {
    waiting = Mutex(continuation)
  }

  func give(_ output: Output?) {
    let continuation = waiting.withLock { waiting in
      defer { waiting = nil }
      return waiting
    }
    continuation?.resume(returning: output)
  }
}
