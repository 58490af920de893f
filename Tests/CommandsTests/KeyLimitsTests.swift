// Which keys and databases are refused, whatever the store contains.

import RingstoreAPI
import Testing

@testable import Commands

@Suite struct KeyLimitsTests {
  @Test func emptyAndLongKeysAndDatabasesThatAreNotThereAreRefused() {
    var limits = Limits()
    limits.maxKeyBytes = 3
    func reason(_ key: String, _ database: UInt32) -> ErrorReason? {
      Array(key.utf8).withUnsafeBytes {
        KeyLimits(limits).refusal(key: $0, database: database)?.reason
      }
    }
    #expect(reason("abc", 15) == nil)
    #expect(reason("", 0) == .invalidKey && reason("abcd", 0) == .invalidKey)
    #expect(reason("abc", 16) == .noSuchDatabase)
    let longest = Array(repeating: UInt8(0), count: 65_536)
    longest.withUnsafeBytes { #expect(KeyLimits(Limits()).refusal(key: $0, database: 15) == nil) }
  }
}
