// A call's wait for a value if its lists have none. Values; any thread.

import RingstoreAPI
import TextForms

/// What a call waits for.
package struct ListWait: Sendable {
  package let millis: UInt32
  /// The lists beside that of the request's key, all in its slot.
  package let otherKeys: [[UInt8]]

  /// - Returns: nil if the call doesn't wait.
  /// - Throws: INVALID_WAIT.
  init?(_ millis: UInt32, _ otherKeys: RepeatedBytes, _ limits: Limits) throws(CallError) {
    guard millis > 0 else { return nil }
    guard millis <= limits.waitMillisMax else { throw .invalidWait(max: limits.waitMillisMax) }
    self.millis = millis
    self.otherKeys = otherKeys.map { Array($0) }
  }
}

extension CommandWords {
  /// A wait given in seconds, possibly with decimals, in milliseconds; 0 means the longest.
  func waitMillis(_ index: Int) throws(ArgumentError) -> UInt32 {
    guard let millis = DecimalSeconds.millis(self[index]), millis <= Limits.waitMillisMaxDefault
    else {
      throw .notAWait(word: Array(self[index]), maxSeconds: Limits.waitMillisMaxDefault / 1_000)
    }
    return millis == 0 ? Limits.waitMillisMaxDefault : UInt32(millis)
  }
}
