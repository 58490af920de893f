// A test as a text: commands, and below them the expected events. The form is etcd-raft's
// (testdata/*.txt):
//
//   # a comment
//   command word word
//   another
//   ----
//   the expected events, line by line
//
// A blank line ends them. With RINGSTORE_TEST_REWRITE=1 in the environment the actual events are
// written into the file instead; read the difference before you commit it.

import Foundation

struct Transcript {
  struct Step {
    /// The lines above the output: commands, comments, blank lines.
    var lines: [String] = []
    var expected: [String] = []

    var commands: [String] { lines.filter { !$0.isEmpty && !$0.hasPrefix("#") } }
  }

  let file: URL
  private(set) var steps: [Step] = []

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
      } else {
        step.lines.append(line)
      }
    }
    if !step.commands.isEmpty { steps.append(step) }
  }

  /// Writes the transcript with the actual events.
  func write(_ outputs: [[String]]) throws {
    var lines: [String] = []
    for (step, output) in zip(steps, outputs) {
      lines += step.lines + ["----"] + output + [""]
    }
    try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
  }
}
