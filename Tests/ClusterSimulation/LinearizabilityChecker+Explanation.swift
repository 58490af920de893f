// A violation in words: the shortest beginning of the history that no order explains.
//
// Owns nothing. Pure; any thread.

extension LinearizabilityChecker {
  /// How many operations and states a listing shows at most.
  static let listedMax = 24
  static let statesListedMax = 4
  /// The steps of each search for the shortest beginning. Where they don't suffice a longer one is
  /// listed, which no order explains either.
  static let explanationStepsMax = 100_000

  /// Every beginning of a linearizable history is linearizable, so the first return that makes it
  /// otherwise is found by halving. At most log2(n) further searches.
  func explain(_ operations: [HistoryOperation], initial: ObjectState) -> String {
    let returns = operations.compactMap { operation -> UInt64? in
      operation.isRequired ? operation.returned ?? .max : nil
    }.sorted()
    let limit = min(stepLimit, Self.explanationStepsMax)
    var low = 0
    var high = returns.count - 1
    while low < high {
      let middle = (low + high) / 2
      var search = Search(
        Self.beginning(of: operations, upTo: returns[middle]), initial: initial,
        stepLimit: limit)
      if case .exhausted = search.run() { high = middle } else { low = middle + 1 }
    }
    guard returns.indices.contains(high) else { return "no operation had a reply" }
    let moment = returns[high]
    let beginning = Self.beginning(of: operations, upTo: moment)
    var search = Search(beginning, initial: initial, stepLimit: limit)
    _ = search.run()
    return Self.listing(beginning, moment: moment, states: search.furthestStates)
  }

  /// The history as it was known at `moment`: later replies are not there yet.
  private static func beginning(
    of operations: [HistoryOperation], upTo moment: UInt64
  ) -> [HistoryOperation] {
    operations.filter { $0.invoked <= moment }.map { operation in
      var known = operation
      if operation.isRequired, operation.returned ?? .max > moment {
        known.returned = nil
        known.outcome = .pending
      }
      return known
    }
  }

  private static func listing(
    _ beginning: [HistoryOperation], moment: UInt64, states: Set<ObjectState>
  ) -> String {
    let culprits = beginning.filter { operation in
      operation.isRequired && operation.returned ?? .max == moment
    }
    var lines = ["no order of the operations explains this reply:"]
    lines += culprits.map { "  \($0)" }
    lines.append("with as many as possible of the others in order, the key held:")
    let held = states.map(\.description).sorted()
    lines += held.prefix(statesListedMax).map { "  \($0)" }
    if held.count > statesListedMax {
      lines.append("  or one of \(held.count - statesListedMax) more")
    }
    lines.append("the operations up to then, as [invoked, returned]:")
    let listed = beginning.filter { $0.outcome != .notExecuted }.sorted { $0.invoked < $1.invoked }
    // Calls without a reply stay possible forever, so old ones belong into the list as well.
    let cut = max(0, listed.count - listedMax)
    let open = listed.prefix(cut).filter { $0.returned == nil || $0.outcome == .unknown }
      .filter { !$0.call.isRead }.suffix(listedMax)
    if cut > open.count { lines.append("  (\(cut - open.count) earlier ones)") }
    lines += (open + listed.suffix(listedMax)).map { "  \($0)" }
    return lines.joined(separator: "\n")
  }
}
