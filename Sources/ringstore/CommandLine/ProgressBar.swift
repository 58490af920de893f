// The progress of a scan, or of a long administrative command, on the last line of a terminal. A
// value for one such command.

package struct ProgressBar {
  /// Cells of the bar itself.
  private static let cells = 30
  private static let slots = 16_384

  private let columns: () -> Int
  private let write: (String) -> Void
  private var shown = ""

  /// - Parameters:
  ///   - columns: the terminal's width, read whenever the bar is drawn.
  ///   - write: gets the output for the terminal.
  package init(columns: @escaping () -> Int, write: @escaping (String) -> Void) {
    self.columns = columns
    self.write = write
  }

  /// Redraws it if it would look different. Nothing is shown for a finished scan.
  package mutating func show(slotsDone: Int, keys: Int) {
    let line = slotsDone < Self.slots ? Self.line(slotsDone, keys, columns: columns()) : ""
    guard line != shown else { return }
    write("\r\(line)\u{1b}[K")
    shown = line
  }

  /// The same for other work than slots; `text` says how much is done.
  package mutating func show(done: Int, of total: Int, _ text: String) {
    let line = Self.line(done: done, of: total, text, columns: columns())
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
    return line(
      done: done, of: slots, "\(done) of \(slots) slots, \(keys) keys", columns: columns)
  }

  private static func line(done: Int, of total: Int, _ text: String, columns: Int) -> String {
    let total = max(total, 1)
    let share = Double(min(max(done, 0), total)) / Double(total)
    let full = Int(share * Double(cells))
    let bar = String(repeating: "#", count: full) + String(repeating: "-", count: cells - full)
    let percent = String(Int(share * 100))
    let padded = String(repeating: " ", count: 3 - percent.count) + percent
    return String("[\(bar)] \(padded)%  \(text)".prefix(max(columns - 1, 0)))
  }
}
