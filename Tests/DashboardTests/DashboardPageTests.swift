// The page that is compiled in, and its policy.

import Crypto
import Foundation
import Testing

@testable import Dashboard

@Suite struct DashboardPageTests {
  @Test func thePageIsTheFile() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = try String(
      contentsOf: root.appending(path: "Sources/Dashboard/Page/dashboard.html"), encoding: .utf8)
    #expect(DashboardPage.html + "\n" == file, "run deploy/dashboard")
  }

  /// A browser runs the script and takes the style only if their hashes are right.
  @Test func thePolicyNamesTheScriptAndTheStyleAndNothingElse() throws {
    for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
      let parts = DashboardPage.html.components(separatedBy: "<\(tag)>")
      try #require(parts.count == 2)
      let text = try #require(parts[1].components(separatedBy: "</\(tag)>").first)
      let hash = Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
      #expect(DashboardPage.policy.contains("\(directive) 'sha256-\(hash)';"))
    }
    #expect(DashboardPage.policy.hasPrefix("default-src 'none';"))
    #expect(!DashboardPage.policy.contains("unsafe"))
  }
}
