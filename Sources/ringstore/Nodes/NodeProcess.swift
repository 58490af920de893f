// A node's process from its start to its end: limits and signals of the system, the line that
// reports that it serves, the drain.

import Glibc
import Logging
import UnixSignals

enum NodeProcess {
  /// Starts the node, reports that on stdout, and returns when it has drained: after a signal, or
  /// after a Shutdown call. A second signal ends the process at once.
  ///
  /// - Parameters:
  ///   - remarks: sentences about the settings that a person should see.
  ///   - access: the files about users, which are read again when they change.
  ///   - start: gets the function that the node calls when a client requests its end.
  static func run(
    _ logs: NodeLogs, remarks: [String], _ access: NodeAccess,
    start: (_ onShutdown: @escaping @Sendable () -> Void) async throws -> RunningNode
  ) async throws {
    let logger = logs.logger("ringstore.process")
    ProcessState.ignoreBrokenPipes()
    ProcessState.raiseDescriptorLimit(logger)
    ProcessState.restoreQuitSignal()
    for remark in remarks { logger.warning("\(remark)") }
    // From here on these signals don't end the process any more.
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    let (endings, ending) = AsyncStream.makeStream(of: Ending.self)
    let (hangups, hangup) = AsyncStream.makeStream(
      of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let watch = Task {
      for await signal in signals {
        if signal == .sighup { hangup.yield() } else { ending.yield(.signal(signal)) }
      }
    }
    defer { watch.cancel() }
    let node = try await start { ending.yield(.shutdownCall) }
    let reloads = Task {
      for await _ in hangups {
        access.reload()
        await reload(node, access, logger)
      }
    }
    defer { reloads.cancel() }
    let looks = Task { await access.watch() }
    defer { looks.cancel() }
    // In one piece: a script that waits for the first line finds the second there too.
    Terminal.write(
      "Server started on port \(node.port)\n"
        + (node.linePort.map { "Line protocol on port \($0)\n" } ?? "")
        + (node.adminPort.map { "Admin on port \($0)\n" } ?? ""))
    if let reason = Terminal.takeOutputFailure() {
      logger.warning("the ports could not be printed", metadata: ["reason": "\(reason)"])
    }
    var events = endings.makeAsyncIterator()
    let first = await events.next() ?? .shutdownCall
    logger.info("draining", metadata: first.metadata)
    reloads.cancel()
    let impatience = Task { await stopAtSecondSignal(endings, after: first, logs, logger) }
    await node.drain()
    impatience.cancel()
    logger.info("stopped")
    logs.flush()
  }

  /// SIGHUP: a router reads its list of shards again.
  private static func reload(
    _ node: RunningNode, _ access: NodeAccess, _ logger: Logger
  ) async {
    guard let reload = node.reload else {
      guard !access.hasFiles else { return }
      return logger.notice("SIGHUP changes nothing: settings are read at the start only")
    }
    switch await reload() {
    case .success(let report):
      logger.notice(
        "the list of shards was read again",
        metadata: [
          "epoch": "\(report.epoch)", "added": "\(report.added.joined(separator: ","))",
          "dropped": "\(report.dropped.joined(separator: ","))",
          "readdressed": "\(report.readdressed.joined(separator: ","))",
          "slots_moved": "\(report.moves.reduce(0) { $0 + $1.slots })",
        ])
    case .failure(let refusal):
      logger.error("the shards stay as they are", metadata: ["reason": "\(refusal.sentence)"])
    }
  }

  private static func stopAtSecondSignal(
    _ endings: AsyncStream<Ending>, after first: Ending, _ logs: NodeLogs, _ logger: Logger
  ) async {
    var signals = first.signal == nil ? 0 : 1
    for await event in endings {
      guard let signal = event.signal else { continue }
      signals += 1
      if signals < 2 { continue }
      logger.warning("stopping at once", metadata: event.metadata)
      logs.flush()
      _exit(128 + signal.rawValue)
    }
  }
}

/// The requests to end a process.
private enum Ending: Sendable {
  case signal(UnixSignal)
  case shutdownCall

  var signal: UnixSignal? { if case .signal(let number) = self { number } else { nil } }

  var metadata: Logger.Metadata {
    switch self {
    case .signal(let signal): ["signal": signal == .sigint ? "SIGINT" : "SIGTERM"]
    case .shutdownCall: ["reason": "shutdown call"]
    }
  }
}
