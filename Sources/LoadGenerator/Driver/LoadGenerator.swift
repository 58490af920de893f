// A load as a whole: its threads, and the tasks that they do one after another. Safe to use from
// every thread.

import GRPC
import NIOCore
import NIOPosix
import StatusCodes
import Synchronization

/// Why a load can't be made, in one sentence.
package struct LoadFailure: Error, Sendable, Hashable {
  package let sentence: String

  package init(_ sentence: String) { self.sentence = sentence }
}

/// How far a task is.
package struct LoadProgress: Sendable {
  package var tally: LoadTally
  /// Of the time that the task has; nil: it has no time.
  package var secondsDone: Double?
  package var secondsTotal: Double?
  package var isWarmingUp: Bool
}

package final class LoadGenerator: Sendable {
  private let settings: LoadSettings
  private let group: MultiThreadedEventLoopGroup
  private let parts: [NIOLoopBound<LoadPart>]
  private let stopped = Mutex(false)

  /// Calls that fill and delete have in progress on a connection at least.
  private static let bulkInFlight = 64
  /// From a task's beginning to its first call, so that all threads begin together.
  private static let leadNanos: UInt64 = 5_000_000

  private init(
    _ settings: LoadSettings, _ group: MultiThreadedEventLoopGroup,
    _ parts: [NIOLoopBound<LoadPart>]
  ) {
    self.settings = settings
    self.group = group
    self.parts = parts
  }

  /// Makes the threads and all connections.
  package static func connect(
    _ settings: LoadSettings, _ target: LoadTarget
  ) async throws(LoadFailure) -> LoadGenerator {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads)
    var parts: [NIOLoopBound<LoadPart>] = []
    do {
      for thread in 0..<settings.threads {
        let loop = group.next()
        let count =
          settings.connections / settings.threads
          + (thread < settings.connections % settings.threads ? 1 : 0)
        parts.append(
          try await loop.submit {
            NIOLoopBound(
              LoadPart(settings, target, connections: count, eventLoop: loop), eventLoop: loop)
          }.get())
      }
    } catch {
      throw LoadFailure("\(error)")
    }
    let generator = LoadGenerator(settings, group, parts)
    do {
      let connects = parts.map { part in
        part.eventLoop.flatSubmit { part.value.connect() }
      }
      for connect in connects { try await connect.get() }
    } catch {
      await generator.close()
      throw error as? LoadFailure ?? LoadFailure("\(error)")
    }
    return generator
  }

  // MARK: - Tasks

  /// One call, to find an error that every call would have.
  package func probe() async throws(LoadFailure) {
    let results = await run(
      isOpenLoop: false, inFlight: settings.inFlight, LoadSpan.whole
    ) { thread, _ in
      (CallSource(.get, onEachOf: thread == 0 ? 1 : 0, in: [.strings], first: 0, step: 1), .closed)
    }
    var tally = LoadTally()
    for part in results { tally.add(part.tally) }
    // Who may only write can make a load that only writes.
    let isMeant = !settings.mix.contains(.get)
    if isMeant, tally.failures.first?.code == StatusCode.permissionDenied.name { return }
    // If the key has another value, the load finds it again and reports it better.
    if tally.failures.first?.code == CallFailure.wrongReply { return }
    try Self.expectNoFailures(results, "The servers refuse calls")
  }

  /// Stores all strings. Does nothing once stopped.
  package func fill() async throws(LoadFailure) {
    if isStopped { return }
    let results = await bulk(.set, in: [.strings])
    try Self.expectNoFailures(results, "Not all keys could be stored")
  }

  /// Deletes all keys that the load may have made. Returns how many there were.
  package func clean() async throws(LoadFailure) -> Int {
    let results = await bulk(.delete, in: settings.mix.spaces)
    try Self.expectNoFailures(results, "Not all keys could be deleted")
    return results.reduce(0) { sum, part in
      sum + part.tally.kinds.reduce(0) { $0 + $1.tally.found }
    }
  }

  private static func expectNoFailures(
    _ results: [LoadPart.Outcome], _ what: String
  ) throws(LoadFailure) {
    var tally = LoadTally()
    for part in results { tally.add(part.tally) }
    guard let first = tally.failures.first else { return }
    let count = tally.failed > 1 ? " (\(tally.failed) calls failed)" : ""
    throw LoadFailure("\(what): \(first.name): \(first.message)\(count)")
  }

  private func bulk(_ kind: CallKind, in spaces: [KeySpace]) async -> [LoadPart.Outcome] {
    let depth = max(settings.inFlight, settings.way == .unary ? Self.bulkInFlight : 0)
    let (keys, threads) = (settings.keys, settings.threads)
    return await run(isOpenLoop: false, inFlight: depth, LoadSpan.whole) { thread, _ in
      (CallSource(kind, onEachOf: keys, in: spaces, first: thread, step: threads), .closed)
    }
  }

  /// The load itself, at a rate or as fast as possible. nil once stopped.
  package func run(rate: Double?) async -> LoadReport.Run? {
    if isStopped { return nil }
    let settings = self.settings
    let chooser = KeyChooser(settings.distribution, keys: settings.keys)
    let warmUp = UInt64(settings.warmUpSeconds * 1e9)
    let measured = settings.durationSeconds.map { UInt64($0 * 1e9) }
    let shape = LoadSpan(
      startNanos: 0, measuredFromNanos: warmUp, endNanos: measured.map { warmUp + $0 },
      callsMax: nil)
    let results = await run(
      isOpenLoop: rate != nil, inFlight: settings.inFlight, shape, calls: settings.calls,
      mustFind: settings.fills
    ) { thread, startNanos in
      let seed = settings.seed &+ UInt64(thread) &* 0x9E37_79B9_7F4A_7C15
      let source = CallSource(drawing: settings.mix, on: chooser, seed: seed)
      guard let rate else { return (source, .closed) }
      let schedule = ArrivalSchedule(
        rate: rate, settings.spacing, startNanos: startNanos, thread: thread,
        of: settings.threads, seed: ~seed)
      return (source, .open(schedule))
    }
    let from = results.map(\.measuredFromNanos).max() ?? 0
    let end = results.map(\.endNanos).max() ?? 0
    let seconds = end > from ? Double(end - from) / 1e9 : 0
    var tally = LoadTally()
    for part in results { tally.add(part.tally) }
    var run = LoadReport.Run(
      tally, rateWanted: rate, seconds: seconds,
      connectionsLost: results.reduce(0) { $0 + $1.connectionsLost },
      cpuShares: results.map { ($0.cpuShare * 1_000).rounded() / 1_000 })
    if results.contains(where: \.wasUnreachable) {
      run.remarks.append("It ended early, because no new connection could be made.")
    }
    return run
  }

  /// Has every part do its share of a task.
  private func run(
    isOpenLoop: Bool, inFlight: Int, _ shape: LoadSpan, calls: Int? = nil,
    mustFind: Bool = false,
    _ make: (_ thread: Int, _ startNanos: UInt64) -> (CallSource, CallPacing)
  ) async -> [LoadPart.Outcome] {
    let start = NIODeadline.now().uptimeNanoseconds + Self.leadNanos
    let begun = parts.enumerated().map { thread, part in
      var span = shape
      span.startNanos += start
      span.measuredFromNanos += start
      span.endNanos? += start
      span.callsMax = calls.map { $0 / parts.count + (thread < $0 % parts.count ? 1 : 0) }
      let (source, pacing) = make(thread, start)
      let task = LoadPart.Task(
        core: LoadCore(source, pacing, span), span: span, isOpenLoop: isOpenLoop,
        inFlight: inFlight, mustFind: mustFind)
      return part.eventLoop.flatSubmit { part.value.begin(task) }
    }
    var results: [LoadPart.Outcome] = []
    for task in begun {
      // A part's promise never fails.
      if let result = try? await task.get() { results.append(result) }
    }
    return results
  }

  // MARK: - Meanwhile

  package var isStopped: Bool { stopped.withLock { $0 } }

  /// Ends the load that runs; no other one begins. `clean` works anyway.
  package func stop() {
    stopped.withLock { $0 = true }
    for part in parts { part.eventLoop.execute { part.value.stop() } }
  }

  /// How far the task is that runs; nil: none does.
  package func progress() async -> LoadProgress? {
    var progress: LoadProgress?
    for part in parts {
      let seen = try? await part.eventLoop.submit {
        part.value.span.map { ($0, part.value.tally) }
      }.get()
      guard let (span, tally) = seen ?? nil else { continue }
      if progress == nil { progress = LoadProgress(span) }
      progress?.tally.add(tally)
    }
    return progress
  }

  package func close() async {
    for part in parts {
      _ = try? await part.eventLoop.submit { part.value.close() }.get()
    }
    try? await group.shutdownGracefully()
  }
}

extension LoadProgress {
  fileprivate init(_ span: LoadSpan) {
    let now = NIODeadline.now().uptimeNanoseconds
    tally = LoadTally()
    isWarmingUp = now < span.measuredFromNanos
    guard let end = span.endNanos else { return }
    secondsTotal = Double(end - span.measuredFromNanos) / 1e9
    secondsDone = Double(max(now, span.measuredFromNanos) - span.measuredFromNanos) / 1e9
  }
}
