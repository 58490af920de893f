// Text that a terminal of some width can show without breaking words. Widths are in columns, one
// for each character. Pure, any thread.

package enum TextLayout {
  /// Breaks text between words if it would exceed the width. A word longer than a line has its own
  /// line.
  package static func wrapped(_ text: String, _ columns: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= columns {
        lines[lines.count - 1] += " \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }

  /// Words in columns of one width, filled row by row.
  package static func inColumns(_ words: [String], _ columns: Int) -> [String] {
    let width = (words.map(\.count).max() ?? 0) + 2
    let perLine = max((columns + 2) / width, 1)
    return stride(from: 0, to: words.count, by: perLine).map { place in
      let row = words[place..<min(place + perLine, words.count)]
      return row.dropLast().map { padded($0, width) }.joined() + (row.last ?? "")
    }
  }

  /// Two columns, the first with this maximum width: a longer entry has its own line, above its
  /// second column. The second is broken between words.
  package static func twoColumns(
    _ rows: [(String, String)], firstMax: Int, _ columns: Int
  ) -> [String] {
    let longest = rows.map(\.0.count).filter { $0 <= firstMax }.max() ?? 0
    let isNarrow = columns < longest + 2 + secondMin
    let indent = isNarrow ? 2 : longest + 2
    return rows.flatMap { first, second -> [String] in
      let lines = wrapped(second, columns - indent).map { padded("", indent) + $0 }
      guard !isNarrow, first.count <= longest, let head = lines.first else {
        return wrapped(first, columns) + lines
      }
      return [padded(first, indent) + head.dropFirst(indent)] + lines.dropFirst()
    }
  }

  /// A second column that is narrower isn't worth having.
  private static let secondMin = 24

  package static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }
}
