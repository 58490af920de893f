// Decides whether a key's history is linearizable: whether each operation can be given one moment
// between its invocation and its return so that, executed in that order, a plain key replies just
// what the clients were told (Herlihy & Wing 1990).
//
// Owns its limit only. Pure; any thread. The search stands in LinearizabilityChecker+Search.swift.

package struct LinearizabilityChecker: Sendable {
  package enum Verdict: Sendable, Hashable {
    case linearizable
    /// No order explains the replies. `explanation` names the first reply that none explains, what
    /// the key could have held, and the operations up to then; several lines.
    case violation(explanation: String)
    /// The search gave up at its step limit.
    case undecided
  }

  /// One step tries one operation at one place. Histories of some hundred operations with up to 16
  /// at a time take thousands; the limit is some seconds of work and about 100 MB.
  package static let stepLimitDefault = 2_000_000

  package let stepLimit: Int

  package init(stepLimit: Int = Self.stepLimitDefault) {
    self.stepLimit = stepLimit
  }

  /// Checks one object's operations, given in any order; before them its first key held `initial`.
  package func check(
    _ operations: [HistoryOperation], initial: KeyState = .absent
  ) -> Verdict {
    let initial = ObjectState(initial, count: (operations.map(\.call.lastPlace).max() ?? 0) + 1)
    var search = Search(operations, initial: initial, stepLimit: stepLimit)
    switch search.run() {
    case .found: return .linearizable
    case .gaveUp: return .undecided
    case .exhausted: return .violation(explanation: explain(operations, initial: initial))
    }
  }

  /// Checks every key of `history`, each being an object of its own (linearizability is local).
  /// The first violation by order of keys decides, else the first that is undecided.
  package func check(_ history: History) -> Verdict {
    var verdict = Verdict.linearizable
    let sorted = history.operations.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (key, operations) in sorted {
      switch check(operations) {
      case .linearizable: continue
      case .undecided: verdict = .undecided
      case .violation(let explanation):
        let name = HistoryOperation.text(key)
        return .violation(explanation: "key \(name): \(explanation)")
      }
    }
    return verdict
  }
}
