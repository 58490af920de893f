// The data of the page, from a shard that serves, for viewers with all rights and with fewer.

import Admin
import Foundation
import Testing

@testable import Dashboard

@Suite(.serialized, .timeLimit(.minutes(15))) struct DashboardDataTests {
  @Test func theOverviewTellsOfTheShardAndItsCalls() async throws {
    try await DataPage.with { page in
      try await page.set("a", "1")
      let reply = try await page.json("/api/overview")
      let nodes = try #require(reply["nodes"] as? [[String: Any]])
      let shard = try #require(nodes.first)
      #expect(shard["id"] as? String == "alone")
      #expect(shard["role"] as? String == "shard")
      #expect(shard["state"] as? String == "serving")
      #expect(shard["keys"] as? Int == 1)
      let durations = try #require(shard["durations"] as? [Int])
      #expect(shard["calls"] as? Int == durations.reduce(0, +))
      #expect((reply["bounds_micros"] as? [Int])?.count == 97)
      #expect(reply["links"] is NSNull)
      #expect(reply["user"] is NSNull)
    }
  }

  @Test func keysComePageByPageWithTheirFacts() async throws {
    try await DataPage.with { page in
      let keys = (0..<120).map { "k\($0)" } + ["\u{0}\u{7f}", "other"]
      for key in keys { try await page.set(key, "v") }
      var found: [String] = []
      var after = ""
      repeat {
        let reply = try await page.json("/api/keys", "prefix=\(b64("k"))&limit=50&after=\(after)")
        let listed = try #require(reply["keys"] as? [[String: Any]])
        #expect(listed.allSatisfy { $0["type"] as? String == "string" })
        found += listed.compactMap { $0["key"] as? String }
        after = try #require(reply["next"] as? String)
      } while !after.isEmpty
      #expect(Set(found) == Set(keys.filter { $0.hasPrefix("k") }.map(b64)))
      #expect(found.count == 120)
    }
  }

  @Test func aKeyIsReportedWithTheBeginningOfItsValue() async throws {
    try await DataPage.with { page in
      let value = String(repeating: "x", count: 100_000)
      try await page.set("long", value)
      let reply = try await page.json("/api/key", "key=\(b64("long"))")
      #expect(reply["length"] as? Int == 100_000)
      let preview = try #require(reply["preview"] as? [[String: Any]])
      #expect(preview.count == 1)
      #expect(preview[0]["bytes"] as? String == b64(String(value.prefix(4_096))))
      #expect(preview[0]["length"] as? Int == 100_000)
      let missing = try await page.json("/api/key", "key=\(b64("nothing"))")
      #expect(missing["found"] as? Bool == false)
    }
  }

  @Test func aListIsReportedByItsFirstValuesAsLongAsTheyAreSmall() async throws {
    try await DataPage.with { page in
      try await page.push("list", (0..<30).map { "v\($0)" })
      let reply = try await page.json("/api/key", "key=\(b64("list"))")
      let preview = try #require(reply["preview"] as? [[String: Any]])
      #expect(preview.compactMap { $0["bytes"] as? String } == (0..<20).map { b64("v\($0)") })
      #expect(reply["length"] as? Int == 30)
      try await page.push("large", (0..<5).map { _ in String(repeating: "y", count: 50_000) })
      let large = try await page.json("/api/key", "key=\(b64("large"))")
      #expect(large["preview"] is NSNull)
      #expect((large["preview_refusal"] as? String)?.contains("too large") == true)
      // The node continues.
      let again = try await page.json("/api/key", "key=\(b64("list"))")
      #expect(again["found"] as? Bool == true)
    }
  }

  @Test func aLongKeyIsReportedByItsBeginning() async throws {
    try await DataPage.with { page in
      try await page.set(String(repeating: "l", count: 60_000), "v")
      let keys = try #require(try await page.json("/api/keys")["keys"] as? [[String: Any]])
      #expect(keys.count == 1)
      #expect(keys[0]["whole"] as? Bool == false)
      #expect(keys[0]["key_bytes"] as? Int == 60_000)
      #expect(keys[0]["key"] as? String == b64(String(repeating: "l", count: 256)))
    }
  }

  @Test(arguments: [
    "/api/keys?limit=51", "/api/keys?limit=0", "/api/keys?x=1", "/api/key?database=-1",
    "/api/hotkeys?count=1000", "/api/keys?prefix=A", "/api/keys?after=AAAA",
  ])
  func aRequestThatIsWrongIsReported(_ address: String) async throws {
    try await DataPage.with { page in
      let parts = address.split(separator: "?")
      let response = try await page.ask(String(parts[0]), String(parts[1]))
      #expect(response.status == .badRequest)
      let reply = try DataPage.decode(response)
      #expect(((reply["error"] as? [String: Any])?["message"] as? String)?.isEmpty == false)
    }
  }

  @Test func aUserSeesHisKeysOnly() async throws {
    try await DataPage.with(users: DataPage.users) { page in
      try await page.set("mine:1", "v", as: "root")
      try await page.set("others", "v", as: "root")
      let listed = try await page.json("/api/keys", as: "tenant")
      let keys = try #require(listed["keys"] as? [[String: Any]])
      #expect(keys.compactMap { $0["key"] as? String } == [b64("mine:1")])
      try await page.expect(.ok, "/api/key", "key=\(b64("mine:1"))", as: "tenant")
      for key in ["others", "nothing"] {
        try await page.expect(.forbidden, "/api/key", "key=\(b64(key))", as: "tenant")
      }
      try await page.expect(.forbidden, "/api/keys", "database=1", as: "tenant")
    }
  }

  @Test func whoMayNotReadSeesNothingOfKeys() async throws {
    try await DataPage.with(users: DataPage.users) { page in
      for path in ["/api/keys", "/api/key", "/api/overview"] {
        try await page.expect(.forbidden, path, as: "operator")
      }
      try await page.expect(.ok, "/api/hotkeys", as: "operator")
    }
  }

  @Test func aCredentialThatIsNoneAnyMoreIsRefused() async throws {
    try await DataPage.with(users: DataPage.users) { page in
      try await page.expect(.ok, "/api/keys", as: "tenant")
      let known = try page.known("tenant")
      try await page.replaceUsers(with: "user root\nmay admin\nkeys all\ndatabases all\n")
      let response = try await page.ask("/api/keys", caller: known, user: "tenant")
      #expect(response.status == .unauthorized)
      #expect(response.headers.map(\.value) == ["Bearer realm=\"ringstore\""])
    }
  }
}
