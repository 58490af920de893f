// What a load shows while it runs, on stderr: a bar on the last line of a terminal, else a line
// every few seconds.

import Glibc
import LoadGenerator

enum BenchProgress {
  private static let barPause = Duration.milliseconds(250)
  private static let linePause = Duration.seconds(5)

  /// Runs `body`, and shows how far it is.
  ///
  /// - Parameters:
  ///   - name: the current work.
  ///   - total: calls that it has; nil: it has a time.
  static func during<Result: Sendable, Failure: Error>(
    _ name: String, _ total: Int?, _ generator: LoadGenerator,
    _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    let watch = Task { await show(name, total, generator) }
    defer { watch.cancel() }
    let result: Swift.Result<Result, Failure>
    do throws(Failure) {
      result = .success(try await body())
    } catch {
      result = .failure(error)
    }
    watch.cancel()
    // The bar is gone before anything else is written.
    await watch.value
    return try result.get()
  }

  private static func show(_ name: String, _ total: Int?, _ generator: LoadGenerator) async {
    var bar = Terminal.bar
    defer { bar?.clear() }
    let clock = ContinuousClock()
    var before = (done: 0, at: clock.now)
    while (try? await Task.sleep(for: bar == nil ? linePause : barPause)) != nil {
      guard let progress = await generator.progress(), !Task.isCancelled else { continue }
      let now = clock.now
      let seconds = (now - before.at) / .seconds(1)
      // A task begins at 0 again.
      let calls = max(progress.tally.done - before.done, 0)
      before = (progress.tally.done, now)
      let rate = seconds > 0 ? Double(calls) / seconds : 0
      let text = "\(name): \(text(progress, rate))"
      if bar == nil {
        Terminal.complain("bench: \(percent(progress, total)) %, \(text)")
      } else {
        bar?.show(done: percent(progress, total), of: 100, text)
      }
    }
  }

  /// By calls or by time, whichever is further.
  private static func percent(_ progress: LoadProgress, _ total: Int?) -> Int {
    var share = 0.0
    if let total, total > 0 {
      share = Double(progress.tally.done + progress.tally.failed) / Double(total)
    }
    if let done = progress.secondsDone, let seconds = progress.secondsTotal, seconds > 0 {
      share = max(share, done / seconds)
    }
    return Int(min(share, 1) * 100)
  }

  private static func text(_ progress: LoadProgress, _ rate: Double) -> String {
    if progress.isWarmingUp { return "warming up" }
    let latencies = progress.tally.latencies
    func millis(_ percentile: Double) -> String {
      LoadText.millis(Double(latencies.nanos(atPercentile: percentile)) / 1_000)
    }
    return "\(LoadText.rate(rate))/s, p50 \(millis(50)) ms, p99 \(millis(99)) ms, "
      + "\(progress.tally.failed) failed"
  }
}
