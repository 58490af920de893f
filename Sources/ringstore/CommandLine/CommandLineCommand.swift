// `ringstore cli`: one call, its reply on stdout, the outcome as the exit status.

import ArgumentParser
import Glibc
import RingstoreClient

struct CommandLineCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cli", abstract: "Sends one command to a router or a shard.",
    discussion: "The commands are those that `ringstore cli HELP` lists. Status 0: done; 1: not.")

  @Option(help: "Whom to ask, as HOST:PORT.")
  var server = "127.0.0.1:50051"

  @Option(help: "The number of the database.")
  var database: UInt32 = 0

  @Option(help: "Seconds that the command may take.")
  var timeout: Double = 10

  @Option(help: "The longest message in bytes, as the nodes have it.")
  var maxMessageBytes: Int = 4_194_304

  @Flag(help: "Write values as the bytes that they are, each followed by a line end.")
  var raw = false

  @Argument(
    parsing: .captureForPassthrough, help: "A command and its arguments; any bytes are taken.")
  var words: [String] = []

  /// - Returns: the exit status.
  func run(_ arguments: RawArguments) async -> Int32 {
    // What comes first and is no option of ours is a command's name to the parser; help as well.
    if let first = words.first, ["--help", "-h"].contains(first) {
      Terminal.write(Ringstore.helpMessage(for: Self.self) + "\n")
      return EXIT_SUCCESS
    }
    let call: CommandLineCall
    do throws(CommandLineCall.Misuse) {
      call = try CommandLineCall(words.map { arguments.bytes(of: $0) })
    } catch {
      Terminal.complain("ringstore cli: \(error.sentence)")
      return EXIT_FAILURE
    }
    guard let server = HostPort(server) else {
      Terminal.complain("ringstore cli: --server must be HOST:PORT, not '\(self.server)'.")
      return EXIT_FAILURE
    }
    guard timeout.isFinite, timeout > 0, timeout <= 86_400 else {
      Terminal.complain("ringstore cli: --timeout must be above 0 and at most 86400 seconds.")
      return EXIT_FAILURE
    }
    guard (1_024...67_108_864).contains(maxMessageBytes) else {
      Terminal.complain(
        "ringstore cli: --max-message-bytes must be from 1024 to 67108864, "
          + "not \(maxMessageBytes).")
      return EXIT_FAILURE
    }
    return await run(call, on: server)
  }

  private func run(_ call: CommandLineCall, on server: HostPort) async -> Int32 {
    ProcessState.ignoreBrokenPipes()
    var configuration = RingstoreClient.Configuration()
    configuration.maxMessageBytes = maxMessageBytes
    let client = RingstoreClient(
      host: server.host, port: server.port, configuration: configuration)
    defer { client.close() }
    let printer = Printer(raw: raw) {
      Terminal.write($0)
    } remark: {
      Terminal.complain($0)
    }
    do throws(RingstoreError) {
      let options = RingstoreCallOptions(timeout: .seconds(timeout), database: database)
      let isWell = try await call.run(on: client, options, printer: printer)
      return isWell ? EXIT_SUCCESS : EXIT_FAILURE
    } catch {
      if error.code == .unavailable, error.reason == nil {
        Terminal.complain("Could not connect to ringstore at \(server): \(error.message)")
      } else {
        Terminal.write(ShownReply.error(error).bytes(raw: raw))
      }
      return EXIT_FAILURE
    }
  }
}
