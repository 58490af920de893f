// docs/CLIENT.md and README.md show code that compiles and does what the page says.

import Foundation
import RingstoreClient
import Testing

@Suite struct ClientPageTests {
  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private static func lines(_ path: String) throws -> [String] {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
      .components(separatedBy: "\n")
  }

  /// The blocks between two lines that say where they begin and end.
  private static func blocks(
    _ path: String, _ begin: String, _ end: String, indent: Int
  ) throws -> [String] {
    var blocks: [String] = []
    var open: [String]?
    for line in try lines(path) {
      let marker = line.trimmingCharacters(in: .whitespaces)
      if open != nil, marker == end {
        blocks.append(open?.joined(separator: "\n") ?? "")
        open = nil
      } else if open != nil {
        open?.append(String(line.dropFirst(indent)))
      } else if marker == begin {
        open = []
      }
    }
    return blocks
  }

  @Test func theCodeOnThePageIsTheCodeThatIsTested() throws {
    let onPage = try Self.blocks("docs/CLIENT.md", "```swift", "```", indent: 0)
    let tested = try Self.blocks(
      "Tests/RingstoreClientTests/ClientPageExamples.swift", "// page: begin", "// page: end",
      indent: 4)
    // The first block is for the reader's own manifest.
    let manifest = try #require(onPage.first)
    #expect(tested.count > 10)
    #expect(Array(onPage.dropFirst()) == tested)
    let ours = try Self.lines("Package.swift").joined(separator: "\n")
    #expect(manifest.contains(#".product(name: "RingstoreClient", package: "ringstore")"#))
    #expect(ours.contains(#"name: "ringstore","#))
    #expect(ours.contains(#"library(name: "RingstoreClient""#))
  }

  @Test func theCodeInTheReadmeIsTheCodeThatIsTested() throws {
    let onPage = try Self.blocks("README.md", "```swift", "```", indent: 0)
    let tested = try Self.blocks(
      "Tests/RingstoreClientTests/ClientPageExamples.swift", "// readme: begin", "// readme: end",
      indent: 4)
    let placed = onPage.map {
      $0.replacing("import RingstoreClient\n\n", with: "")
        .replacing(#"host: "127.0.0.1", port: 50051"#, with: "host: host, port: port")
    }
    #expect(tested.count == 1)
    #expect(placed == tested)
  }

  @Test func theExamplesOfThePagesRun() async throws {
    try await TestCluster.withRouterNode { node in
      try await ClientPageExamples.run(host: "127.0.0.1", port: node.port)
    }
  }

  @Test func theLimitsOnThePageAreThoseOfTheClient() throws {
    let page = try Self.lines("docs/CLIENT.md").joined(separator: "\n")
    let configuration = RingstoreClient.Configuration()
    for fact in [
      "| `timeout` | \(configuration.timeout.components.seconds) s |",
      "| `connectTimeout` | \(configuration.connectTimeout.components.seconds) s |",
      "| `maxMessageBytes` | \(configuration.maxMessageBytes >> 20) MiB |",
      "| `database` | \(configuration.database) |",
      "\(RingstoreClient.pendingMaxDefault)",
    ] {
      #expect(page.contains(fact), "\(fact)")
    }
  }
}
