// Rules on what the compiler is told not to check, and on what builds on other systems. Pure
// functions, so that each can be shown to fail.

import Foundation

enum SafetyRules {
  /// Comments of a file, as one text.
  private static func comments(of lines: some Sequence<Substring>) -> String {
    lines.compactMap { line in
      line.range(of: "//").map { String(line[$0.upperBound...]) }
    }.joined(separator: " ")
  }

  /// The check of exclusive access is left out by a flag of release builds, for all modules. An
  /// attribute would leave it out of the tests as well.
  static func exclusivityAttributes(in file: SourceFile) -> [String] {
    // Put together here, or this file would break its own rule.
    let attribute = "@exclusivity(un" + "checked)"
    return file.lines.indices.compactMap { number in
      guard TextRules.code(of: file.lines[number]).contains(attribute) else { return nil }
      return "\(file.path):\(number + 1): tests must check exclusive access here too"
    }
  }

  /// A type that crosses threads without the compiler's leave says why it may: in the comment that
  /// opens the file, or beside the type.
  static func unexplainedSendable(in file: SourceFile) -> [String] {
    let marker = "@un" + "checked Sendable"
    let lines = file.lines
    let opening = lines.prefix { $0.hasPrefix("//") }
    return lines.indices.compactMap { number in
      guard TextRules.code(of: lines[number]).contains(marker) else { return nil }
      let beside = lines[max(0, number - 4)..<min(lines.count, number + 4)]
      let text = comments(of: opening) + " " + comments(of: beside)
      let reasons = ["Sendable", "thread", "lock", "loop", "Unchecked", "mutable", "owner"]
      guard !reasons.contains(where: text.contains) else { return nil }
      return "\(file.path):\(number + 1): no comment says why it may cross threads"
    }
  }

  /// The rooms that the client's product is built of.
  static let clientRooms: Set<String> = {
    let table = Dictionary(uniqueKeysWithValues: ImportRules.rooms.map { ($0.name, $0.mayImport) })
    var rooms: Set<String> = ["RingstoreClient"]
    var left = rooms
    while let room = left.popFirst() {
      for other in table[room] ?? [] where rooms.insert(other).inserted { left.insert(other) }
    }
    return rooms
  }()

  /// The C library's modules, one of which each system has.
  private static let systemModules: Set<String> = ["Glibc", "Musl", "Darwin"]

  /// The client builds on Linux and macOS, so what it is built of asks which C library there is.
  /// (swift-format indents what stands within a condition.)
  static func unconditionalLibraries(in file: SourceFile) -> [String] {
    guard let room = file.room, clientRooms.contains(room) else { return [] }
    return file.lines.compactMap { line in
      guard !line.hasPrefix(" "),
        let module = ImportRules.module(ofLine: line).map(String.init),
        systemModules.contains(module)
      else { return nil }
      return "\(file.path): \(module) is not on every system that the client is for"
    }
  }
}
