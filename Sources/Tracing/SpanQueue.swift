// The spans of a process that have ended and wait to be exported, and the limit on spans for all
// of its event loops together. Sendable: loops add spans, the exporter takes them, `/metrics` reads
// the counts. Each use takes a lock for a short time; only traced calls use it.

import Synchronization

/// Which calls are traced, and what their spans contain.
package struct TraceSettings: Sendable, Hashable {
  /// The share of calls without a caller's trace that are traced, from 0 to 1.
  package var sampleRatio = 0.0
  /// The maximum number of spans that a process begins in a second; further calls are not traced.
  package var spansPerSecond = 1_000
  /// Whether spans contain the beginning of a digest of their key.
  package var hasKeyDigests = false

  package init() {}
}

package final class SpanQueue: Sendable {
  /// The maximum number of waiting spans. Further spans are dropped and counted.
  package static let spansMax = 4_096
  private static let secondNanos: UInt64 = 1_000_000_000

  /// The number of spans by outcome, and of attempts to export.
  package struct Counts: Sendable, Hashable {
    package var exported: UInt64 = 0
    /// The collector didn't accept them.
    package var failed: UInt64 = 0
    /// Too many spans waited here.
    package var dropped: UInt64 = 0
    /// They were not begun, because of a limit.
    package var limited: UInt64 = 0
    package var exportsDone: UInt64 = 0
    package var exportsFailed: UInt64 = 0
    package var waiting = 0

    package init() {}
  }

  private struct State {
    var spans: [Span] = []
    var counts = Counts()
    /// The beginning of the second that is counted.
    var secondNanos: UInt64 = 0
    var inSecond = 0
  }

  private let state = Mutex(State())
  private let spansPerSecond: Int

  package init(spansPerSecond: Int) {
    self.spansPerSecond = spansPerSecond
  }

  /// Whether another span may begin. A span that may not is counted.
  ///
  /// - Parameter nowNanos: the time on a clock that never goes back.
  func admits(nowNanos: UInt64) -> Bool {
    state.withLock { state in
      if state.inSecond == 0 || nowNanos >= state.secondNanos &+ Self.secondNanos {
        state.secondNanos = nowNanos
        state.inSecond = 0
      }
      guard state.inSecond < spansPerSecond else {
        state.counts.limited += 1
        return false
      }
      state.inSecond += 1
      return true
    }
  }

  /// A span was not begun because of another limit.
  func countLimited() { state.withLock { $0.counts.limited += 1 } }

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

  /// Takes the spans that have waited longest.
  package func take(max: Int) -> [Span] {
    state.withLock { state in
      let taken = Array(state.spans.prefix(max))
      state.spans.removeFirst(taken.count)
      return taken
    }
  }

  /// A batch was exported.
  ///
  /// - Parameter rejected: the spans of it that the collector did not store.
  package func exported(_ count: Int, rejected: Int = 0) {
    state.withLock { state in
      state.counts.exported += UInt64(count - rejected)
      state.counts.failed += UInt64(rejected)
      state.counts.exportsDone += 1
    }
  }

  /// An attempt to export has failed.
  ///
  /// - Parameter lost: the spans that will not be sent again.
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
