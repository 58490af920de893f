// `ringstore admin`: what an operator does to a running cluster, with the outcome as an exit status.

import ArgumentParser
import Glibc
import RingstoreClient

struct AdminCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Changes a running cluster.",
    discussion: """
      plan: what a router's list of shards, as its file has it now, would change, and whether \
      anything is in the way. reload: the router reads the list again, and the cluster changes to \
      it. Status 0: done, or nothing is in the way; 1: not, and stderr says why.
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case plan, reload
  }

  @Argument(help: "plan or reload.")
  var action: Action

  @Option(
    help: """
      The router, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051)
      """)
  var server: String?

  @Option(parsing: .unconditional, help: "Seconds that it may take: above 0, at most 600.")
  var timeout: Double = 30

  func run() async throws {
    guard timeout.isFinite, timeout > 0, timeout <= 600 else {
      throw ConfigurationError("--timeout must be above 0 and at most 600 seconds.")
    }
    let server = try ServerAddress.of(flag: server, environment: ProcessState.environment())
    ProcessState.ignoreBrokenPipes()
    let client = RingstoreClient(host: server.host, port: server.port)
    defer { client.close() }
    do {
      let reload = try await client.reload(
        planOnly: action == .plan, options: RingstoreCallOptions(timeout: .seconds(timeout)))
      Terminal.write(ReloadText.text(reload, isPlan: action == .plan) + "\n")
      if reload.obstacle != nil { throw Unhealthy("the change would be refused") }
    } catch let error as RingstoreError {
      throw Unhealthy(error.message)
    }
  }
}
