// The latest events of a process, for its dashboard: its log lines from `info` on, without the
// audit log. The log limits how often similar events are written, so a client that causes one event
// all the time doesn't displace the others. Any thread.

import NIOConcurrencyHelpers

package final class EventRing: Sendable {
  /// Events that are kept.
  package static let eventsMax = 200
  /// Bytes that are kept of a message, and of the value of a field.
  package static let textBytesMax = 512
  /// Fields of an event.
  package static let fieldsMax = 12

  package struct Event: Sendable, Hashable {
    /// Numbers the events of the process.
    package let number: UInt64
    package let unixMillis: Int64
    /// As the log calls it.
    package let level: String
    package let message: String
    package let fields: [Field]
  }

  package struct Field: Sendable, Hashable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  private struct State {
    var events: [Event] = []
    var total: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())

  package init() {}

  /// Notes an event; it replaces the oldest one.
  package func note(
    unixMillis: Int64, level: String, message: String, fields: [Field]
  ) {
    let message = Self.shortened(message)
    let fields = fields.prefix(Self.fieldsMax).map { Field($0.name, Self.shortened($0.value)) }
    state.withLockedValue { state in
      let event = Event(
        number: state.total, unixMillis: unixMillis, level: level, message: message,
        fields: fields)
      let place = Int(state.total % UInt64(Self.eventsMax))
      if place < state.events.count {
        state.events[place] = event
      } else {
        state.events.append(event)
      }
      state.total &+= 1
    }
  }

  /// Newest first.
  package var latest: [Event] {
    state.withLockedValue { $0.events }.sorted { $0.number > $1.number }
  }

  private static func shortened(_ text: String) -> String {
    guard text.utf8.count > textBytesMax else { return text }
    return String(decoding: text.utf8.prefix(textBytesMax), as: UTF8.self) + "..."
  }
}
