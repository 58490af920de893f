// How rooms outside of a node's event loops have these do something: whoever asks is answered once,
// also when the node ends meanwhile. An event loop that has been shut down drops what it is given,
// so what is given to one is given under a lock, and the loops are shut down after `close`.
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

  /// Has an event loop do something, and waits for what it comes to; nil: the loops have ended.
  package func ask<Answer: Sendable>(
    _ eventLoop: any EventLoop, _ work: @escaping @Sendable () -> Answer
  ) async -> Answer? {
    await perform(on: eventLoop) { $0(work()) }
  }

  /// Has an event loop begin something, and waits for what it comes to; nil: the loops have ended.
  ///
  /// - Parameter begin: called on the event loop; calls its argument there, once.
  package func perform<Answer: Sendable>(
    on eventLoop: any EventLoop,
    _ begin: @escaping @Sendable (_ tell: @escaping (Answer) -> Void) -> Void
  ) async -> Answer? {
    await withCheckedContinuation { continuation in
      let answer = FirstAnswer<Answer>(continuation)
      let isTaken = state.withLock { state in
        guard state.isOpen else { return false }
        state.lastID += 1
        let id = state.lastID
        state.waiting[id] = { answer.give(nil) }
        eventLoop.execute {
          begin {
            self.state.withLock { $0.waiting[id] = nil }
            answer.give($0)
          }
        }
        return true
      }
      if !isTaken { answer.give(nil) }
    }
  }

  /// The loops are about to be shut down: nothing more is given to them, and those who still wait
  /// are told.
  package func close() {
    let waiting = state.withLock { state in
      state.isOpen = false
      defer { state.waiting = [:] }
      return state.waiting.values
    }
    for tell in waiting { tell() }
  }
}

/// The first answer goes to who waits, later ones nowhere.
private final class FirstAnswer<Answer: Sendable>: Sendable {
  private let waiting: Mutex<CheckedContinuation<Answer?, Never>?>

  init(_ continuation: CheckedContinuation<Answer?, Never>) {
    waiting = Mutex(continuation)
  }

  func give(_ answer: Answer?) {
    let continuation = waiting.withLock { waiting in
      defer { waiting = nil }
      return waiting
    }
    continuation?.resume(returning: answer)
  }
}
