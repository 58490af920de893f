// What administrators can read and change of this process through its nodes. Any thread.

import Front
import Logging

struct ProcessSurroundings: NodeSurroundings {
  let logs: NodeLogs
  private let logger: Logger

  init(_ logs: NodeLogs) {
    self.logs = logs
    logger = logs.logger("ringstore")
  }

  var logLevel: (inForce: String, configured: String) {
    (logs.levelInForce.rawValue, logs.levelConfigured.rawValue)
  }

  func setLogLevel(_ name: String) -> Bool {
    guard let level = Logger.Level(rawValue: name) else { return false }
    let before = logs.levelInForce
    logs.setLevel(level)
    if level != before {
      logger.log(
        level: max(level, .notice), "the level of the log was changed",
        metadata: ["from": "\(before)", "to": "\(level)"])
    }
    return true
  }
}
