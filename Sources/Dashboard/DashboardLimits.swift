// The limits of the dashboard's requests and replies. Values; any thread.

import Commands
import NIOCore
import NodeCore

enum DashboardLimits {
  /// How long a node may take for one request.
  static let pageNanosMax: UInt64 = 5_000_000_000
  /// Looks closer together than this get the same figures.
  static let measureNanosMin: UInt64 = 100_000_000
  /// Keys of one page of the key browser.
  static let keysMax: UInt32 = 50
  /// Keys of the list of those looked up most often.
  static let hotKeysMax: UInt32 = 50
  /// The longest key that is sent completely and can be requested: as Base64url it must fit into a
  /// request's line (`AdminLimits.requestBytesMax`).
  static let keyBytesMax = 8 << 10
  /// How much of a longer one is sent.
  static let keyBytesShown = 256
  /// How much is sent of a value, or of each value of a list.
  static let valueBytesMax = 4 << 10
  /// How many values of a list are sent.
  static let listValuesMax = 20
  /// How many slow calls are sent, and how many large ones.
  static let slowCallsMax = 50
}

extension LocalCalls {
  /// The context of calls that begin now, with the time limit of a reply.
  func pageContext() -> CallContext {
    context(
      deadlineNanos: NIODeadline.now().uptimeNanoseconds &+ DashboardLimits.pageNanosMax)
  }
}
