// What the rules on pages know of Markdown: headings as GitHub makes anchors of them, and tables
// that would not be shown as tables. Pure functions.

enum MarkdownPages {
  /// The lines outside blocks of code, with their numbers from 1.
  private static func prose(_ text: String) -> [(number: Int, line: Substring)] {
    var isCode = false
    return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap {
      let isFence = $1.drop { $0 == " " }.hasPrefix("```")
      if isFence { isCode.toggle() }
      return isCode || isFence ? nil : ($0 + 1, $1)
    }
  }

  /// Lower case, without punctuation, a hyphen for each space; a repeated one gets a number.
  static func anchors(of text: String) -> Set<String> {
    var counts: [String: Int] = [:]
    var anchors: Set<String> = []
    for (_, line) in prose(text) {
      guard let heading = line.wholeMatch(of: #/#{1,6} +(.*?) */#)?.1 else { continue }
      let kept = heading.lowercased().filter {
        $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == " "
      }
      let anchor = String(kept.map { $0 == " " ? "-" : $0 })
      let count = counts[anchor, default: 0]
      counts[anchor] = count + 1
      anchors.insert(count == 0 ? anchor : "\(anchor)-\(count)")
    }
    return anchors
  }

  /// Rows that are no part of a table, because it has no header, or no line below its header.
  static func brokenTables(in file: SourceFile) -> [String] {
    let lines = prose(file.text)
    return lines.indices.compactMap { place in
      let (number, line) = lines[place]
      let isFirst = place == 0 || !lines[place - 1].line.hasPrefix("|")
      guard line.hasPrefix("|"), isFirst else { return nil }
      let next = place + 1 < lines.count ? lines[place + 1].line : ""
      guard isDelimiter(line) || !isDelimiter(next) else { return nil }
      return "\(file.path):\(number): a table without a header"
    }
  }

  private static func isDelimiter(_ line: Substring) -> Bool {
    line.wholeMatch(of: #/\|( *:?-+:? *\|)+/#) != nil
  }
}
