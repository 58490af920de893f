// What a shard's log tells people of a disk that is full or doesn't keep up: lines for the node's
// log, and a sentence for Describe and readiness.
//
// The shard's event loop.

import LogFiles
import Logging
import RingstoreAPI

extension ShardLog {
  /// Writes a line when writes begin to be refused, and one when they are taken again.
  func tellTrouble(to logger: Logger, _ directory: String) {
    onDiskFull = { [unowned self] isFull in
      var metadata: Logger.Metadata = ["data_dir": "\(directory)"]
      if let room {
        metadata["free_bytes"] = "\(room.free)"
        metadata["needed_bytes"] = "\(room.needed)"
      }
      if isFull {
        logger.error(
          "the disk is full, or nearly: writes are refused until there is room", metadata: metadata)
      } else {
        logger.notice("the disk has room again: writes are accepted", metadata: metadata)
      }
    }
    onStall = { [unowned self] isStalled in
      let metadata: Logger.Metadata = [
        "data_dir": "\(directory)", "waiting_bytes": "\(bytesWaiting)",
      ]
      if isStalled {
        logger.warning(
          "the disk doesn't keep up: writes are refused until it has caught up", metadata: metadata)
      } else {
        logger.notice("the disk has caught up: writes are accepted", metadata: metadata)
      }
    }
  }

  /// Why writes are refused; nil: they aren't.
  var trouble: String? {
    if hasFailed { return nil }
    if isDiskFull {
      return "\(ErrorReason.diskFull.rawValue): the disk is full\(roomText), so writes are refused"
    }
    guard refusesWrites || isStalled else { return nil }
    return "\(ErrorReason.logStalled.rawValue): the disk doesn't keep up, so writes are refused; "
      + "\(bytesWaiting >> 10) KiB wait to be written"
  }

  /// What the disk has left, in brackets.
  var roomText: String { room.map { " (\($0))" } ?? "" }
}
