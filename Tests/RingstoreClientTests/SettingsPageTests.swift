// The table of all settings in docs/OPERATIONS.md against all that there are: names, nodes,
// and what it takes to change one.

import Foundation
import Testing
import ringstore

@Suite struct SettingsPageTests {
  /// A row of the table, which may be about several settings.
  private struct Row {
    let keys: [String]
    let flags: [String]
    let variables: [String]
    let kinds: [NodeKind]
    let change: String
    /// Of `shards`, which is a list or a number.
    let isList: Bool

    init(_ line: Substring) throws {
      let cells = line.split(separator: " | ").map { $0.trimmingPrefix("| ") }
      try #require(cells.count == 7, "\(line)")
      func names(_ cell: Substring) -> [String] { cell.matches(of: /`([^`]+)`/).map { "\($0.1)" } }
      keys = names(cells[0])
      isList = cells[0].hasSuffix("(a list)")
      flags = names(cells[1])
      variables = names(cells[2])
      let nodes = cells[3].split(separator: ", ")
      kinds =
        nodes == ["all"] ? NodeKind.allCases : nodes.compactMap { NodeKind(rawValue: "\($0)") }
      change = String(cells[6].replacing(" |", with: ""))
    }
  }

  private func rows() throws -> [Row] {
    let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/OPERATIONS.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let head = "| key in the file | flag | variable | nodes | default | values | change |\n"
    let table = try #require(text.firstRange(of: head))
    return try text[table.upperBound...].split(separator: "\n", omittingEmptySubsequences: false)
      .dropFirst().prefix { $0.hasPrefix("|") }.map(Row.init)
  }

  @Test(arguments: NodeKind.allCases)
  func itHasEverySettingOfANodeOnceWithItsNamesAndHowItChanges(kind: NodeKind) throws {
    var missing = Set(kind.settings)
    for row in try rows() where row.kinds.contains(kind) {
      for (place, key) in row.keys.enumerated() {
        let setting = try #require(Setting(rawValue: key), "\(key) is no setting")
        #expect(missing.remove(setting) != nil, "\(key) is there twice, or \(kind) doesn't take it")
        #expect(row.flags.count > place && row.flags[place] == setting.flag(kind))
        #expect(row.variables.count > place && row.variables[place] == setting.environmentName)
        #expect(row.change == setting.change(kind).rawValue, "\(key) of \(kind)")
      }
    }
    #expect(missing.isEmpty, "not on the page: \(missing)")
  }

  @Test func theListOfShardsIsARoutersAndTheirNumberIsNot() throws {
    for row in try rows() where row.keys == ["shards"] {
      #expect(row.isList == (row.kinds == [.router]))
    }
  }

  /// Whatever names a file that is checked for changes says so by its values.
  @Test func onlySettingsThatNameFilesHaveContents() throws {
    let files = try rows().filter { $0.change == SettingChange.contents.rawValue }.flatMap(\.keys)
    #expect(files.count == 10)
    #expect(files.allSatisfy { !$0.hasSuffix("_certificates") && !$0.hasSuffix("_name") })
  }
}
