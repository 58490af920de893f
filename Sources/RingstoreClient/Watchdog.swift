// Ends a wait that takes too long. Safe to use from every thread.

import Synchronization

/// Calls a closure at a deadline unless it is stopped before.
final class Watchdog: Sendable {
  private let barked = Mutex(false)
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(_ deadline: ContinuousClock.Instant, bark: @escaping @Sendable () -> Void) {
    task.withLock { task in
      task = Task {
        do {
          try await Task.sleep(until: deadline, clock: .continuous)
        } catch {
          return
        }
        self.barked.withLock { $0 = true }
        bark()
      }
    }
  }

  var hasBarked: Bool { barked.withLock { $0 } }

  func stop() {
    task.withLock { task in
      task?.cancel()
      task = nil
    }
  }
}
