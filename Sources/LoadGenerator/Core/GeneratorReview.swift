// Whether the load generator itself was the limit of a run: then its figures say less of the
// servers. A pure function.

package enum GeneratorReview {
  /// CPU of a thread from which on it counts as busy all the time: what is left goes to the
  /// system's own turns.
  package static let cpuShareMax = 0.9
  /// How late the worst hundredth of the calls may be sent.
  package static let lagNanosMax: UInt64 = 1_000_000
  /// The share of the calls that may be left unsent: those that are due at the very end.
  package static let unsentShareMax = 0.001

  /// What a reader of the result must know, a sentence each.
  ///
  /// - Parameter cpuShares: of each thread, the CPU time that it used of the time that passed.
  package static func remarks(
    _ tally: LoadTally, cpuShares: [Double]
  ) -> [String] {
    var remarks: [String] = []
    let busy = cpuShares.max() ?? 0
    if busy >= cpuShareMax {
      remarks.append(
        "The load generator was busy \(Int((min(busy, 1) * 100).rounded())) % of the time: it may "
          + "have been the limit. Use more --threads, or several machines.")
    }
    let lag = tally.lags.nanos(atPercentile: 99)
    if lag > lagNanosMax {
      remarks.append(
        "The load generator was late: one call in a hundred was sent \(lag / 1_000_000) ms or more "
          + "late. Latencies include that too.")
    }
    if tally.unsent > 0,
      Double(tally.unsent) > unsentShareMax * Double(tally.done + tally.failed + tally.unsent)
    {
      remarks.append(
        "\(tally.unsent) calls that were due were never sent, because all connections were full: "
          + "the rate was not reached, and the real latencies are longer than these.")
    }
    return remarks
  }
}
