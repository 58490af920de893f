// One `ringstore bench` from its first connection to its result: filling, one run for each rate,
// deleting; the progress shown meanwhile; and Ctrl-C.

import Glibc
import LoadGenerator
import Logging
import TextForms
import UnixSignals

struct BenchRun {
  let settings: LoadSettings
  let target: LoadTarget
  let server: HostPort
  let isEncrypted: Bool
  let files: BenchFiles

  func run() async throws {
    ProcessState.raiseDescriptorLimit(
      Logger(label: "ringstore.bench") { _ in SwiftLogNoOpLogHandler() })
    let generator: LoadGenerator
    do {
      generator = try await LoadGenerator.connect(settings, target)
    } catch {
      let reason = ConnectionAdvice.added(to: error.sentence, isEncrypted: isEncrypted)
      throw Unhealthy("\(server) can't be reached: \(reason)")
    }
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let watch = Task { await Self.stop(generator, at: signals) }
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await measure(generator))
    } catch let failure as LoadFailure {
      let reason =
        ConnectionAdvice.ofToken(failure.sentence)
        .map { "\(ConnectionAdvice.sentence(failure.sentence)) \($0)" } ?? failure.sentence
      outcome = .failure(Unhealthy("\(server): \(reason)"))
    } catch {
      outcome = .failure(error)
    }
    watch.cancel()
    await generator.close()
    try outcome.get()
  }

  /// The first signal ends the load and the second the process.
  private static func stop(
    _ generator: LoadGenerator, at signals: UnixSignalsSequence
  ) async {
    var wasAsked = false
    for await signal in signals {
      if wasAsked { _exit(128 + signal.rawValue) }
      wasAsked = true
      generator.stop()
    }
  }

  private func measure(_ generator: LoadGenerator) async throws {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    try await generator.probe()
    if settings.fills {
      try await BenchProgress.during("storing", settings.keys, generator) {
        try await generator.fill()
      }
    }
    var runs: [LoadReport.Run] = []
    let rates: [Double?] = settings.rates.isEmpty ? [nil] : settings.rates
    for rate in rates {
      let name = rate.map { "\(LoadText.rate($0)) calls/s" } ?? "as fast as possible"
      let run = await BenchProgress.during(name, settings.calls, generator) {
        await generator.run(rate: rate)
      }
      // A run that was interrupted in its warm-up has no result.
      if let run, run.calls + run.failed > 0 || !generator.isStopped { runs.append(run) }
    }
    let remarks = [try await leave(generator)].compactMap { $0 }
    guard !runs.isEmpty else { throw Unhealthy("interrupted before the measurement") }
    let report = LoadReport(
      ringstore: RingstoreVersion.current, server: "\(server)", startedUnixSeconds: now.tv_sec,
      wasInterrupted: generator.isStopped,
      settings: LoadReport.Settings(settings, isEncrypted: isEncrypted), runs: runs)
    try files.write(
      report, remarks: remarks,
      title: "ringstore bench, \(settings.way.rawValue): latency over load")
    try judge(runs)
  }

  /// Deletes the keys, or prints which keys now exist.
  private func leave(_ generator: LoadGenerator) async throws -> String? {
    if settings.cleans {
      let total = settings.keys * settings.mix.spaces.count
      let count = try await BenchProgress.during("deleting", total, generator) {
        try await generator.clean()
      }
      return "Deleted \(count) keys."
    }
    let writes =
      settings.fills
      || CallKind.ofMixes.contains { kind in
        kind != .get && settings.mix.contains(kind)
      }
    guard writes else { return nil }
    let names = settings.mix.spaces.map { "bench:\($0.letter):..." }.joined(separator: ", ")
    return "Up to \(settings.keys) keys each of \(names) remain in database \(settings.database); "
      + "--clean deletes them."
  }

  /// An unreliable result is a failure, independent of its figures.
  private func judge(_ runs: [LoadReport.Run]) throws {
    let wrong = runs.flatMap(\.failures).filter { $0.code == CallFailure.wrongReply }
    if let first = wrong.first {
      let count = wrong.reduce(0) { $0 + $1.count }
      throw Unhealthy("\(count) replies were wrong, the first because \(first.message)")
    }
    guard runs.contains(where: { $0.calls > 0 }) else { throw Unhealthy("no call succeeded") }
  }
}
