// Rules on what the compiler is told not to check, and on what builds on other systems. Pure
// functions, so that each can be shown to fail.

import Foundation

enum SafetyRules {
  /// Comments, as one text.
  private static func comments(of lines: some Sequence<Substring>) -> String {
    lines.compactMap { line in
      line.range(of: "//").map { line[$0.upperBound...].trimmingCharacters(in: ["/", " "]) }
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

  /// A type that crosses threads without the compiler's leave says beside it why it may: "Sendable
  /// although ..." or "Sendable because ...". What the file's header says of threads isn't enough.
  static func unexplainedSendable(in file: SourceFile) -> [String] {
    let marker = "@un" + "checked Sendable"
    return file.lines.indices.compactMap { number in
      guard TextRules.code(of: file.lines[number]).contains(marker) else { return nil }
      let text = commentBeside(number, in: file.lines)
      let isExplained = ["Sendable although ", "Sendable because "].contains(where: text.contains)
      guard !isExplained else { return nil }
      return "\(file.path):\(number + 1): no comment beside it says why it may cross threads"
    }
  }

  /// The comments right above a type and right below its first line.
  ///
  /// - Parameter number: of the last line before its body.
  private static func commentBeside(_ number: Int, in lines: [Substring]) -> String {
    let keywords = ["class ", "struct ", "enum ", "extension "]
    var first = number
    while first > 0, !keywords.contains(where: lines[first].contains) { first -= 1 }
    func isComment(_ line: Substring) -> Bool {
      line.drop { $0 == " " }.hasPrefix("//")
    }
    func isAttribute(_ line: Substring) -> Bool { line.drop { $0 == " " }.hasPrefix("@") }
    let above = lines[..<first].reversed().drop(while: isAttribute).prefix(while: isComment)
    let below = lines[(number + 1)...].drop { $0 == "{" }.prefix(while: isComment)
    return comments(of: above.reversed() + below)
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
