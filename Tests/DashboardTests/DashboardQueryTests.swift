// What requests for data may ask, and who may ask it.

import Admin
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

  // MARK: - Viewers

  @Test(arguments: [
    ("127.0.0.1:9000", true), ("[::1]:9000", true), ("localhost", true), ("localhost:1", true),
    ("router", true), ("a.localhost:80", true), ("evil.example", false),
    ("127.0.0.1.evil.example", false), ("1.2.3.4.5", false), ("256.1.1.1", false), ("", false),
    ("evil.example:9000", false),
  ])
  func aNodeWithoutUsersIsAskedByAnAddress(_ host: String, _ isAllowed: Bool) {
    #expect(ViewerGuard.isHostOfAnAddress(host) == isAllowed)
    #expect(isAllowedIn(AdminRequest(path: "/api/keys", host: host)) == isAllowed)
  }

  @Test func aNodeWithUsersOrTLSMayBeAskedByAnyName() {
    #expect(isAllowedIn(AdminRequest(path: "/", user: "a", host: "db.example")))
    #expect(isAllowedIn(AdminRequest(path: "/", host: "db.example", isEncrypted: true)))
    #expect(!isAllowedIn(AdminRequest(path: "/")))
  }

  @Test(arguments: [
    ("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false),
  ])
  func pagesOfOtherSitesGetNothing(_ site: String, _ isAllowed: Bool) {
    let request = AdminRequest(path: "/", user: "a", host: "localhost", fetchSite: site)
    #expect(isAllowedIn(request) == isAllowed)
  }

  private func isAllowedIn(_ request: AdminRequest) -> Bool {
    (try? ViewerGuard.check(request)) != nil
  }
}
