// What requests for data may ask.

import Testing

@testable import Dashboard

@Suite struct DashboardQueryTests {
  private let names: Set<String> = ["key", "database"]

  @Test func bytesComeBackAsTheyWere() throws {
    for bytes: [UInt8] in [[], [0], [255, 254, 253], Array("a/b+c=".utf8), Array(0...255)] {
      let query = try DashboardQuery("key=\(Base64URL.encode(bytes))&database=3", names)
      #expect(try query.bytes("key") == bytes)
      #expect(try query.number("database", 0...9, missing: 0) == 3)
    }
  }

  @Test func whatIsMissingOrEmptyHasItsDefault() throws {
    for text in ["", "database=", "database=&key="] {
      let query = try DashboardQuery(text, names)
      #expect(try query.number("database", 0...9, missing: 7) == 7)
      #expect(try query.bytes("key").isEmpty)
    }
  }

  @Test(arguments: [
    "key", "other=1", "key=a&key=b", "key=%41", "key=a+b", "key=a=", "key=a b", "key=\u{e9}", "=",
  ])
  func anythingElseIsRefused(_ text: String) {
    #expect(throws: (any Error).self) { try DashboardQuery(text, names) }
  }

  @Test(arguments: ["-1", "10", "4294967296", "x", "1_0", "0x1"])
  func numbersHaveBounds(_ text: String) throws {
    let query = try DashboardQuery("database=\(text)", names)
    #expect(throws: (any Error).self) { try query.number("database", 0...9, missing: 0) }
  }

  @Test func brokenBase64IsRefused() throws {
    let query = try DashboardQuery("key=A", names)
    #expect(throws: (any Error).self) { try query.bytes("key") }
  }
}
