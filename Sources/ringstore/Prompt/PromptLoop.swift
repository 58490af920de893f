// The prompt: reads a line, executes it, and shows the next prompt. Everything here runs on a
// separate thread, because a line editor blocks while it waits for input, and Swift's threads must
// not be blocked. The commands themselves run as tasks; this thread waits for them and listens for
// Ctrl-C.

import Glibc

struct PromptLoop: Sendable {
  private let session: Session
  private let form: Printer.Form
  /// A task's signal that it is done.
  private let done: DescriptorPair

  private init(_ session: Session, _ form: Printer.Form, _ done: DescriptorPair) {
    (self.session, self.form, self.done) = (session, form, done)
  }

  /// Runs a prompt to its end. Returns the exit status.
  static func run(_ session: Session, _ form: Printer.Form) async -> Int32 {
    await BlockingThread.run {
      guard let done = DescriptorPair.make(), SignalPipe.install() else {
        Terminal.complain("ringstore cli: the system has no descriptors left for a prompt.")
        return EXIT_FAILURE
      }
      return PromptLoop(session, form, done).readLines()
    }
  }

  private func readLines() -> Int32 {
    let history = PromptHistory.ofUser()
    guard let editor = LineEditor(historyMax: PromptHistory.linesMax, complete: { Completion($0) })
    else {
      Terminal.complain("ringstore cli: this terminal can't be used for a prompt.")
      return EXIT_FAILURE
    }
    for line in history.load() { editor.remember(line) }
    if form == .text {
      Terminal.write("ringstore \(RingstoreVersion.current); 'help' lists the commands.\n")
    }
    _ = runToItsEnd { session, printer in
      await session.connect(printer)
      return .done
    }
    while true {
      switch editor.nextLine(prompt: session.prompt) {
      case .end:
        Terminal.write("\n")
        return EXIT_SUCCESS
      case .interrupted: continue
      case .typed(let line):
        if PromptHistory.keeps(line) {
          editor.remember(line)
          history.append(line)
        }
        if let warning = session.warning(before: Array(line.utf8)), !agrees(to: warning, editor) {
          continue
        }
        let outcome = runToItsEnd { session, printer in
          await session.execute(Array(line.utf8), printer)
        }
        if outcome == .quit { return EXIT_SUCCESS }
      }
    }
  }

  /// Whether the person types yes.
  private func agrees(to warning: String, _ editor: LineEditor) -> Bool {
    Terminal.complain(warning)
    if case .typed(let reply) = editor.nextLine(prompt: "Type yes to continue: "),
      ["y", "yes"].contains(reply.filter { $0 != " " }.lowercased())
    {
      return true
    }
    Terminal.complain("Nothing was done.")
    return false
  }

  /// Waits for a command; Ctrl-C cancels it.
  private func runToItsEnd(
    _ command: @escaping @Sendable (Session, Printer) async -> Session.Outcome
  ) -> Session.Outcome {
    let outcome = LeftBehind(Session.Outcome.failed)
    let (session, form, done) = (session, form, done)
    let task = Task {
      outcome.value = await command(session, Printer.ofProcess(form, .prompt))
      done.write(0)
    }
    while done.read() == nil {
      switch SignalPipe.next() {
      case .interrupt: task.cancel()
      case .end: return .quit
      case .resize, .resume: continue
      case nil: _ = SignalPipe.wait(orFor: done.readEnd)
      }
    }
    return outcome.value
  }
}
