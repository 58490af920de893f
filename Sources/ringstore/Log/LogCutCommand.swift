// `ringstore log cut`: cuts off the end of a log, so that a shard starts from the part before it.

import ArgumentParser
import LogFiles

struct LogCutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cut", abstract: "Cuts a log at a position, and sets the rest aside.",
    discussion: """
      Keeps the log before a corruption; 'ringstore log verify' prints the position. The shard \
      loses all changes after it; the files cut-... keep them, and a start ignores these files. \
      Without --yes it only prints what it would do. The shard must be stopped. Status 0: done, or \
      possible. 1: refused; stderr says why. 2: in use, or it can't be read.
      """)

  @OptionGroup var place: LogDirectoryArgument

  @Option(parsing: .unconditional, help: "The position, at the beginning of a batch.")
  var at: UInt64

  @Flag(help: "Do it.")
  var yes = false

  func run() async throws {
    let directory = try place.open(.required)
    defer { directory.close() }
    let plan: CutPlan
    do throws(CutRefusal) {
      plan = try CutPlan(directory, at: at)
    } catch {
      if case .refused(let refusal) = error { throw LogToolFailure(refusal) }
      throw LogToolFailure(wrong: "\(error)")
    }
    Terminal.write(LogCutText.text(plan, isDone: yes) + "\n")
    guard yes else {
      Terminal.write("Nothing was changed. Add --yes to do it.\n")
      return
    }
    let aside = try reading { () throws(LogRefusal) in
      try LogCut.perform(plan, in: directory, life: .random(in: 1 ... .max))
    }
    Terminal.write(aside.map { "set aside: \($0.text)\n" }.joined())
    // Checked by reading: a start needs valid checksums and files.
    let verdict = try reading { () throws(LogRefusal) in
      try LogVerification(directory, nil).run()
    }
    if let finding = verdict.findings.first(where: \.stopsStart) {
      throw LogToolFailure(
        wrong: "it was cut, and a shard would not start: \(finding.refusal.reason)")
    }
    Terminal.write("A shard starts from position \(at). `ringstore log verify` replays it all.\n")
  }
}

/// What a cut does, in sentences. Pure.
package enum LogCutText {
  package static func text(_ plan: CutPlan, isDone: Bool) -> String {
    var lines = [
      "The log is cut at position \(plan.position). "
        + (plan.pass.map { "A start will read \($0.text) and the log up to there." }
          ?? "A start will read the log from its beginning up to there."),
      "\(plan.bytes) bytes are set aside, \(plan.batches) intact batches with \(plan.effects) "
        + "changes: the shard loses these.",
    ]
    if let shortened = plan.shortened {
      lines.append("\(shortened.file.name.text): the end, from offset \(shortened.offset) on")
    }
    lines += plan.moved.map { "\($0.text): all of it" }
    return lines.joined(separator: "\n")
  }
}
