// `ringstore log show`: the records of a log or of a pass, one line each.

import ArgumentParser
import Log
import LogFiles

struct LogShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows the records of a log or a pass.",
    discussion: """
      Prints a line for each batch, and below it one for each record and each change in it. A \
      shard may be running: reading ends where its writes end. Reading stops at a corruption, with \
      status 1.
      """)

  @OptionGroup var place: LogDirectoryArgument

  @Option(
    parsing: .unconditional,
    help: "Begin with the batch at this position. (default: where a start begins to read)")
  var from: UInt64?

  @Option(parsing: .unconditional, help: "The maximum number of batches.")
  var count: Int?

  @Option(
    parsing: .unconditional,
    help: "Only changes of this key (any bytes), and of its whole slot.")
  var key: String?

  @Option(parsing: .unconditional, help: "Only changes in this database.")
  var database: Int?

  @Flag(help: "Show the newest complete pass instead of the log.")
  var pass = false

  @Option(help: "One file of the directory: a segment, a pass, or a file that a cut set aside.")
  var file: String?

  @Option(parsing: .unconditional, help: "The number of bytes shown of keys and values.")
  var bytes: Int = 64

  @Flag(help: "Write one JSON object a line; bytes that are not UTF-8 as {\"base64\": ...}.")
  var json = false

  func run() async throws {
    guard count ?? 1 > 0 else { throw ConfigurationError("--count must be above 0.") }
    guard bytes >= 0 else { throw ConfigurationError("--bytes must not be below 0.") }
    guard !(pass && file != nil) else {
      throw ConfigurationError("--pass and --file exclude each other.")
    }
    let directory = try place.open(.none)
    var lines = LogLines(
      key: key.map { RawArguments.ofProcess().bytes(of: $0) }, database: database,
      short: LogShortening(bytesMax: bytes))
    let walk = try walk(directory)
    var shown = 0
    while shown < count ?? .max {
      let found: BatchWalk.Next
      do throws(LogRefusal) {
        found = try walk.next()
      } catch {
        throw LogToolFailure(error)
      }
      switch found {
      case .batch(let batch, let file):
        let all = lines.lines(of: batch, in: file)
        if let defect = lines.defect {
          guard write(all) else { return }
          throw LogToolFailure(
            wrong: "\(directory.filePath(file.name)) is corrupt in the batch at offset "
              + "\(file.offset(of: batch.position)): \(defect).")
        }
        guard !all.isEmpty else { continue }
        guard write(all) else { return }
        shown += 1
      case .end(let fault, let file, let offset):
        if let fault, !json {
          Terminal.complain(
            "\(directory.filePath(file.name)) ends at offset \(offset): \(fault).")
        }
        return
      }
    }
  }

  private func walk(_ directory: LogDirectory) throws -> BatchWalk {
    try reading { () throws(LogRefusal) in
      if let file {
        guard let name = LogFileName(file) else {
          throw .missing(file: directory.path + "/" + file, why: "no file of a log has such a name")
        }
        return try BatchWalk(file: name, of: directory, from: from ?? 0)
      }
      guard pass else { return try BatchWalk(logOf: directory, from: from) }
      guard let newest = try LogSurvey(of: directory).passes.last else {
        throw .missing(file: directory.path, why: "there is no complete pass in it")
      }
      return try BatchWalk(file: newest.name, of: directory)
    }
  }

  /// - Returns: false if the output has no reader any more.
  private func write(_ lines: [LogLines.Line]) -> Bool {
    let text = lines.reduce(into: "") { text, line in
      text += (json ? line.json.text : line.text) + "\n"
    }
    return Terminal.write(Array(text.utf8))
  }
}
