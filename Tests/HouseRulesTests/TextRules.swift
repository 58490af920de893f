// Rules on one file's text: its length, marks of unfinished work, paths of a developer's machine,
// access levels, links. Pure functions, so that each can be shown to fail.

import Foundation

enum TextRules {
  /// A file past this has two jobs.
  static let linesMax = 500
  /// A contract stays in one file, from which clients generate what they need.
  static let contractLinesMax = 700
  static let columnsMax = 100

  /// The line up to a comment, if there is one.
  static func code(of line: Substring) -> Substring {
    guard let comment = line.range(of: "//") else { return line }
    return line[..<comment.lowerBound]
  }

  static func lengthViolation(in file: SourceFile) -> String? {
    let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
    let most = file.path.hasSuffix(".proto") ? contractLinesMax : linesMax
    guard count > most, !file.isGenerated else { return nil }
    return "\(file.path) has \(count) lines; \(most) is the most"
  }

  /// Lines that are too wide: of a script all, of Swift those of comments, which swift-format leaves
  /// as they are.
  static func wideLines(in file: SourceFile) -> [String] {
    let isSwift = file.path.hasSuffix(".swift")
    return file.lines.enumerated().compactMap { number, line in
      guard line.count > columnsMax, !file.isGenerated else { return nil }
      if isSwift, !line.drop(while: { $0 == " " }).hasPrefix("//") { return nil }
      return "\(file.path):\(number + 1): \(line.count) columns"
    }
  }

  // Put together here, or this file would break its own rule.
  private static let unfinishedMarks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
  private static let unfinishedCode = ["fatalError(\"not", "fatalError(\"un", "fatalError(\"TO"]

  /// Marks of unfinished work without the number of an issue, and code that ends the process
  /// because it was not written.
  static func unfinished(in file: SourceFile) -> [String] {
    file.lines.enumerated().compactMap { number, line in
      let marked = unfinishedMarks.contains { line.contains($0) }
      let numbered = line.firstMatch(of: #/#\d+/#) != nil
      let missing = unfinishedCode.contains { line.contains($0) } && !line.contains("hasPrefix")
      guard marked && !numbered || missing else { return nil }
      return "\(file.path):\(number + 1): \(line.trimmingCharacters(in: .whitespaces))"
    }
  }

  private static let machinePaths = [
    "/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/.lib" + "rary",
    "/opt/sw" + "ift", "/tmp/ba" + "sh_jobs", "/tmp/ro" + "om-", "/tmp/sp" + "ec",
  ]

  /// Paths that hold on one machine only.
  static func machinePaths(in file: SourceFile) -> [String] {
    file.lines.enumerated().compactMap { number, line in
      let found = machinePaths.first { line.contains($0) }
      return found.map { "\(file.path):\(number + 1): \($0)" }
    }
  }

  /// Declarations that are public outside the one room that is meant for others.
  static func publicDeclarations(in file: SourceFile) -> [String] {
    guard let room = file.room, room != "RingstoreClient" else { return [] }
    return file.lines.enumerated().compactMap { number, line in
      let words = code(of: line).split(separator: " ")
      guard words.prefix(3).contains("public") else { return nil }
      return "\(file.path):\(number + 1): \(room) has no users outside the package"
    }
  }

  /// A Swift file opens with a comment that says what it is for.
  static func lacksHeader(_ file: SourceFile) -> Bool {
    !file.isGenerated && !file.text.hasPrefix("//")
  }

  /// Targets of a Markdown file's links that don't exist, seen from the repository's root: files,
  /// and headings of pages.
  /// - Parameter page: the text of a file; nil if there is none.
  static func deadLinks(
    in file: SourceFile, exists: (String) -> Bool, page: (String) -> String?
  ) -> [String] {
    let folder = file.path.split(separator: "/").dropLast().map(String.init)
    return file.text.matches(of: #/\]\(([^)\s]+)\)/#).compactMap { match in
      let target = match.1
      if target.contains("://") || target.hasPrefix("mailto:") { return nil }
      let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let resolved = parts[0].isEmpty ? file.path : resolve(String(parts[0]), in: folder)
      guard let resolved, exists(resolved) else { return "\(file.path): \(target)" }
      guard parts.count == 2, resolved.hasSuffix(".md"), let text = page(resolved),
        !MarkdownPages.anchors(of: text).contains(String(parts[1]))
      else { return nil }
      return "\(file.path): \(target): no such heading"
    }
  }

  /// `path` as seen from `folder`, without dots; nil if it leaves the repository.
  private static func resolve(_ path: String, in folder: [String]) -> String? {
    var parts = path.hasPrefix("/") ? [] : folder
    for part in path.split(separator: "/") where part != "." {
      if part != ".." {
        parts.append(String(part))
      } else if parts.popLast() == nil {
        return nil
      }
    }
    return parts.joined(separator: "/")
  }

  /// What may stand at the top of the repository beside dot files. Package.resolved is written by
  /// the build and ignored by git.
  static let topLevel: Set<String> = [
    "Package.swift", "Package.resolved", "Sources", "Tests", "deploy", "config", "docs",
    "README.md", "LICENSE",
  ]

  static func strangers(among entries: [String]) -> [String] {
    entries.filter { !topLevel.contains($0) && !$0.hasPrefix(".") }.sorted()
  }
}
