// A node's process from its start to its end: limits and signals of the system, the line that says
// it serves, the drain.

import Dispatch
import Glibc
import Logging

enum NodeProcess {
  /// Starts the node, says so on stdout, and returns when it has drained: after a signal, or after
  /// a Shutdown call. A second signal ends the process at once.
  ///
  /// - Parameters:
  ///   - remarks: sentences about the settings that a person should see.
  ///   - start: is given what the node calls when it was asked to end.
  static func run(
    _ logs: NodeLogs, remarks: [String],
    start: (_ onShutdown: @escaping @Sendable () -> Void) async throws -> RunningNode
  ) async throws {
    let logger = logs.logger("ringstore.process")
    ProcessState.ignoreBrokenPipes()
    ProcessState.raiseDescriptorLimit(logger)
    ProcessState.restoreQuitSignal()
    for remark in remarks { logger.warning("\(remark)") }
    let endings = await Endings.watch([SIGTERM, SIGINT])
    let (hangups, hangup) = AsyncStream.makeStream(
      of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let hangupWatch = await SignalWatch([SIGHUP]) { _ in hangup.yield() }
    defer { hangupWatch.end() }
    let node = try await start { endings.note(.shutdownCall) }
    let reloads = Task { for await _ in hangups { await reload(node, logger) } }
    defer { reloads.cancel() }
    // In one piece: a script that waits for the first line finds the second there too.
    Terminal.write(
      "Server started on port \(node.port)\n"
        + (node.linePort.map { "Line protocol on port \($0)\n" } ?? ""))
    if let reason = Terminal.takeOutputFailure() {
      logger.warning("the ports could not be printed", metadata: ["reason": "\(reason)"])
    }
    var events = endings.events.makeAsyncIterator()
    let first = await events.next() ?? .shutdownCall
    logger.info("draining", metadata: first.metadata)
    let impatience = Task { await stopAtSecondSignal(endings, after: first, logs, logger) }
    await node.drain()
    impatience.cancel()
    logger.info("stopped")
    logs.flush()
  }

  /// SIGHUP: a router reads its list of shards again.
  private static func reload(_ node: RunningNode, _ logger: Logger) async {
    guard let reload = node.reload else {
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
    _ endings: Endings, after first: Ending, _ logs: NodeLogs, _ logger: Logger
  ) async {
    var signals = first.signal == nil ? 0 : 1
    for await event in endings.events {
      guard let signal = event.signal else { continue }
      signals += 1
      if signals < 2 { continue }
      logger.warning("stopping at once", metadata: event.metadata)
      logs.flush()
      _exit(128 + signal)
    }
  }
}

/// What asks a process to end.
private enum Ending: Sendable {
  case signal(Int32)
  case shutdownCall

  var signal: Int32? { if case .signal(let number) = self { number } else { nil } }

  var metadata: Logger.Metadata {
    switch self {
    case .signal(let number): ["signal": number == SIGINT ? "SIGINT" : "SIGTERM"]
    case .shutdownCall: ["reason": "shutdown call"]
    }
  }
}

/// The requests to end, in the order in which they came.
private struct Endings: Sendable {
  let events: AsyncStream<Ending>
  private let continuation: AsyncStream<Ending>.Continuation

  func note(_ ending: Ending) { continuation.yield(ending) }

  /// When this returns, these signals don't end the process any more.
  static func watch(_ numbers: [Int32]) async -> Endings {
    let (events, continuation) = AsyncStream.makeStream(of: Ending.self)
    let watch = await SignalWatch(numbers) { continuation.yield(.signal($0)) }
    continuation.onTermination = { _ in watch.end() }
    return Endings(events: events, continuation: continuation)
  }
}

/// Signals that are told instead of doing what the system has them do. Dispatch's sources may be
/// cancelled from any thread; their type doesn't say so.
private struct SignalWatch: @unchecked Sendable {
  private let sources: [any DispatchSourceSignal]

  /// - Parameter told: called on one of Dispatch's threads with the signal's number.
  init(_ numbers: [Int32], _ told: @escaping @Sendable (Int32) -> Void) async {
    var sources: [any DispatchSourceSignal] = []
    for number in numbers {
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { told(number) }
      // Dispatch takes a signal over some time after `resume`: one that came before would kill.
      await withCheckedContinuation { registered in
        source.setRegistrationHandler { registered.resume() }
        source.resume()
      }
      sources.append(source)
    }
    self.sources = sources
  }

  func end() { for source in sources { source.cancel() } }
}
