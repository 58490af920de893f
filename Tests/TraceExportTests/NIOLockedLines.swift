// The lines of a log that a test reads. Any thread.

import NIOConcurrencyHelpers

final class NIOLockedLines: Sendable {
  private let lines = NIOLockedValueBox<[(message: String, reason: String?)]>([])

  var all: [(message: String, reason: String?)] { lines.withLockedValue { $0 } }

  func add(_ message: String, _ reason: String?) {
    lines.withLockedValue { $0.append((message, reason)) }
  }
}
