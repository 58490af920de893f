// A node's process from its start to its end: limits and signals of the system, the line that says
// it serves, the drain.

import Dispatch
import Glibc
import Logging

enum NodeProcess {
  /// Starts the node, says so on stdout, and returns when it has drained after a signal. A second
  /// signal ends the process at once.
  static func run(
    _ logs: NodeLogs, start: () async throws -> RunningNode
  ) async throws {
    let logger = logs.logger("ringstore.process")
    ProcessState.ignoreBrokenPipes()
    ProcessState.raiseDescriptorLimit(logger)
    let signals = await Signals.watch([SIGTERM, SIGINT])
    let node = try await start()
    Terminal.write("Server started on port \(node.port)\n")
    var names = signals.names.makeAsyncIterator()
    let first = await names.next() ?? "SIGTERM"
    logger.info("draining", metadata: ["signal": "\(first)"])
    let impatience = Task {
      var rest = signals.names.makeAsyncIterator()
      guard let second = await rest.next() else { return }
      logger.warning("stopping at once", metadata: ["signal": "\(second)"])
      _exit(128 + (second == "SIGINT" ? SIGINT : SIGTERM))
    }
    await node.drain()
    impatience.cancel()
    logger.info("stopped")
  }
}

/// The signals that ask a process to end, as a stream of their names.
private struct Signals: Sendable {
  let names: AsyncStream<String>

  /// When this returns, these signals don't end the process any more.
  static func watch(_ numbers: [Int32]) async -> Signals {
    let (names, continuation) = AsyncStream.makeStream(of: String.self)
    var sources: [any DispatchSourceSignal] = []
    for number in numbers {
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        continuation.yield(number == SIGINT ? "SIGINT" : "SIGTERM")
      }
      // Dispatch takes a signal over some time after `resume`: one that came before would kill.
      await withCheckedContinuation { registered in
        source.setRegistrationHandler { registered.resume() }
        source.resume()
      }
      sources.append(source)
    }
    continuation.onTermination = { [sources = UncheckedSources(sources)] _ in sources.cancel() }
    return Signals(names: names)
  }
}

/// Dispatch's sources may be cancelled from any thread; their type doesn't say so.
private struct UncheckedSources: @unchecked Sendable {
  private let sources: [any DispatchSourceSignal]

  init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }

  func cancel() { for source in sources { source.cancel() } }
}
