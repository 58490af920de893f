// docs/PROTOCOL.md tells the truth about the command table, the contract and the errors.

import Commands
import Foundation
import RingstoreAPI
import Testing

@Suite struct ProtocolPageTests {
  let page: String
  /// The text under each "### Call".
  let entries: [String: String]

  init() throws {
    let page = try String(
      contentsOf: packageRoot.appending(path: "docs/PROTOCOL.md"), encoding: .utf8)
    var entries: [String: String] = [:]
    var open: String?
    for line in page.components(separatedBy: "\n") {
      if line.hasPrefix("#") {
        open = line.hasPrefix("### ") ? String(line.dropFirst(4)) : nil
        if let open { entries[open] = "" }
      } else if let open {
        entries[open, default: ""] += line + "\n"
      }
    }
    self.page = page
    self.entries = entries
  }

  /// The fields of each message of ringstore.v1, nested messages left out.
  private static func fields() throws -> [String: [String]] {
    var fields: [String: [String]] = [:]
    for file in ["keystore", "cluster"] {
      let url = packageRoot.appending(
        path: "Sources/RingstoreAPI/Protos/ringstore/v1/\(file).proto")
      var stack: [String] = []
      for line in try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n") {
        let code = line.prefix { $0 != "/" }
        if let match = code.firstMatch(of: /^message (\w+) \{/) {
          fields[String(match.1)] = []
          stack = [String(match.1)]
        } else if code.contains("{") {
          stack.append(code.contains("oneof") ? stack.last ?? "" : "")
        } else if let match = code.firstMatch(of: /(\w+) = \d+;/), let message = stack.last {
          fields[message]?.append(String(match.1))
        }
        if code.contains("}"), !stack.isEmpty { stack.removeLast() }
      }
    }
    return fields
  }

  /// Request and reply message of each rpc, by the call's name.
  private static func messages() throws -> [String: (request: String, reply: String)] {
    var messages: [String: (request: String, reply: String)] = [:]
    for file in ["keystore", "cluster"] {
      let url = packageRoot.appending(
        path: "Sources/RingstoreAPI/Protos/ringstore/v1/\(file).proto")
      let text = try String(contentsOf: url, encoding: .utf8)
      let rpc = /rpc (\w+)\((?:stream )?(\w+)\) returns \((?:stream )?(\w+)\)/
      for match in text.matches(of: rpc) {
        messages[String(match.1)] = (String(match.2), String(match.3))
      }
    }
    return messages
  }

  @Test func thePageHasAnEntryForEveryCallThatIsServedAndNoOther() {
    #expect(Set(entries.keys) == Set(CommandTable.all.map(\.name)))
  }

  @Test(arguments: CommandTable.all.map(\.name))
  func anEntrySaysWhatTheCommandTableSays(_ name: String) throws {
    let command = try #require(CommandTable.all.first { $0.name == name })
    let entry = try #require(entries[name])
    let syntax = command.forms.first?.syntax
    let wordless = command === Command.pipeline ? "a stream of CallBatch" : "no command"
    let usage = syntax.map { "`\($0.usage)`" } ?? wordless
    let aliases = (syntax?.aliases ?? []).map { "`\($0)`" }.joined(separator: ", ")
    let line =
      "`\(command.rpc.path)` · \(usage)\(aliases.isEmpty ? "" : " (or \(aliases))")"
      + " · \(command.access.rawValue) · \(command.routing.rawValue)\n"
    #expect(entry.hasPrefix("\n\(command.summary)\n\n\(line)"))
  }

  @Test(arguments: CommandTable.all.map(\.name))
  func anEntryNamesEveryFieldOfTheCallsMessages(_ name: String) throws {
    let entry = try #require(entries[name])
    let (request, reply) = try #require(try Self.messages()[name])
    let fields = try Self.fields()
    for (role, message) in [("Request", request), ("Reply", reply)] {
      let start = try #require(entry.range(of: "- \(role) `\(message)`:"), "\(name) \(role)")
      let item = entry[start.lowerBound...].prefix { $0 != "\n" }
      for field in try #require(fields[message]) {
        #expect(item.contains("`\(field)`"), "\(name): \(message).\(field)")
      }
    }
  }

  @Test func everyReasonIsInTheTableOfErrorsWithItsStatus() {
    for reason in ErrorReason.allCases {
      #expect(page.contains("\n| `\(reason.rawValue)` | \(reason.code.name) | "))
    }
    let rows = page.matches(of: /\n\| `[A-Z_0-9]+` \| [A-Z_]+ \|/).count
    #expect(rows == ErrorReason.allCases.count)
  }

  @Test func everyRefusalAndEveryInternalPartIsInItsTable() {
    for refusal in LinkRefusal.allCases { #expect(page.contains("\n| `\(refusal.rawValue)` | ")) }
    for part in InternalMethod.allCases {
      #expect(page.contains("\n| `\(part)` | \(part.rawValue) | "))
    }
  }

  @Test func theLimitsAreTheDefaults() throws {
    let limits = Limits()
    func grouped(_ number: Int) -> String {
      String(
        String(number).reversed().enumerated().flatMap { index, digit in
          index > 0 && index % 3 == 0 ? [",", digit] : [digit]
        }.reversed())
    }
    for number in [limits.maxKeyBytes, limits.maxMessageBytes, limits.maxItems] {
      #expect(page.contains(" | \(grouped(number))"))
    }
    #expect(page.contains("\n| databases | \(limits.databases) | "))
  }
}
