// The program: subcommands, and the handling of their errors.
//
//   status  0  done (a node: drained after SIGTERM or SIGINT)
//           1  a node could not start; `cli`: any failure; `health`: the node doesn't serve;
//              `admin`: it was not done; `log`: something is wrong with the files, or it was
//              not done; `bench`: the servers can't be reached, or replies were wrong;
//              any of them: stdout can't be written (its reader may go, though)
//           2  `log`: the directory can't be read or is in use; bad usage of it
//          64  bad usage or bad configuration (EX_USAGE of sysexits.h); nothing was started

import ArgumentParser
import Glibc
import TextForms

@main
struct Ringstore: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ringstore",
    abstract: "A sharded in-memory key-value store over gRPC.",
    version: RingstoreVersion.current,
    subcommands: [
      RouterCommand.self, ShardCommand.self, LocalCommand.self, CommandLineCommand.self,
      HealthCommand.self, AdminCommand.self, LogCommand.self, BenchCommand.self,
    ])

  static func main() async {
    ProcessState.keepStandardDescriptors()
    let arguments = RawArguments.ofProcess()
    let status = ProcessState.status(await run(arguments))
    Glibc.exit(isOutputWritten(arguments) ? status : EXIT_FAILURE)
  }

  /// Whether all output was written to stdout; if not, reports that.
  private static func isOutputWritten(_ arguments: RawArguments) -> Bool {
    guard let reason = Terminal.takeOutputFailure() else { return true }
    Terminal.complain(
      "\(called(arguments.texts.first ?? "")): the output could not be written: \(reason).")
    return false
  }

  /// Runs the command that the arguments name. Returns the exit status.
  private static func run(_ arguments: RawArguments) async -> Int32 {
    let name = arguments.texts.first ?? ""
    do {
      var command = try parseAsRoot(arguments.texts)
      if let cli = command as? CommandLineCommand {
        return await cli.run(arguments)
      }
      if var node = command as? any AsyncParsableCommand {
        try await node.run()
      } else {
        try command.run()
      }
      return EXIT_SUCCESS
    } catch let error as ConfigurationError {
      Terminal.complain("ringstore \(name): \(error.sentence)")
      return misuse(of: name)
    } catch let error as StartFailure {
      Terminal.complain("ringstore \(name): \(error.sentence)")
      return EXIT_FAILURE
    } catch let error as LogToolFailure {
      Terminal.complain("ringstore \(name): \(error.sentence)")
      return error.status
    } catch let error as Unhealthy {
      Terminal.complain("ringstore \(name): \(VisibleText.line(error.sentence))")
      return EXIT_FAILURE
    } catch {
      return explain(error, subcommand: name)
    }
  }

  /// The argument parser's own errors, and its help, which is an error too.
  private static func explain(_ error: any Error, subcommand name: String) -> Int32 {
    let text = message(for: error)
    guard exitCode(for: error) != .success else {
      Terminal.write(text + "\n")
      return EXIT_SUCCESS
    }
    let command = called(name)
    Terminal.complain("\(command): \(text)\nSee '\(command) --help'.")
    return misuse(of: name)
  }

  /// The status of bad usage.
  private static func misuse(of name: String) -> Int32 {
    switch name {
    case CommandLineCommand._commandName: EXIT_FAILURE
    case LogCommand._commandName: LogToolFailure.unreadable
    default: EX_USAGE
    }
  }

  /// How the program was called, up to its subcommand.
  private static func called(_ name: String) -> String {
    let isKnown = configuration.subcommands.contains { $0._commandName == name }
    return isKnown ? "ringstore \(name)" : "ringstore"
  }

  func run() throws {
    throw ValidationError(
      "Name a subcommand: router, shard, local, cli, health, admin, log or bench.")
  }
}
