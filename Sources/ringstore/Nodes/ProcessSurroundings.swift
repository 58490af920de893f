// What administrators can read and change of this process through its nodes. Any thread.

import Front
import Logging
import NodeCore

struct ProcessSurroundings: NodeSurroundings {
  let logs: NodeLogs
  private let ledger: SettingLedger?
  private let logger: Logger

  /// - Parameter ledger: nil: the node was started without settings, as by a test.
  init(_ logs: NodeLogs, _ ledger: SettingLedger?) {
    self.logs = logs
    self.ledger = ledger
    // With a change left out, the log would end with another level than the one in force.
    logger = logs.logger("ringstore", isComplete: true)
  }

  var logLevel: (inForce: String, configured: String) {
    (logs.levelInForce.rawValue, logs.levelConfigured.rawValue)
  }

  var settings: NodeSettings? { ledger?.settings }

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
