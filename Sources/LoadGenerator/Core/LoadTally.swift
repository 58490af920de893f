// The results of the calls of a load: counts, latencies and failures by kind. A value; each thread
// has its own, and they are added up.

/// What became of one call.
package enum CallOutcome: Sendable, Hashable {
  /// Done, with the right reply.
  ///
  /// - Parameter found: false: a Get or a pop of a key that isn't there.
  case done(found: Bool)
  case failed(CallFailure)
}

/// Why a call failed.
package struct CallFailure: Sendable, Hashable {
  /// A name of gRPC's codes, or `wrongReply`.
  package let code: String
  /// One of PROTOCOL.md, or empty.
  package let reason: String
  /// A sentence of the first such failure.
  package let message: String

  package init(code: String, reason: String = "", message: String = "") {
    self.code = code
    self.reason = reason
    self.message = message
  }

  /// The code of a reply that isn't as expected.
  package static let wrongReply = "WRONG_REPLY"

  package static func wrongReply(_ message: String) -> CallFailure {
    CallFailure(code: wrongReply, message: message)
  }

  package var isWrongReply: Bool { code == Self.wrongReply }
}

package struct LoadTally: Sendable {
  /// The calls of one kind.
  package struct Kind: Sendable {
    /// Calls that were done.
    package internal(set) var done = 0
    /// Those of them that found their key.
    package internal(set) var found = 0
    package internal(set) var failed = 0
    /// Of the calls that were done, and of no others.
    package internal(set) var latencies = LatencyHistogram()
  }

  /// How often something went wrong, and its first message.
  package struct Failures: Sendable, Hashable {
    package let code: String
    package let reason: String
    package let message: String
    package internal(set) var count: Int

    /// Code and reason. Some reasons are named after their code.
    package var name: String { LoadTally.name(code, reason) }
  }

  /// One for each kind, by its number; nil: there were no such calls.
  private var ofKinds = [Kind?](repeating: nil, count: CallKind.allCases.count)
  package private(set) var failures: [Failures] = []
  /// Bytes of requests and replies as the protocol writes them, without HTTP/2 and TLS. Of calls
  /// that were done.
  package private(set) var bytesSent = 0
  package private(set) var bytesReceived = 0
  /// Calls that were due and not sent before the end.
  package internal(set) var unsent = 0
  /// How much later than it could have been each call of an open loop was sent.
  package internal(set) var lags = LatencyHistogram()

  package static func name(_ code: String, _ reason: String) -> String {
    reason.isEmpty || reason == code ? code : "\(code) \(reason)"
  }

  /// Kinds of failures that are counted separately; further ones count as the last.
  package static let failureSortsMax = 64

  package init() {}

  /// Those that there were calls of.
  package var kinds: [(kind: CallKind, tally: Kind)] {
    CallKind.allCases.compactMap { kind in
      ofKinds[Int(kind.rawValue)].map { (kind, $0) }
    }
  }

  package var done: Int { ofKinds.reduce(0) { $0 + ($1?.done ?? 0) } }
  package var failed: Int { ofKinds.reduce(0) { $0 + ($1?.failed ?? 0) } }

  /// Of all kinds.
  package var latencies: LatencyHistogram {
    kinds.reduce(into: LatencyHistogram()) { $0.add($1.tally.latencies) }
  }

  mutating func record(
    _ kind: CallKind, _ outcome: CallOutcome, latencyNanos: UInt64, sent: Int, received: Int
  ) {
    switch outcome {
    case .done(let found):
      bytesSent += sent
      bytesReceived += received
      update(kind) { tally in
        tally.done += 1
        if found { tally.found += 1 }
        tally.latencies.record(latencyNanos)
      }
    case .failed(let failure):
      update(kind) { $0.failed += 1 }
      count(failure.code, failure.reason, failure.message, 1)
    }
  }

  @inline(__always)
  private mutating func update(_ kind: CallKind, _ change: (inout Kind) -> Void) {
    let place = Int(kind.rawValue)
    if ofKinds[place] == nil { ofKinds[place] = Kind() }
    if var tally = ofKinds[place].take() {
      change(&tally)
      ofKinds[place] = tally
    }
  }

  private mutating func count(_ code: String, _ reason: String, _ message: String, _ count: Int) {
    if let place = failures.firstIndex(where: { $0.code == code && $0.reason == reason }) {
      failures[place].count += count
    } else if failures.count < Self.failureSortsMax {
      failures.append(Failures(code: code, reason: reason, message: message, count: count))
    } else {
      failures[failures.count - 1].count += count
    }
  }

  package mutating func add(_ other: LoadTally) {
    for (kind, theirs) in other.kinds {
      update(kind) { ours in
        ours.done += theirs.done
        ours.found += theirs.found
        ours.failed += theirs.failed
        ours.latencies.add(theirs.latencies)
      }
    }
    for one in other.failures { count(one.code, one.reason, one.message, one.count) }
    bytesSent += other.bytesSent
    bytesReceived += other.bytesReceived
    unsent += other.unsent
    lags.add(other.lags)
  }
}
