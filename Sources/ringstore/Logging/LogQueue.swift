// Lines for stderr. They are written on a separate thread, from a bounded queue: a reader that has
// stopped reading must not stop the node. Usable from every thread.

import Dispatch
import Synchronization

/// Writes lines without delaying the caller.
package final class LogQueue: Sendable {
  /// Bytes of lines that may wait; further lines are dropped and counted.
  package static let bytesMax = 1 << 20
  /// How long the end of the process waits for lines to be written.
  package static let flushMillisMax = 500

  private struct State {
    var lines: [String] = []
    var bytes = 0
    /// Since the last report.
    var dropped = 0
    var droppedTotal: UInt64 = 0
    var isWriting = false
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "ringstore.log")
  private let write: @Sendable (String) -> Void

  /// - Parameter write: takes whole lines, one after another; it may block.
  package init(write: @escaping @Sendable (String) -> Void) {
    self.write = write
  }

  /// Lines that were dropped, ever.
  package var linesDropped: UInt64 { state.withLock { $0.droppedTotal } }

  package func append(_ line: String) {
    let begins = state.withLock { state in
      guard state.bytes + line.utf8.count <= Self.bytesMax else {
        state.dropped += 1
        state.droppedTotal += 1
        return false
      }
      state.lines.append(line)
      state.bytes += line.utf8.count
      defer { state.isWriting = true }
      return !state.isWriting
    }
    if begins { queue.async { self.writeAll() } }
  }

  private func writeAll() {
    while true {
      let (lines, dropped) = state.withLock { state -> ([String], Int) in
        let taken = (state.lines, state.dropped)
        state.lines = []
        state.bytes = 0
        state.dropped = 0
        if taken.0.isEmpty, taken.1 == 0 { state.isWriting = false }
        return taken
      }
      if lines.isEmpty, dropped == 0 { return }
      for line in lines { write(line) }
      if dropped > 0 {
        write(
          LogLine.format(
            time: LogLine.now(), level: .warning, label: "ringstore.log",
            message: "lines were dropped because no one read them",
            metadata: ["lines": "\(dropped)"]))
      }
    }
  }

  /// Waits until all appended lines are written, but not for long.
  ///
  /// - Returns: whether it is.
  @discardableResult
  package func flush() -> Bool {
    let done = DispatchSemaphore(value: 0)
    queue.async { done.signal() }
    return done.wait(timeout: .now() + .milliseconds(Self.flushMillisMax)) == .success
  }
}
