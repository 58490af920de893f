// A log in memory, for tests: keeps its lines. Any thread.

package import Logging
import NIOConcurrencyHelpers

package final class RecordedLog: Sendable {
  package struct Line: Sendable, Equatable {
    package let level: Logger.Level
    package let message: String
    package let metadata: [String: String]
  }

  private let box = NIOLockedValueBox<[Line]>([])

  package init() {}

  /// Oldest first.
  package var lines: [Line] { box.withLockedValue { $0 } }
  package var messages: [String] { lines.map(\.message) }

  /// The lines with this message, oldest first.
  package func lines(_ message: String) -> [Line] { lines.filter { $0.message == message } }

  package var logger: Logger {
    Logger(label: "test") { [box] _ in Handler(box: box) }
  }

  private struct Handler: LogHandler {
    let box: NIOLockedValueBox<[Line]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
      box.withLockedValue {
        $0.append(Line(level: event.level, message: "\(event.message)", metadata: metadata))
      }
    }
  }
}
