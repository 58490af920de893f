// The calls in progress on one connection, by number. A value of its connection.

package struct CallsInFlight: Sendable {
  package struct Flight: Sendable {
    package let call: PlannedCall
    package let id: UInt64
    package let sentNanos: UInt64
    package internal(set) var requestBytes = 0
    /// The reply of a call that has not ended yet, and its bytes.
    package internal(set) var reply: (outcome: CallOutcome, bytes: Int)?
  }

  /// Entries are reused. The calls of one entry differ by this number of rounds, so that a
  /// duplicate reply isn't taken for another call's.
  private static let rounds: UInt64 = 256

  private var flights: [Flight?]
  private var uses: [UInt64]
  private var free: [Int]

  package init(max: Int) {
    flights = Array(repeating: nil, count: max)
    uses = Array(repeating: 0, count: max)
    free = Array((0..<max).reversed())
  }

  package var count: Int { flights.count - free.count }
  package var room: Int { free.count }

  /// Adds a call. There must be room. O(1).
  ///
  /// - Returns: its number, which is unique among the calls in progress and never 0.
  package mutating func add(_ call: PlannedCall, at nowNanos: UInt64) -> UInt64 {
    let place = free.removeLast()
    let id = 1 + UInt64(place) + UInt64(flights.count) * (uses[place] % Self.rounds)
    uses[place] &+= 1
    flights[place] = Flight(call: call, id: id, sentNanos: nowNanos)
    return id
  }

  package mutating func setRequestBytes(_ bytes: Int, of id: UInt64) {
    if let place = place(of: id) { flights[place]?.requestBytes = bytes }
  }

  /// A reply has arrived; the call has not ended yet.
  package mutating func setReply(_ outcome: CallOutcome, bytes: Int, of id: UInt64) {
    guard let place = place(of: id) else { return }
    let isFirst = flights[place]?.reply == nil
    flights[place]?.reply =
      isFirst ? (outcome, bytes) : (.failed(.wrongReply("a call got two replies")), bytes)
  }

  package func call(_ id: UInt64) -> PlannedCall? {
    place(of: id).flatMap { flights[$0]?.call }
  }

  /// A call is over. nil: none of this number is in progress. O(1).
  package mutating func remove(_ id: UInt64) -> Flight? {
    guard let place = place(of: id), let flight = flights[place] else { return nil }
    flights[place] = nil
    free.append(place)
    return flight
  }

  /// All calls have ended. O(room and calls).
  package mutating func removeAll() -> [Flight] {
    let all = flights.compactMap { $0 }
    for flight in all { _ = remove(flight.id) }
    return all
  }

  /// When the call that has waited longest was sent. O(room and calls).
  package var oldestSentNanos: UInt64? {
    flights.lazy.compactMap { $0?.sentNanos }.min()
  }

  private func place(of id: UInt64) -> Int? {
    guard id > 0 else { return nil }
    let place = Int((id - 1) % UInt64(flights.count))
    return flights[place]?.id == id ? place : nil
  }
}
