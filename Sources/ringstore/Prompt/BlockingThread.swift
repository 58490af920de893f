// A thread for work that blocks: reading the input of a person or a pipe. Swift has only as many
// threads as there are cores, and they must not be blocked.

import Glibc
import Synchronization

enum BlockingThread {
  /// Runs the body on a new thread and waits for its end without blocking one of Swift's.
  ///
  /// - Returns: what the body returned; EXIT_FAILURE if no thread can be started.
  static func run(_ body: @escaping @Sendable () -> Int32) async -> Int32 {
    await withCheckedContinuation { continuation in
      let work = Unmanaged.passRetained(Work { continuation.resume(returning: body()) })
      var thread = pthread_t()
      let failure = pthread_create(
        &thread, nil,
        { work in
          work.map { Unmanaged<Work>.fromOpaque($0).takeRetainedValue().body() }
          return nil
        }, work.toOpaque())
      guard failure == 0 else {
        work.release()
        Terminal.complain("ringstore cli: the system has no thread left.")
        return continuation.resume(returning: EXIT_FAILURE)
      }
      pthread_detach(thread)
    }
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// A value that a task leaves behind for the thread that waits for it.
final class LeftBehind<Value: Sendable>: Sendable {
  private let content: Mutex<Value>

  init(_ value: Value) { content = Mutex(value) }

  var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }
}
