// `ringstore cli`: one call with its reply on stdout and the outcome as the exit status; without a
// command a prompt, or the commands on stdin.

import ArgumentParser
import Glibc
import RingstoreClient
import TextForms

struct CommandLineCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cli", abstract: "Sends commands to a router or a shard.",
    discussion: """
      `ringstore cli HELP` lists the commands. Without a command it opens a prompt; if stdin is \
      not a terminal, it runs the commands on stdin, one a line. Status 0: success; 1: failure.
      """)

  @Option(
    help: """
      The node, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051)
      """)
  var server: String?

  @OptionGroup var token: TokenOption

  @Option(parsing: .unconditional, help: "The number of the database.")
  var database: UInt32 = 0

  @Option(parsing: .unconditional, help: "Seconds that a command may take.")
  var timeout: Double = 10

  @Option(parsing: .unconditional, help: "The longest message in bytes, as on the nodes.")
  var maxMessageBytes: Int = 4_194_304

  @OptionGroup var tlsOptions: TLSClientOptions

  @Flag(help: "Write values as raw bytes, each followed by a line end.")
  var raw = false

  @Flag(help: "Write each reply as one JSON value, errors too; bytes as {\"base64\": ...}.")
  var json = false

  @Argument(
    parsing: .captureForPassthrough, help: "A command and its arguments; any bytes are allowed.")
  var words: [String] = []

  /// - Returns: the exit status.
  func run(_ arguments: RawArguments) async -> Int32 {
    // The first word that is none of our options is a command's name for the parser; help as well.
    if let first = words.first, ["--help", "-h"].contains(first) {
      Terminal.write(Ringstore.helpMessage(for: Self.self) + "\n")
      return EXIT_SUCCESS
    }
    if let first = words.first, first.hasPrefix("--") {
      return complain("Unknown option '\(first)'; see 'ringstore cli --help'.")
    }
    let server: HostPort
    let tls: RingstoreClient.TLS?
    let token: String?
    let traceContext: RingstoreTraceContext?
    do throws(ConfigurationError) {
      let environment = ProcessState.environment()
      server = try ServerAddress.of(flag: self.server, environment: environment)
      tls = try tlsOptions.configuration(environment)
      token = try self.token.read()
      // OpenTelemetry's variables for programs that are started as a part of a trace.
      traceContext = environment["TRACEPARENT"].map {
        RingstoreTraceContext(traceparent: $0, tracestate: environment["TRACESTATE"])
      }
    } catch {
      return complain(error.sentence)
    }
    guard timeout.isFinite, timeout > 0, timeout <= 86_400 else {
      return complain("--timeout must be above 0 and at most 86400 seconds.")
    }
    guard (1_024...67_108_864).contains(maxMessageBytes) else {
      return complain(
        "--max-message-bytes must be from 1024 to 67108864, not \(maxMessageBytes).")
    }
    guard !(raw && json) else {
      return complain("--raw and --json exclude each other.")
    }
    ProcessState.ignoreBrokenPipes()
    let form: Printer.Form = json ? .json : raw ? .raw : .text
    let session = Session(
      Session.Options(
        server: server, token: token, timeout: .seconds(timeout),
        maxMessageBytes: maxMessageBytes, tls: tls, traceContext: traceContext),
      database: database)
    defer { session.close() }
    if words.isEmpty {
      // Only if a person sees the input.
      return Terminal.isTerminal(STDIN_FILENO) && Terminal.isTerminal(STDOUT_FILENO)
        ? await PromptLoop.run(session, form)
        : await PipedCommands(session, form, maxMessageBytes: maxMessageBytes).run()
    }
    return await session.once(
      words.map { arguments.bytes(of: $0) }, Printer.ofProcess(form, .arguments))
  }

  private func complain(_ sentence: String) -> Int32 {
    Terminal.complain("ringstore cli: \(sentence)")
    return EXIT_FAILURE
  }
}
