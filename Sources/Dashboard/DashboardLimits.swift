// The bounds of what the dashboard asks for and answers. Values; any thread.

import Commands
import NIOCore
import NodeCore

enum DashboardLimits {
  /// How long a node may take for what one request asks of it.
  static let answerNanosMax: UInt64 = 5_000_000_000
  /// Looks closer together than this get the same figures.
  static let measureNanosMin: UInt64 = 100_000_000
  /// Keys of one page of the key browser.
  static let keysMax: UInt32 = 50
  /// Keys of the list of those looked up most often.
  static let hotKeysMax: UInt32 = 50
  /// The longest key that is told whole, and can be asked for: as Base64url it must fit into a
  /// request's line (`AdminLimits.requestBytesMax`).
  static let keyBytesMax = 8 << 10
  /// Of a longer one so much is told.
  static let keyBytesShown = 256
  /// What is told of a value, or of each of a list's.
  static let valueBytesMax = 4 << 10
  /// The values of a list that are told.
  static let listValuesMax = 20
  /// Slow calls that are told, and large ones.
  static let slowCallsMax = 50
}

extension LocalCalls {
  /// The context of calls that begin now, with the time that a reply may take.
  func contextOfAnswer() -> CallContext {
    context(
      deadlineNanos: NIODeadline.now().uptimeNanoseconds &+ DashboardLimits.answerNanosMax)
  }
}
