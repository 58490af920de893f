// The log of a test: keeps all events. Any thread.

import Logging
import NIOConcurrencyHelpers

final class EventLog: Sendable {
  struct Event: Sendable {
    let message: String
    let metadata: [String: String]
  }

  private let box = NIOLockedValueBox<[Event]>([])

  var events: [Event] { box.withLockedValue { $0 } }
  var messages: [String] { events.map(\.message) }
  /// The reasons of failures, in order.
  var reasons: [String] { events.compactMap { $0.metadata["reason"] } }

  var logger: Logger {
    Logger(label: "test") { [box] _ in Handler(box: box) }
  }

  private struct Handler: LogHandler {
    let box: NIOLockedValueBox<[Event]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
      box.withLockedValue { $0.append(Event(message: "\(event.message)", metadata: metadata)) }
    }
  }
}
