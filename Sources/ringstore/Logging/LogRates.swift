// How often events are logged that any client can cause as often as it likes: one line for each
// class of events and second, with a count of those that were passed over. Pure; the clock is
// passed in.

import Logging

/// Which events were logged lately.
struct LogRates {
  /// Events that are alike: they differ in who caused them, not in what happened.
  struct Class: Hashable {
    let label: String
    let level: Logger.Level
    let message: String
    /// The fields by which classes differ.
    let fields: [String: String]

    /// Fields that tell what happened rather than to whom, and have few values.
    static let fieldNames = ["reason", "shard", "lane"]
  }

  /// Events of a class that were passed over.
  struct Summary: Equatable {
    let of: Class
    let suppressed: Int
  }

  static let windowNanos: UInt64 = 1_000_000_000
  /// Classes that are told apart at a time; further ones are told apart by their message only.
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

  /// What is to be told about events that were passed over, once their second is over. A class with
  /// such events stays limited for another second.
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

  /// Everything that was passed over and not told.
  mutating func takeAll() -> [Summary] {
    defer { windows.removeAll() }
    return windows.filter { $0.value.suppressed > 0 }
      .map { Summary(of: $0.key, suppressed: $0.value.suppressed) }
  }

  /// When `due` has something to look at; nil: never.
  var nextNanos: UInt64? { windows.values.map(\.endNanos).min() }
}
