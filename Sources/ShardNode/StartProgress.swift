// How far a start of a shard with data is, for people: the text that Describe, probes and the node's
// log show.
//
// Owned by the storage; the shard's event loop.

import LogFiles
import Logging

/// Writes the progress into the node's log now and then: a start may take minutes.
struct StartNotices {
  /// The time from the start to the first line, and from each to the next.
  static let pauseNanos: UInt64 = 5_000_000_000

  private let logger: Logger
  private var nextNanos: UInt64

  init(_ logger: Logger, nowNanos: UInt64) {
    self.logger = logger
    nextNanos = nowNanos + Self.pauseNanos
  }

  mutating func look(_ progress: String, nowNanos: UInt64) {
    guard nowNanos >= nextNanos else { return }
    nextNanos = nowNanos + Self.pauseNanos
    logger.notice("loading the data", metadata: ["progress": "\(progress)"])
  }
}

extension LogProgress {
  var text: String {
    let percent = bytesTotal == 0 ? 100 : bytesDone * 100 / bytesTotal
    let what = phase == .reading ? "read" : "made durable"
    return "\(percent) % of \(bytesTotal >> 20) MiB \(what)"
  }
}

extension StartCleaning {
  static let text = "keys that have expired or exceed the memory limit are deleted"
}
