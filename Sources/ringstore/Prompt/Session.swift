// One person's or one script's session: its database, its connection, and how each line is
// executed. Used from the thread that reads lines and from the task that runs one of them, never
// from two tasks at once.

import Glibc
import RingstoreClient
import Synchronization
import TextForms

package final class Session: Sendable {
  /// What stays the same through a session.
  package struct Options: Sendable {
    let server: HostPort
    let token: String?
    let timeout: Duration
    let maxMessageBytes: Int
    let tls: RingstoreClient.TLS?
    let traceContext: RingstoreTraceContext?

    package init(
      server: HostPort, token: String? = nil, timeout: Duration, maxMessageBytes: Int,
      tls: RingstoreClient.TLS? = nil, traceContext: RingstoreTraceContext? = nil
    ) {
      self.tls = tls
      self.traceContext = traceContext
      self.server = server
      self.token = token
      self.timeout = timeout
      self.maxMessageBytes = maxMessageBytes
    }
  }

  package enum Outcome: Sendable, Hashable { case done, failed, quit }

  private struct State {
    var client: RingstoreClient
    var database: UInt32
    var isConnected = true
  }

  private let options: Options
  private let state: Mutex<State>

  package init(_ options: Options, database: UInt32) {
    self.options = options
    state = Mutex(State(client: Self.client(options), database: database))
  }

  package func close() { state.withLock { $0.client.close() } }

  /// `127.0.0.1:50051[3]> `; database 0 goes without saying.
  package var prompt: String {
    state.withLock { state in
      let database = state.database == 0 ? "" : "[\(state.database)]"
      return "\(options.server)\(database)\(state.isConnected ? "" : " (not connected)")> "
    }
  }

  /// Checks whether a node replies, and whether it has the database.
  package func connect(_ printer: Printer) async {
    do throws(RingstoreError) {
      try await probe(state.withLock(\.database))
    } catch {
      printer.fail(error, server: options.server, isEncrypted: options.tls != nil)
    }
  }

  /// Carries the one command out that a process was started with. Returns the exit status.
  package func once(_ words: [[UInt8]], _ printer: Printer) async -> Int32 {
    do throws(CommandLineCall.Misuse) {
      let call = try CommandLineCall(words)
      return await execute(.call(call), printer) == .done ? EXIT_SUCCESS : EXIT_FAILURE
    } catch {
      printer.fail(error.explained(words))
      return EXIT_FAILURE
    }
  }

  /// The question that the user must confirm before a line is executed; nil: none.
  package func warning(before line: [UInt8]) -> String? {
    guard let words = try? WordSplitter.words(line), let command = try? SessionCommand(words),
      case .call(let call) = command
    else { return nil }
    switch call {
    case .reset(let scope, isConfirmed: false):
      let database = state.withLock(\.database)
      let keys = scope == .allDatabases ? "all databases" : "database \(database)"
      return "RESET removes every key of \(keys), permanently. RESET --yes doesn't ask."
    case .shutdown(wholeCluster: true):
      return "SHUTDOWN CLUSTER stops every shard, and then this node."
    case .shutdown(wholeCluster: false): return "SHUTDOWN stops this node."
    default: return nil
    }
  }

  /// Executes a line and prints its result. A blank line is done at once.
  package func execute(_ line: [UInt8], _ printer: Printer) async -> Outcome {
    do throws(WordSplitter.Problem) {
      let words = try WordSplitter.words(line)
      return words.isEmpty ? .done : await execute(words: words, printer)
    } catch {
      printer.fail(CommandLineCall.Misuse(sentence: error.sentence))
      return .failed
    }
  }

  /// - Parameter words: at least one.
  package func execute(words: [[UInt8]], _ printer: Printer) async -> Outcome {
    do throws(CommandLineCall.Misuse) {
      let command = try SessionCommand(words)
      return await execute(command, printer)
    } catch {
      printer.fail(error)
      return .failed
    }
  }

  private func execute(_ command: SessionCommand, _ printer: Printer) async -> Outcome {
    do throws(RingstoreError) {
      switch command {
      case .quit: return .quit
      case .select(let number):
        try await probe(number)
        state.withLock { $0.database = number }
        printer.show(.ok)
        return .done
      case .call(.help(let name)):
        printer.show(.text(HelpText.text(name, columns: printer.columns)))
        return .done
      case .call(let call):
        return try await run(call, printer) ? .done : .failed
      }
    } catch {
      printer.fail(error, server: options.server, isEncrypted: options.tls != nil)
      return .failed
    }
  }

  private func run(
    _ call: CommandLineCall, _ printer: Printer
  ) async throws(RingstoreError) -> Bool {
    let (client, options) = next(nil)
    let ending: CommandLineCall.Ending
    do throws(RingstoreError) {
      ending = try await call.run(on: client, options, printer: printer)
    } catch {
      note(error)
      throw error
    }
    if case .failedAndTold(let error) = ending { note(error) } else { note(nil) }
    return ending == .good
  }

  /// Whether the node replies and has the database.
  private func probe(_ database: UInt32) async throws(RingstoreError) {
    let (client, options) = next(database)
    do throws(RingstoreError) {
      try await CommandLineCall.ping(client, options)
      note(nil)
    } catch {
      note(error)
      throw error
    }
  }

  /// The client of the next call. After a lost connection that is a new client: the old one would
  /// wait before it tries again, and a user at the prompt should not wait for that.
  private func next(_ database: UInt32?) -> (RingstoreClient, RingstoreCallOptions) {
    state.withLock { state in
      if !state.isConnected {
        state.client.close()
        state.client = Self.client(options)
      }
      let callOptions = RingstoreCallOptions(
        timeout: options.timeout, database: database ?? state.database)
      return (state.client, callOptions)
    }
  }

  private func note(_ error: RingstoreError?) {
    state.withLock { $0.isConnected = !(error?.isLossOfConnection ?? false) }
  }

  private static func client(_ options: Options) -> RingstoreClient {
    var configuration = RingstoreClient.Configuration()
    configuration.maxMessageBytes = options.maxMessageBytes
    configuration.tls = options.tls
    configuration.token = options.token
    configuration.traceContext = options.traceContext
    return RingstoreClient(
      host: options.server.host, port: options.server.port, configuration: configuration)
  }
}
