// A test as a text: commands, and below each of them what it has to lead to. The form is etcd-raft's
// (testdata/*.txt):
//
//   # a comment
//   command word word
//   ----
//   what comes of it, line by line
//
// A blank line ends the output. With RINGSTORE_TEST_REWRITE=1 in the environment what really came of
// it is written into the file instead; read the difference before you commit it.

import Foundation

struct Transcript {
  struct Step {
    /// Comments and blank lines before the command.
    var before: [String] = []
    var command = ""
    var expected: [String] = []
  }

  let file: URL
  private(set) var steps: [Step] = []
  private var after: [String] = []

  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Transcripts")

  static var isRewriting: Bool {
    ProcessInfo.processInfo.environment["RINGSTORE_TEST_REWRITE"] == "1"
  }

  /// The names of all transcripts.
  static func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path())
      .filter { $0.hasSuffix(".txt") }.sorted()
  }

  init(_ name: String) throws {
    file = Self.folder.appending(path: name)
    var (step, isOutput) = (Step(), false)
    for line in try String(contentsOf: file, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false
    ).map(String.init) {
      if isOutput {
        if line.isEmpty {
          steps.append(step)
          (step, isOutput) = (Step(), false)
        } else {
          step.expected.append(line)
        }
      } else if line == "----" {
        isOutput = true
      } else if line.isEmpty || line.hasPrefix("#") {
        step.before.append(line)
      } else {
        step.command = line
      }
    }
    if !step.command.isEmpty { steps.append(step) } else { after = step.before }
  }

  /// Writes the transcript with what came of its commands.
  func write(_ outputs: [[String]]) throws {
    var lines: [String] = []
    for (step, output) in zip(steps, outputs) {
      lines += step.before + [step.command, "----"] + output + [""]
    }
    lines += after.reversed().drop { $0.isEmpty }.reversed()
    try (lines.joined(separator: "\n") + (after.contains { !$0.isEmpty } ? "\n" : ""))
      .write(to: file, atomically: true, encoding: .utf8)
  }
}
