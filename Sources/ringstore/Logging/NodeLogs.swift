// The loggers of a process: lines for stderr, which never delay the node, with at most one line a
// second for similar events. Any thread.

import Dashboard
import Dispatch
import GRPC
import Logging
import Synchronization

/// Makes the loggers of a process.
package struct NodeLogs: Sendable {
  /// The record of users' actions.
  package static let auditLabel = "ringstore.audit"

  /// What was logged lately, for the dashboard.
  package let events = EventRing()
  private let level: LogLevelInForce
  private let sink: LogSink
  private let queue: LogQueue?

  /// Logs to stderr.
  package init(level: Logger.Level) {
    let queue = LogQueue { Terminal.writeToStandardError($0) }
    self.level = LogLevelInForce(level)
    self.queue = queue
    sink = LogSink(events) { queue.append($0) }
  }

  /// - Parameter write: takes whole lines, on the thread that logs.
  package init(level: Logger.Level, write: @escaping @Sendable (String) -> Void) {
    self.level = LogLevelInForce(level)
    queue = nil
    sink = LogSink(events, write)
  }

  /// Of events below this level nothing is written. The audit log has no levels.
  package var levelInForce: Logger.Level { level.current }
  package var levelConfigured: Logger.Level { level.configured }

  package func setLevel(_ new: Logger.Level) { level.current = new }

  /// Lines that stderr did not take in time.
  package var linesDropped: UInt64 { queue?.linesDropped ?? 0 }

  /// - Parameter isComplete: whether all events are written, in any number.
  package func logger(
    _ label: String, _ metadata: Logger.Metadata = [:], isComplete: Bool = false
  ) -> Logger {
    var logger = Logger(label: label) { [level, sink] label in
      StructuredLogHandler(label: label, level: level, sink: sink, isComplete: isComplete)
    }
    for (key, value) in metadata { logger[metadataKey: key] = value }
    return logger
  }

  /// The logger of the audit log, which has no levels.
  ///
  /// - Parameter isComplete: whether all events are written, in any number. Otherwise a second's
  ///   calls of one kind are one line: where all callers are anonymous, any of them could fill the
  ///   disk.
  package func auditLogger(isComplete: Bool) -> Logger {
    var logger = Logger(label: Self.auditLabel) { [level, sink] label in
      StructuredLogHandler(label: label, level: level, sink: sink, isComplete: isComplete)
    }
    logger.logLevel = .trace
    return logger
  }

  /// Writes everything that was logged, if stderr accepts it soon. For the process's end.
  package func flush() {
    sink.summarizeAll()
    queue?.flush()
  }
}

/// The level of all loggers of a process.
final class LogLevelInForce: Sendable {
  let configured: Logger.Level
  /// Its position among all levels: read for each event that may be logged.
  private let place: Atomic<Int>

  init(_ level: Logger.Level) {
    configured = level
    place = Atomic(Self.place(of: level))
  }

  var current: Logger.Level {
    get { Logger.Level.allCases[place.load(ordering: .relaxed)] }
    set { place.store(Self.place(of: newValue), ordering: .relaxed) }
  }

  private static func place(of level: Logger.Level) -> Int {
    Logger.Level.allCases.firstIndex(of: level) ?? 0
  }
}

/// Where the lines of all loggers of a process go.
final class LogSink: Sendable {
  private struct State {
    var rates = LogRates()
    var isTimerSet = false
  }

  private let state = Mutex(State())
  private let events: EventRing
  private let write: @Sendable (String) -> Void

  init(_ events: EventRing, _ write: @escaping @Sendable (String) -> Void) {
    self.events = events
    self.write = write
  }

  /// Writes an event, or counts it if a similar one was written within the second. Events below
  /// info are all written, because they were requested.
  ///
  /// - Parameter isComplete: whether all events of the logger are written.
  func log(
    level: Logger.Level, label: String, message: String, metadata: Logger.Metadata,
    isComplete: Bool
  ) {
    if level >= .info {
      if !isComplete {
        var fields: [String: String] = [:]
        for name in LogRates.Class.fieldNames { fields[name] = metadata[name].map { "\($0)" } }
        let event = LogRates.Class(label: label, level: level, message: message, fields: fields)
        guard admit(event) else { return }
      }
      if label != NodeLogs.auditLabel { keep(level, message, metadata) }
    }
    write(
      LogLine.format(
        time: LogLine.now(), level: level, label: label, message: message, metadata: metadata))
  }

  private func keep(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
    events.note(
      unixMillis: WallTime.unixMillis(), level: "\(level)", message: message,
      fields: metadata.sorted { $0.key < $1.key }.map { .init($0.key, "\($0.value)") })
  }

  private func admit(_ event: LogRates.Class) -> Bool {
    let now = DispatchTime.now().uptimeNanoseconds
    let (isAdmitted, delayNanos) = state.withLock { state -> (Bool, UInt64?) in
      let isAdmitted = state.rates.admit(event, nowNanos: now)
      guard !state.isTimerSet, let next = state.rates.nextNanos else { return (isAdmitted, nil) }
      state.isTimerSet = true
      return (isAdmitted, next > now ? next - now : 0)
    }
    if let delayNanos { wake(inNanos: delayNanos) }
    return isAdmitted
  }

  private func wake(inNanos nanos: UInt64) {
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(nanos))) { [weak self] in
      self?.summarize()
    }
  }

  private func summarize() {
    let now = DispatchTime.now().uptimeNanoseconds
    let (summaries, delayNanos) = state.withLock { state -> ([LogRates.Summary], UInt64?) in
      let summaries = state.rates.due(nowNanos: now)
      let next = state.rates.nextNanos
      state.isTimerSet = next != nil
      return (summaries, next.map { $0 > now ? $0 - now : 0 })
    }
    if let delayNanos { wake(inNanos: delayNanos) }
    summaries.forEach(write)
  }

  func summarizeAll() {
    state.withLock { $0.rates.takeAll() }.forEach(write)
  }

  private func write(_ summary: LogRates.Summary) {
    var metadata = summary.of.fields.mapValues { Logger.MetadataValue.string($0) }
    metadata["suppressed"] = "\(summary.suppressed)"
    keep(summary.of.level, summary.of.message, metadata)
    write(
      LogLine.format(
        time: LogLine.now(), level: summary.of.level, label: summary.of.label,
        message: summary.of.message, metadata: metadata))
  }
}
