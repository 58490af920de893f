// What all loops of a node count about users: refusals by kind, and each user's use of its limits.
// Any thread.

import Synchronization

/// Why a caller was refused.
package enum AccessRefusal: String, Sendable, CaseIterable {
  /// No credentials, or wrong ones.
  case credentials
  case permission
  case rate
  case connections
}

package final class AccessLedger: Sendable {
  /// Called for every refusal, on the thread where it happens.
  package typealias OnRefusal = @Sendable (AccessRefusal, _ user: String) -> Void

  let nowNanos: @Sendable () -> UInt64
  private let onRefusal: OnRefusal
  private let accounts = Mutex<[String: UserAccount]>([:])
  private let counts: [AccessRefusal: Counter]
  private let reloads = Counter()
  private let failedReloads = Counter()

  /// - Parameter nowNanos: a clock that never goes back.
  package init(
    nowNanos: @escaping @Sendable () -> UInt64, onRefusal: @escaping OnRefusal = { _, _ in }
  ) {
    self.nowNanos = nowNanos
    self.onRefusal = onRefusal
    counts = Dictionary(uniqueKeysWithValues: AccessRefusal.allCases.map { ($0, Counter()) })
  }

  /// - Parameter user: the user whose credentials were accepted; empty: none.
  package func refused(_ refusal: AccessRefusal, _ user: String) {
    counts[refusal]?.add()
    onRefusal(refusal, user)
  }

  package func reloaded(_ isUsable: Bool) { (isUsable ? reloads : failedReloads).add() }

  package func count(of refusal: AccessRefusal) -> Int64 { counts[refusal]?.value ?? 0 }

  /// Times the users file was read again, well or badly.
  package var reloadCounts: (usable: Int64, failed: Int64) { (reloads.value, failedReloads.value) }

  /// What Stats reports, by name.
  package func entries(prefix: String) -> [String: Int64] {
    var entries: [String: Int64] = [:]
    for (refusal, counter) in counts {
      entries["\(prefix)access_refused_\(refusal.rawValue)_total"] = counter.value
    }
    entries["\(prefix)users_reloads_total"] = reloads.value
    entries["\(prefix)users_reload_failures_total"] = failedReloads.value
    return entries
  }

  /// The account of a user, made if there is none. A user that left the users file and returns has
  /// the same account.
  func account(of name: String) -> UserAccount {
    accounts.withLock { accounts in
      if let account = accounts[name] { return account }
      let account = UserAccount(self)
      accounts[name] = account
      return account
    }
  }

  /// Forgets users that are none any more and use nothing.
  func forget(allBut names: Set<String>) {
    accounts.withLock { accounts in
      accounts = accounts.filter { names.contains($0.key) || $0.value.connectionCount > 0 }
    }
  }
}

private final class Counter: Sendable {
  private let count = Atomic<Int64>(0)

  var value: Int64 { count.load(ordering: .relaxed) }

  func add() { count.wrappingAdd(1, ordering: .relaxed) }
}

/// A user's use of its limits on one node.
package final class UserAccount: Sendable {
  /// The ledger lives as long as the node, and keeps its accounts.
  unowned let ledger: AccessLedger
  /// When the next call would be due if calls came evenly (GCRA), in nanoseconds.
  private let dueNanos = Atomic<UInt64>(0)
  private let connections = Atomic<Int>(0)

  /// Calls worth this many nanoseconds may arrive at once.
  private static let burstNanos: UInt64 = 1_000_000_000

  init(_ ledger: AccessLedger) {
    self.ledger = ledger
  }

  package var connectionCount: Int { connections.load(ordering: .relaxed) }

  /// Counts a call. Returns nil if it is within the rate; else it isn't counted, and the result is
  /// the number of milliseconds until a call is allowed.
  ///
  /// One account for all loops. A call is within the rate if less than a second's worth of calls is
  /// ahead of it.
  func delayMillis(rate: UInt32) -> Int? {
    let now = ledger.nowNanos()
    let step = Self.burstNanos / UInt64(max(rate, 1))
    var due = dueNanos.load(ordering: .relaxed)
    while true {
      let next = max(due, now) &+ max(step, 1)
      if next > now &+ Self.burstNanos {
        return Int(clamping: (next &- now &- Self.burstNanos) / 1_000_000 + 1)
      }
      let (isDone, found) = dueNanos.compareExchange(
        expected: due, desired: next, ordering: .relaxed)
      if isDone { return nil }
      due = found
    }
  }

  /// Counts a connection unless the limit is reached.
  func claimConnection(max: UInt32?) -> Bool {
    let count = connections.wrappingAdd(1, ordering: .relaxed).newValue
    guard let max, count > Int(max) else { return true }
    releaseConnection()
    return false
  }

  func releaseConnection() { connections.wrappingSubtract(1, ordering: .relaxed) }
}
