// The log of a node in a test: keeps its lines. Any thread.

import Logging
import NIOConcurrencyHelpers

final class NodeLog: Sendable {
  struct Line: Sendable, Equatable {
    let level: Logger.Level
    let message: String
    let metadata: [String: String]
  }

  private let box = NIOLockedValueBox<[Line]>([])

  /// The lines with this message, oldest first.
  func lines(_ message: String) -> [Line] {
    box.withLockedValue { $0.filter { $0.message == message } }
  }

  var logger: Logger {
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
