// One thread's part of a load: the next call and when it is due, and the results of earlier calls.
// Pure: the time, and whether there is room for a call, come from the caller.
//
// Two kinds of loops. A closed one makes a call whenever there is room: it measures what a server
// can do, but its latencies omit the effect of a stalled server on calls that would have arrived
// meanwhile. An open one has a schedule: calls are due at fixed times, and their latencies count
// from then. Calls that are due and find no room wait in the schedule, which costs nothing, so
// there is no queue.

import NodeCore

/// A call to be made.
package struct PlannedCall: Sendable, Hashable {
  package let kind: CallKind
  package let space: KeySpace
  package let key: Int
  /// From when its latency counts.
  package let dueNanos: UInt64
  /// Whether it counts: not in the warm-up.
  package let isMeasured: Bool
}

/// What calls there are.
package struct CallSource: Sendable {
  private let drawn: (mix: CallMix, chooser: KeyChooser)?
  private let each: (kind: CallKind, spaces: [KeySpace], keys: Int, step: Int)?
  private var random = SplitMix64(seed: 0)
  private var next = 0

  /// Calls of a mix, on keys of a distribution.
  package init(drawing mix: CallMix, on chooser: KeyChooser, seed: UInt64) {
    drawn = (mix, chooser)
    each = nil
    random = SplitMix64(seed: seed)
  }

  /// One call on each key of some spaces.
  ///
  /// - Parameters:
  ///   - first: the first key of this thread.
  ///   - step: the distance from one key to the next: the number of threads.
  package init(
    _ kind: CallKind, onEachOf keys: Int, in spaces: [KeySpace], first: Int, step: Int
  ) {
    drawn = nil
    each = (kind, spaces, keys, step)
    next = first
  }

  /// nil: there are no more.
  fileprivate mutating func take() -> (CallKind, KeySpace, Int)? {
    if let drawn {
      let kind = drawn.mix.draw(&random)
      return (kind, kind.space, drawn.chooser.draw(&random))
    }
    guard let each, next < each.keys * each.spaces.count else { return nil }
    defer { next += each.step }
    return (each.kind, each.spaces[next / each.keys], next % each.keys)
  }
}

/// When calls are made.
package enum CallPacing: Sendable {
  case closed
  case open(ArrivalSchedule)
}

/// When a load is over.
package struct LoadSpan: Sendable, Hashable {
  package var startNanos: UInt64
  /// Calls that are due earlier are not counted.
  package var measuredFromNanos: UInt64
  /// nil: it has no time.
  package var endNanos: UInt64?
  /// Calls that count; nil: all.
  package var callsMax: Int?

  package init(
    startNanos: UInt64, measuredFromNanos: UInt64, endNanos: UInt64?, callsMax: Int?
  ) {
    self.startNanos = startNanos
    self.measuredFromNanos = measuredFromNanos
    self.endNanos = endNanos
    self.callsMax = callsMax
  }

  /// As long as there are calls.
  package static let whole = LoadSpan(
    startNanos: 0, measuredFromNanos: 0, endNanos: nil, callsMax: nil)
}

package struct LoadCore: Sendable {
  package enum Next: Sendable, Hashable {
    /// To be made now.
    case call(PlannedCall)
    /// Nothing is due before.
    case wait(untilNanos: UInt64)
    /// There will be no more.
    case over
  }

  private var source: CallSource
  private var pacing: CallPacing
  private var span: LoadSpan
  private var measuredCalls = 0
  package private(set) var tally = LoadTally()
  package private(set) var isOver = false

  package init(_ source: CallSource, _ pacing: CallPacing, _ span: LoadSpan) {
    self.source = source
    self.pacing = pacing
    self.span = span
  }

  /// Without any call.
  package static var none: LoadCore {
    var core = LoadCore(
      CallSource(.get, onEachOf: 0, in: [], first: 0, step: 1), .closed, .whole)
    core.isOver = true
    return core
  }

  /// The next call, if it is due. Call this only if there is room for it.
  ///
  /// - Parameter roomSinceNanos: since when there has been room. What was due before could not have
  ///   been sent earlier.
  package mutating func next(at nowNanos: UInt64, roomSinceNanos: UInt64 = 0) -> Next {
    if isOver { return .over }
    if nowNanos < span.startNanos { return .wait(untilNanos: span.startNanos) }
    if let end = span.endNanos, nowNanos >= end {
      finish(at: end)
      return .over
    }
    switch pacing {
    case .closed: return take(dueNanos: nowNanos)
    case .open(var schedule):
      let due = schedule.nextNanos
      guard due <= nowNanos else {
        return .wait(untilNanos: min(due, span.endNanos ?? due))
      }
      schedule.advance()
      pacing = .open(schedule)
      let next = take(dueNanos: due)
      if case .call(let call) = next, call.isMeasured {
        tally.lags.record(nowNanos - min(nowNanos, max(due, roomSinceNanos)))
      }
      return next
    }
  }

  private mutating func take(dueNanos: UInt64) -> Next {
    let isMeasured = dueNanos >= span.measuredFromNanos
    if isMeasured, let most = span.callsMax, measuredCalls >= most {
      isOver = true
      return .over
    }
    guard let (kind, space, key) = source.take() else {
      isOver = true
      return .over
    }
    if isMeasured { measuredCalls += 1 }
    return .call(
      PlannedCall(
        kind: kind, space: space, key: key, dueNanos: dueNanos, isMeasured: isMeasured))
  }

  /// A call has ended.
  ///
  /// - Parameters:
  ///   - sent: bytes of its request.
  ///   - received: bytes of its reply.
  package mutating func finished(
    _ call: PlannedCall, at nowNanos: UInt64, _ outcome: CallOutcome, sent: Int = 0,
    received: Int = 0
  ) {
    guard call.isMeasured else { return }
    tally.record(
      call.kind, outcome, latencyNanos: nowNanos - min(nowNanos, call.dueNanos), sent: sent,
      received: received)
  }

  /// Makes no more calls. Calls that are due and not sent are counted.
  package mutating func finish(at nowNanos: UInt64) {
    guard !isOver else { return }
    isOver = true
    guard case .open(let schedule) = pacing, nowNanos > span.measuredFromNanos else { return }
    var left = schedule.callsLeft(before: min(nowNanos, span.endNanos ?? nowNanos))
    if let most = span.callsMax { left = min(left, most - measuredCalls) }
    tally.unsent += max(left, 0)
  }
}
