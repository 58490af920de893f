// Whether the load generator itself was the limit of a run: then its figures say less about the
// servers. A pure function.

package enum GeneratorReview {
  /// CPU use of a thread from which on it counts as always busy: the rest is used by the system.
  package static let cpuShareMax = 0.9
  /// How late the worst hundredth of the calls may be sent.
  package static let lagNanosMax: UInt64 = 1_000_000
  /// The share of the calls that may be left unsent: those that are due just before the end.
  package static let unsentShareMax = 0.001

  /// The warnings for readers of the result, one sentence each.
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
