// docs/PROTOCOL.md tells the truth about the line protocol's commands and bounds. Its transcripts
// are played against real nodes: Tests/RealClients/test_line_protocol.py.

import Foundation
import LineProtocol
import RingstoreAPI
import Testing

@Suite struct LinePageTests {
  private let page: String

  init() throws {
    let root = URL(filePath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    page = try String(contentsOf: root.appending(path: "docs/PROTOCOL.md"), encoding: .utf8)
  }

  @Test func everyCommandHasItsLineOnThePageAndNoOtherHas() throws {
    let start = try #require(page.range(of: "## Commands of the line protocol"))
    let table = page[start.upperBound...].prefix { $0 != "#" }
    let usages = table.matches(of: /\n\| `(.*?)` \|/).map {
      String($0.1).replacing("\\|", with: "|")
    }
    #expect(usages.sorted() == LineCommands.all.map(\.syntax.usage).sorted())
  }

  @Test func theBoundsAreTheDefaults() {
    let limits = LineLimits(Limits())
    #expect(limits.maxLines == 20_001 && page.contains("| lines of a request | 20,001 "))
    #expect(limits.maxLineBytes == 4_194_304 && page.contains("| one line | 4,194,304 bytes "))
    #expect(limits.maxRequestBytes == 4_195_328 && page.contains(" counted | 4,195,328 bytes "))
    #expect(limits.maxInlineBytes == 65_536 && page.contains(" on one line | 65,536 bytes "))
    let server = LineConfiguration()
    #expect(page.contains("| connections of a node | `max_connections` |"))
    #expect(page.contains("holds for its clients | `client_memory_bytes`, together with gRPC |"))
    #expect(
      server.progressNanosMax == 30_000_000_000 && page.contains("4 KiB taken in each 30 seconds"))
    #expect(LineSession.commandsFirst == 32 && LineSession.commandsMax == 256)
    #expect(page.contains("commands of a connection | 32 at first, up to 256 |"))
    #expect(LineSession.outputBytesMax == 1 << 20 && page.contains("has not read | 1 MiB"))
    #expect(LineSession.callNanosMax == 60_000_000_000 && page.contains("may take 60 seconds"))
  }

  @Test(arguments: [
    LineFailure.badCount, .noLines, .tooManyLines(max: 20_001), .lineTooLong(max: 4_194_304),
    .requestTooLong(max: 4_195_328), .inlineTooLong(max: 65_536), .reservedLength,
    .strayCarriageReturn, .openQuote, .truncated, .http,
  ])
  func everyRefusalIsOnThePageWithWhatBecomesOfTheConnection(_ failure: LineFailure) {
    let shown = failure.text.map { "`-\($0)`" } ?? "none"
    let end = failure.endsConnection ? "closed" : "stays open"
    #expect(page.contains("| \(shown) | \(end) |"))
  }
}
