// How far a scan has come, on the last line of a terminal. A value of one scan.

package struct ProgressBar {
  /// Cells of the bar itself.
  private static let cells = 30
  private static let slots = 16_384

  private let columns: () -> Int
  private let write: (String) -> Void
  private var shown = ""

  /// - Parameters:
  ///   - columns: the terminal's width, asked for whenever the bar is drawn.
  ///   - write: gets what is to be written to the terminal.
  package init(columns: @escaping () -> Int, write: @escaping (String) -> Void) {
    self.columns = columns
    self.write = write
  }

  /// Draws it anew where it would look different. Nothing is shown of a scan that is done.
  package mutating func show(slotsDone: Int, keys: Int) {
    let line = slotsDone < Self.slots ? Self.line(slotsDone, keys, columns: columns()) : ""
    guard line != shown else { return }
    write("\r\(line)\u{1b}[K")
    shown = line
  }

  /// Takes it away, so that something else can be written in its place.
  package mutating func clear() {
    guard !shown.isEmpty else { return }
    write("\r\u{1b}[K")
    shown = ""
  }

  /// One column stays free, or some terminals would go to the next line.
  package static func line(_ slotsDone: Int, _ keys: Int, columns: Int) -> String {
    let done = min(max(slotsDone, 0), slots)
    let full = done * cells / slots
    let bar = String(repeating: "#", count: full) + String(repeating: "-", count: cells - full)
    let percent = String(done * 100 / slots)
    let padded = String(repeating: " ", count: 3 - percent.count) + percent
    let line = "[\(bar)] \(padded)%  \(done) of \(slots) slots, \(keys) keys"
    return String(line.prefix(max(columns - 1, 0)))
  }
}
