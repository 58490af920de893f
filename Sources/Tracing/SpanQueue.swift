// The spans of a process that have ended and wait to be exported, and the bounds of all of its
// loops together. Sendable: loops add, the exporter takes, `/metrics` looks. A lock that is held
// for an addition; only calls that are traced come here.

import Synchronization

/// Which calls are traced, and what is told of them.
package struct TraceSettings: Sendable, Hashable {
  /// Of the calls that come without a trace of their caller's, from 0 to 1.
  package var sampleRatio = 0.0
  /// Spans that a process begins in a second; calls past it are not traced.
  package var spansPerSecond = 1_000
  /// Whether spans name the beginning of a digest of their key.
  package var hasKeyDigests = false

  package init() {}
}

package final class SpanQueue: Sendable {
  /// Spans that may wait. Past it those that end are lost, and counted.
  package static let spansMax = 4_096
  private static let secondNanos: UInt64 = 1_000_000_000

  /// What has become of spans.
  package struct Counts: Sendable, Hashable {
    package var exported: UInt64 = 0
    /// The collector didn't take them.
    package var failed: UInt64 = 0
    /// There was no room for them here.
    package var dropped: UInt64 = 0
    /// They were not begun, because of the bounds.
    package var limited: UInt64 = 0
    package var exportsDone: UInt64 = 0
    package var exportsFailed: UInt64 = 0
    package var waiting = 0

    package init() {}
  }

  private struct State {
    var spans: [Span] = []
    var counts = Counts()
    /// When the second began that is counted.
    var secondNanos: UInt64 = 0
    var inSecond = 0
  }

  private let state = Mutex(State())
  private let spansPerSecond: Int

  package init(spansPerSecond: Int) {
    self.spansPerSecond = spansPerSecond
  }

  /// Whether another span may be begun at a moment of a clock that never goes back.
  func admits(nowNanos: UInt64) -> Bool {
    state.withLock { state in
      if nowNanos >= state.secondNanos &+ Self.secondNanos {
        state.secondNanos = nowNanos
        state.inSecond = 0
      }
      guard state.inSecond < spansPerSecond else { return false }
      state.inSecond += 1
      return true
    }
  }

  /// A span was not begun.
  func refused() { state.withLock { $0.counts.limited += 1 } }

  func add(_ span: Span) {
    state.withLock { state in
      guard state.spans.count < Self.spansMax else {
        state.counts.dropped += 1
        return
      }
      state.spans.append(span)
    }
  }

  // MARK: - For the exporter

  /// Takes those that have waited longest.
  package func take(max: Int) -> [Span] {
    state.withLock { state in
      let taken = Array(state.spans.prefix(max))
      state.spans.removeFirst(taken.count)
      return taken
    }
  }

  package func exported(_ count: Int) {
    state.withLock { state in
      state.counts.exported += UInt64(count)
      state.counts.exportsDone += 1
    }
  }

  /// An attempt to export has failed.
  ///
  /// - Parameter lost: spans that are given up by that.
  package func exportFailed(lost: Int) {
    state.withLock { state in
      state.counts.failed += UInt64(lost)
      state.counts.exportsFailed += 1
    }
  }

  package var counts: Counts {
    state.withLock { state in
      var counts = state.counts
      counts.waiting = state.spans.count
      return counts
    }
  }
}
