// Limits the log lines of events that any client can cause often: one line for each class of events
// and second, with a count of those that were left out. Pure; the clock is passed in.

import Logging

/// Which events were logged lately.
struct LogRates {
  /// Similar events: they differ in their cause, not in what happened.
  struct Class: Hashable {
    let label: String
    let level: Logger.Level
    let message: String
    /// The fields by which classes differ.
    let fields: [String: String]

    /// Fields that describe what happened, not to which client, and have few values.
    static let fieldNames = ["reason", "shard", "lane", "call", "outcome", "level", "found"]
  }

  /// Events of a class that were passed over.
  struct Summary: Equatable {
    let of: Class
    let suppressed: Int
  }

  static let windowNanos: UInt64 = 1_000_000_000
  /// The number of classes at a time; further ones are distinguished only by their message.
  static let classesMax = 256

  private struct Window {
    var endNanos: UInt64
    var suppressed = 0
  }

  private var windows: [Class: Window] = [:]

  /// Whether an event is to be written. An event that isn't is counted.
  mutating func admit(_ event: Class, nowNanos: UInt64) -> Bool {
    var event = event
    if windows[event] == nil, windows.count >= Self.classesMax {
      event = Class(label: event.label, level: event.level, message: event.message, fields: [:])
    }
    guard windows[event] == nil else {
      windows[event]?.suppressed += 1
      return false
    }
    windows[event] = Window(endNanos: nowNanos &+ Self.windowNanos)
    return true
  }

  /// The lines about events that were left out, after their second. A class with such events stays
  /// limited for another second.
  mutating func due(nowNanos: UInt64) -> [Summary] {
    var summaries: [Summary] = []
    for (event, window) in windows where window.endNanos <= nowNanos {
      guard window.suppressed > 0 else {
        windows[event] = nil
        continue
      }
      summaries.append(Summary(of: event, suppressed: window.suppressed))
      windows[event] = Window(endNanos: nowNanos &+ Self.windowNanos)
    }
    return summaries
  }

  /// All events that were left out and not reported.
  mutating func takeAll() -> [Summary] {
    defer { windows.removeAll() }
    return windows.filter { $0.value.suppressed > 0 }
      .map { Summary(of: $0.key, suppressed: $0.value.suppressed) }
  }

  /// When `due` next has something to do; nil: never.
  var nextNanos: UInt64? { windows.values.map(\.endNanos).min() }
}
