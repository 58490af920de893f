// Commands from a pipe or a file on stdin: one a line, one after another, replies in the same
// order. After a failed command the next one is still executed. Uses a separate thread, because
// reading blocks; the commands run as tasks.

import Dispatch
import Glibc

struct PipedCommands: Sendable {
  let session: Session
  let form: Printer.Form
  /// The longest line: a message of the longest kind in which each byte is written as \xhh.
  let lineBytesMax: Int

  init(_ session: Session, _ form: Printer.Form, maxMessageBytes: Int) {
    self.session = session
    self.form = form
    lineBytesMax = 4 * maxMessageBytes + 4_096
  }

  /// Executes all lines, or those up to QUIT. Returns the exit status: 1 if any failed.
  func run() async -> Int32 {
    await BlockingThread.run { readLines() }
  }

  private func readLines() -> Int32 {
    var lines = LineReader(STDIN_FILENO, lineBytesMax: lineBytesMax)
    var status = EXIT_SUCCESS
    var number = 0
    while let line = lines.next() {
      number += 1
      switch execute(line, number) {
      case .done: continue
      case .failed: status = EXIT_FAILURE
      case .quit: return status
      }
    }
    return status
  }

  private func execute(_ line: LineReader.Line, _ number: Int) -> Session.Outcome {
    let outcome = LeftBehind(Session.Outcome.failed)
    let hasReader = LeftBehind(true)
    let done = DispatchSemaphore(value: 0)
    Task {
      let printer = Printer.ofProcess(form, .line(number)) { hasReader.value = false }
      switch line {
      case .line(let bytes): outcome.value = await session.execute(bytes, printer)
      case .tooLong:
        printer.fail(
          CommandLineCall.Misuse(sentence: "The line has more than \(lineBytesMax) bytes."))
      }
      done.signal()
    }
    done.wait()
    // The replies of further commands could not be seen.
    return hasReader.value ? outcome.value : .quit
  }
}

extension Printer {
  /// One that writes to stdout and stderr.
  ///
  /// - Parameter onReaderGone: called when stdout has no reader any more.
  static func ofProcess(
    _ form: Form, _ origin: Origin, onReaderGone: @escaping () -> Void = {}
  ) -> Printer {
    // A JSON reply that comes in pieces leaves the cursor within a line; a bar would overwrite it.
    let isInTheWay = form == .json && Terminal.isTerminal(STDOUT_FILENO)
    let columns = Terminal.isTerminal(STDOUT_FILENO) ? Terminal.columns(of: STDOUT_FILENO) : .max
    return Printer(
      form, origin: origin, columns: columns, progress: isInTheWay ? nil : Terminal.bar
    ) {
      bytes in
      let hasReader = Terminal.write(bytes)
      if !hasReader { onReaderGone() }
      return hasReader
    } remark: {
      Terminal.complain($0)
    }
  }
}
