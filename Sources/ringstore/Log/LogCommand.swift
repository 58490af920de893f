// `ringstore log`: reads a shard's data directory, and cuts its log on request. No node is called;
// a shard may be running on the directory unless a command says otherwise.

import ArgumentParser
import LogFiles

struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Inspects a shard's data directory, and cuts its log.",
    discussion: """
      It contacts no node. Status 0: done, and nothing is wrong. 1: something is wrong with the \
      files, or the command failed; stderr says why. 2: the directory can't be read, or is in use \
      although it must not be; bad usage.
      """,
    subcommands: [
      LogShowCommand.self, LogVerifyCommand.self, LogCutCommand.self, LogStatCommand.self,
    ])

  func run() throws {
    throw ValidationError("Name a subcommand: show, verify, cut or stat.")
  }
}

/// Why a command of `ringstore log` failed, and its status.
struct LogToolFailure: Error {
  static let wrong: Int32 = 1
  static let unreadable: Int32 = 2

  let sentence: String
  let status: Int32

  init(wrong sentence: String) {
    self.sentence = sentence
    status = Self.wrong
  }

  init(unreadable sentence: String) {
    self.sentence = sentence
    status = Self.unreadable
  }

  init(_ refusal: LogRefusal) {
    switch refusal {
    case .corrupt, .missing, .mixed: self.init(wrong: refusal.reason)
    case .inUse(let path):
      self.init(unreadable: "\(path) is in use by another process. Stop the shard first.")
    default: self.init(unreadable: refusal.reason)
    }
  }
}

/// Where the data is: every command's first argument.
struct LogDirectoryArgument: ParsableArguments {
  @Argument(help: "The data directory of a shard.", completion: .directory)
  var directory: String

  func open(_ locking: LogDirectory.Locking) throws(LogToolFailure) -> LogDirectory {
    ProcessState.ignoreBrokenPipes()
    return try reading { () throws(LogRefusal) in
      try LogDirectory.inspect(directory, over: PosixFiles(), locking: locking)
    }
  }
}

/// Runs what fails as the files' reader does.
func reading<R>(_ body: () throws(LogRefusal) -> R) throws(LogToolFailure) -> R {
  do throws(LogRefusal) {
    return try body()
  } catch {
    throw LogToolFailure(error)
  }
}
