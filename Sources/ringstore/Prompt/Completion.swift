// What Tab offers: names of commands, and the words of some of them. From the command table; pure,
// any thread.

import Commands
import RingstoreAPI

package struct Completion: Sendable, Hashable {
  /// The only possible continuation; a blank after a complete word.
  package var insertion = ""
  /// All possible continuations, if there are several and nothing can be inserted.
  package var choices: [String] = []

  /// - Parameter text: the line up to the cursor.
  package init(_ text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
    let begun = text.hasSuffix(" ") || words.isEmpty ? "" : words[words.count - 1]
    let before = begun.isEmpty ? words[...] : words.dropLast()
    let fitting = Self.candidates(behind: before.map { $0 }).filter {
      $0.lowercased().hasPrefix(begun.lowercased())
    }
    guard let first = fitting.first else { return }
    let shared = fitting.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
    // Who types small letters continues in small letters.
    let isSmall = begun.last(where: \.isLetter).map { $0.isLowercase } ?? false
    let rest = String(shared.dropFirst(begun.count))
    insertion = (isSmall ? rest.lowercased() : rest) + (fitting.count == 1 ? " " : "")
    if insertion.isEmpty { choices = fitting }
  }

  private static func candidates(behind words: [String]) -> [String] {
    guard let name = words.first?.uppercased() else { return SessionCommand.names }
    let isSecond = words.count == 1
    if name == "HELP" { return isSecond ? SessionCommand.names : [] }
    let form = CommandLineCall.form(Array(name.utf8))
    switch form?.command.id {
    case .keys: return options(KeySearch.options(of: .keys), words)
    case .scan where words.last == "--type": return ["string", "list"]
    case .scan: return options(KeySearch.options(of: .scan), words)
    case .dbSize: return isSecond ? ["ALL"] : []
    case .bigKeys: return words.contains { $0.uppercased() == "ALL" } ? [] : ["ALL"]
    case .reset:
      return ["ALL", "--yes"].filter { !words.map { $0.uppercased() }.contains($0.uppercased()) }
    case .inspect where name == "OBJECT": return isSecond ? ["ENCODING", "IDLETIME"] : []
    case .inspect where name == "MEMORY": return isSecond ? ["USAGE"] : []
    case .reload: return isSecond ? ["PLAN"] : []
    case .shutdown: return isSecond ? ["CLUSTER"] : []
    default: return form.map { Self.words(of: $0.form.syntax, behind: words) } ?? []
    }
  }

  /// What a usage has next: one of several words (`LEFT|RIGHT`), or the options that aren't there
  /// yet; nothing where a value must follow.
  private static func words(of syntax: Syntax, behind words: [String]) -> [String] {
    let required = syntax.usage.prefix { $0 != "[" }.split(separator: " ")
    guard words.count >= required.count else {
      let next = required[words.count].split(separator: "|").map(String.init)
      return next.count > 1 && next.allSatisfy { $0 == $0.uppercased() } ? next : []
    }
    var groups = syntax.optionGroups
    var place = required.count
    while place < words.count {
      let word = words[place].uppercased()
      guard
        let group = groups.firstIndex(where: { $0.options.contains { $0.name == word } }),
        let option = groups.remove(at: group).options.first(where: { $0.name == word })
      else { return [] }
      place += option.hasValue ? 2 : 1
    }
    return place == words.count ? groups.flatMap { $0.options.map(\.name) } : []
  }

  /// Options not given yet; none if the last word is an option and a value must follow.
  private static func options(_ all: [String], _ words: [String]) -> [String] {
    if let last = words.last, all.contains(last) { return [] }
    return all.filter { !words.contains($0) }
  }
}

extension String {
  fileprivate func commonPrefix(with other: String) -> String {
    String(zip(self, other).prefix { $0 == $1 }.map(\.0))
  }
}
