// docs/FORMATS.md is true: its samples are what the code writes and reads.

import Foundation
import Testing

@testable import Log

@Suite struct FormatPageTests {
  private static func page() throws -> String {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return try String(
      contentsOf: root.appendingPathComponent("docs/FORMATS.md"), encoding: .utf8)
  }

  @Test func theSamplesOfThePageAreWhatIsWritten() throws {
    let page = try Self.page()
    for dump in try FormatDump.all() {
      #expect(dump.isComplete, "\(dump.title) has \(dump.bytes.count) bytes")
      #expect(page.contains("```text\n\(dump.text)\n```"), "\(dump.title):\n\(dump.text)")
    }
  }

  @Test func thePageNamesEveryTypeOfRecordAndEveryChange() throws {
    let page = try Self.page()
    for type in RecordType.allCases { #expect(page.contains("\n| \(type.rawValue) | ")) }
    for code in ChangeCode.allCases { #expect(page.contains("\n| \(code.rawValue) | ")) }
  }

  @Test func theSamplesAreReadBack() throws {
    let reader = BatchReader(identity: FormatDump.identity, position: 1_000)
    for (dump, types) in [(FormatDump.batch(), [1, 4]), (FormatDump.secondBatch(), [1, 5])] {
      dump.bytes.withUnsafeBytes { reader.feed($0) }
      guard case .batch(let read) = reader.next() else {
        Issue.record("\(dump.title) isn't read")
        return
      }
      #expect(read.records.map { Int($0.type) } == types && read.committed == 1_000)
    }
  }
}
