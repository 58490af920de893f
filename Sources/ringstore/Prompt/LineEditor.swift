// Lines that a person types at a terminal, edited by libedit: arrow keys, Emacs' keys (or those of
// the person's ~/.editrc), Ctrl-R through the history, Tab.
//
// Owns libedit's state. Used on the one thread that made it, which blocks while it waits for input;
// libedit's callbacks run on that thread from within `nextLine`.

internal import CEdit
import Glibc

final class LineEditor {
  enum Line: Sendable, Hashable {
    case typed(String)
    /// Ctrl-C: the input is discarded.
    case interrupted
    /// Ctrl-D on an empty line, a terminal that has gone, SIGTERM.
    case end
  }

  /// What Tab offers for the text before the cursor.
  typealias Completer = (String) -> Completion

  private let edit: OpaquePointer
  private let history: OpaquePointer
  private let complete: Completer
  /// libedit reads it whenever it draws the line. Allocated with strdup.
  private var prompt: UnsafeMutablePointer<CChar>?
  private var characters = UTF8Reader()
  private var isInterrupted = false
  private var hasEnded = false

  /// nil if libedit can't use the terminal. `SignalPipe.install` must have been called.
  ///
  /// - Parameter historyMax: how many lines the arrow keys can go back.
  init?(historyMax: Int, complete: @escaping Completer) {
    CEdit_use_utf8()
    guard let history = history_init() else { return nil }
    guard let edit = CEdit_init("ringstore") else {
      history_end(history)
      return nil
    }
    (self.edit, self.history, self.complete) = (edit, history, complete)
    _ = CEdit_history_limit(history, Int32(clamping: historyMax))
    _ = CEdit_history_unique(history)
    // The editor outlives the handle, which `deinit` frees.
    _ = CEdit_set_owner(edit, Unmanaged.passUnretained(self).toOpaque())
    _ = CEdit_set_editor(edit, "emacs")
    _ = CEdit_set_history(edit, history)
    _ = CEdit_set_prompt(edit) { edit in LineEditor.of(edit)?.prompt }
    _ = CEdit_set_reader(edit) { edit, character in
      guard let editor = LineEditor.of(edit), let next = editor.nextCharacter() else { return 0 }
      character?.pointee = wchar_t(bitPattern: next.value)
      return 1
    }
    // The user's own settings first: they may select vi's keys, and Tab and Ctrl-C work in both.
    _ = el_source(edit, nil)
    bind("^I", "ringstore-complete") { edit, _ in
      LineEditor.of(edit)?.completeWord() ?? UInt8(CC_ERROR)
    }
    bind("^C", "ringstore-interrupt") { edit, _ in
      LineEditor.of(edit)?.interrupt() ?? UInt8(CC_ERROR)
    }
  }

  deinit {
    el_end(edit)
    history_end(history)
    free(prompt)
  }

  /// Blocks until a line is complete. Signals end the wait as `Line` says.
  func nextLine(prompt text: String) -> Line {
    free(prompt)
    prompt = strdup(text)
    isInterrupted = false
    // The terminal may have got another size while a command ran.
    el_resize(edit)
    CEdit_take_terminal(edit)
    var count: Int32 = 0
    let bytes = el_gets(edit, &count)
    if isInterrupted { return .interrupted }
    guard let bytes, count > 0, !hasEnded else { return .end }
    let line = UnsafeRawBufferPointer(start: bytes, count: Int(count))
    return .typed(String(decoding: line.prefix { $0 != 0x0a && $0 != 0x0d }, as: UTF8.self))
  }

  /// Adds a line to those that the arrow keys go through.
  func remember(_ line: String) { _ = CEdit_history_enter(history, line) }

  private func bind(
    _ keys: String, _ name: String,
    _ function: @convention(c) (OpaquePointer?, Int32) -> UInt8
  ) {
    _ = CEdit_add_function(edit, name, name, function)
    _ = CEdit_bind(edit, keys, name)
  }

  private static func of(_ edit: OpaquePointer?) -> LineEditor? {
    CEdit_owner(edit).map { Unmanaged<LineEditor>.fromOpaque($0).takeUnretainedValue() }
  }
}

// What libedit calls.
extension LineEditor {
  /// The next character from the terminal; nil at the end. A Ctrl-C is a character here, whether
  /// it came as a key or, sent by another process or before the terminal was taken, as a signal.
  fileprivate func nextCharacter() -> Unicode.Scalar? {
    while !hasEnded {
      switch SignalPipe.next() {
      case .interrupt: return "\u{3}"
      case .end: hasEnded = true
      case .resize: redraw()
      case .resume:
        CEdit_take_terminal_again(edit)
        CEdit_refresh(edit)
      case nil:
        guard SignalPipe.wait(orFor: STDIN_FILENO) else { continue }
        var byte: UInt8 = 0
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 1 {
          if let character = characters.next(byte) { return character }
        } else if count == 0 || ![EINTR, EAGAIN].contains(errno) {
          hasEnded = true
        }
      }
    }
    return nil
  }

  /// Draws the line for another width of the terminal. libedit then assumes that the cursor is at
  /// the line's beginning, so it is moved there: before the prompt, and up by the number of rows
  /// that the text before the cursor has in the new width.
  private func redraw() {
    el_resize(edit)
    var before = prompt.map { String(cString: $0).count } ?? 0
    if let line = el_line(edit)?.pointee {
      let typed = UnsafeRawBufferPointer(
        start: line.buffer, count: max(line.cursor - line.buffer, 0))
      before += String(decoding: typed, as: UTF8.self).count
    }
    let rows = before / Terminal.columns(of: STDOUT_FILENO)
    let up = rows > 0 && Terminal.hasCursor ? "\u{1b}[\(rows)A" : ""
    Terminal.write("\r\(up)\(Terminal.clearBelow)")
    CEdit_refresh(edit)
  }

  /// Shows that the line is abandoned, and begins a new one.
  fileprivate func interrupt() -> UInt8 {
    isInterrupted = true
    Terminal.write("^C\(Terminal.clearBelow)\n")
    return UInt8(CC_NEWLINE)
  }

  fileprivate func completeWord() -> UInt8 {
    guard let line = el_line(edit)?.pointee else { return UInt8(CC_ERROR) }
    let before = UnsafeRawBufferPointer(
      start: line.buffer, count: max(line.cursor - line.buffer, 0))
    let completion = complete(String(decoding: before, as: UTF8.self))
    if !completion.insertion.isEmpty {
      return el_insertstr(edit, completion.insertion) == 0 ? UInt8(CC_REFRESH) : UInt8(CC_ERROR)
    }
    guard !completion.choices.isEmpty else { return UInt8(CC_REFRESH_BEEP) }
    let choices = TextLayout.inColumns(completion.choices, Terminal.columns(of: STDOUT_FILENO))
    Terminal.write("\(Terminal.clearBelow)\n\(choices.joined(separator: "\n"))\n")
    CEdit_refresh(edit)
    return UInt8(CC_NORM)
  }
}
