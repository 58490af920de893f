// Whether the load generator itself was the limit of a run: then its figures say less of the
// servers. A pure function.

package enum GeneratorReview {
  /// CPU of a thread from which on it counts as busy all the time: what is left goes to the
  /// system's own turns.
  package static let cpuShareMax = 0.9
  /// How late the worst hundredth of the calls may be sent.
  package static let lagNanosMax: UInt64 = 1_000_000
  /// The share of the wanted rate below which a run has missed it.
  package static let rateShareMin = 0.99

  /// What a reader of the result must know, a sentence each.
  ///
  /// - Parameters:
  ///   - cpuShares: of each thread, the CPU time that it used of the time that passed.
  ///   - rateWanted: nil: a closed loop.
  package static func remarks(
    _ tally: LoadTally, cpuShares: [Double], rate: Double, rateWanted: Double?
  ) -> [String] {
    var remarks: [String] = []
    let busy = cpuShares.max() ?? 0
    if busy >= cpuShareMax {
      remarks.append(
        "The load generator was busy \(Int((min(busy, 1) * 100).rounded())) % of the time: it may "
          + "have been the limit. Use more --threads, or several machines.")
    }
    guard let rateWanted else { return remarks }
    let lag = tally.lags.nanos(atPercentile: 99)
    if lag > lagNanosMax {
      remarks.append(
        "The load generator was late: one call in a hundred was sent \(lag / 1_000_000) ms or more "
          + "after it could have been. Latencies hold that too.")
    }
    if tally.unsent > 0, Double(tally.unsent) > 0.001 * Double(tally.done + tally.unsent) {
      remarks.append(
        "\(tally.unsent) calls that were due were never sent: all connections were full. The real "
          + "latencies are longer than these.")
    }
    if rate < rateShareMin * rateWanted {
      remarks.append("The rate that was wanted was not reached.")
    }
    return remarks
  }
}
