// `ringstore log stat`: the contents of a data directory in numbers, and how long a start takes.

import ArgumentParser
import LogFiles

struct LogStatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat", abstract: "Shows what a data directory contains, and how much.",
    discussion: """
      Reads every file once. A shard may be running. Status 1: a file can't be read; the others \
      are counted.
      """)

  @OptionGroup var place: LogDirectoryArgument

  @Flag(help: "Write the report as one JSON value.")
  var json = false

  func run() async throws {
    let directory = try place.open(.none)
    let statistics = try reading { () throws(LogRefusal) in
      try LogStatistics(of: directory)
    }
    let report = LogStatText(statistics)
    Terminal.write((json ? report.json.text : report.text) + "\n")
    if let unreadable = statistics.unreadable.first {
      throw LogToolFailure(wrong: unreadable.reason)
    }
  }
}
