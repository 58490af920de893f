// One call in a key's history, from invocation to return.
//
// Owns nothing. A value; any thread.

package struct HistoryOperation: Sendable, Hashable {
  /// The client of a wipe.
  package static let wiper = -1

  /// For the listing only; one client may have several calls in progress.
  package var client: Int
  package var call: KeyCall
  /// Moments of any clock that all clients share. An operation comes before another for certain
  /// where its return is smaller than the other's invocation; at equal moments nothing is certain,
  /// so a count of events shows more than a coarse clock.
  package var invoked: UInt64
  /// Nil: not returned. For `Outcome.unknown` it doesn't limit when the effect may come.
  package var returned: UInt64?
  package var outcome: Outcome
  /// Operations of one connection happen in the order of their invocations; nil: it may happen
  /// before and after any other.
  package var connection: Int?

  package init(
    client: Int, call: KeyCall, invoked: UInt64, returned: UInt64?, outcome: Outcome,
    connection: Int? = nil
  ) {
    self.client = client
    self.call = call
    self.invoked = invoked
    self.returned = returned
    self.outcome = outcome
    self.connection = connection
  }

  /// Whether it happened for certain.
  var isRequired: Bool {
    switch outcome {
    case .ok: true
    case .executed: !call.model.dependsOnVersion
    case .notExecuted, .unknown, .perhaps, .pending: false
    }
  }

  /// The keys became absent at some moment of this interval: crash and restart of their shard.
  package static func wipe(from crash: UInt64, to restart: UInt64) -> HistoryOperation {
    HistoryOperation(
      client: wiper, call: .loss, invoked: crash, returned: restart, outcome: .ok(.done))
  }
}

extension HistoryOperation: CustomStringConvertible {
  /// One line, for instance `client 3 [12, 15] IncrBy "2" -> integer 4`.
  package var description: String {
    let who = client == Self.wiper ? "shard" : "client \(client)"
    let end = returned.map(String.init) ?? "..."
    let result =
      switch outcome {
      case .ok(let reply): Self.text(reply)
      case .executed: "executed"
      case .notExecuted: "not executed"
      case .unknown: "outcome unknown"
      case .perhaps: "perhaps executed"
      case .pending: "pending"
      }
    return "\(who) [\(invoked), \(end)] \(call) -> \(result)"
  }

  private static func text(_ reply: KeyReply) -> String {
    switch reply {
    case .value(let value): value.map { "value \(text($0))" } ?? "no value"
    case .done: "done"
    case .notDone: "not done"
    case .previous(let isDone, let value):
      "\(isDone ? "done" : "not done"), before \(value.map { "value \(text($0))" } ?? "no value")"
    case .versioned(let reply, let version): "\(text(reply)), version \(version)"
    case .count(let count): "count \(count)"
    case .integer(let value): "integer \(value)"
    case .type(let type): "type \(type)"
    case .elements(let values):
      values.map { "elements [\($0.map(text).joined(separator: ", "))]" } ?? "no list"
    case .notInserted(let count): "not inserted, count \(count)"
    case .popped(let value, let place): "value \(text(value)) of the list at \(place)"
    case .places(let places): places.map { "places \($0)" } ?? "no list"
    case .refused(let refusal): "refused: \(refusal)"
    }
  }

  /// Bytes as a quoted text, at most 40 of them; what isn't printable ASCII as \xNN.
  static func text(_ bytes: [UInt8]) -> String {
    let shown = bytes.prefix(40).map { byte in
      (0x20...0x7e).contains(byte)
        ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return "\"" + shown.joined() + "\"" + (bytes.count > 40 ? "+\(bytes.count - 40)" : "")
  }
}
