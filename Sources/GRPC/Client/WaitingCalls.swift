// Calls that wait for the peer to allow another stream, in order of arrival. Belongs to one
// connection, which limits it.

/// A first-in first-out queue with removal.
struct WaitingCalls {
  private var calls: [ClientCall] = []
  private var head = 0

  var count: Int { calls.count - head }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ call: ClientCall) { calls.append(call) }

  /// Amortised O(1).
  mutating func popFirst() -> ClientCall? {
    guard head < calls.count else { return nil }
    let call = calls[head]
    head += 1
    if head * 2 >= calls.count {
      calls.removeFirst(head)
      head = 0
    }
    return call
  }

  /// O(count): calls seldom end while they wait.
  mutating func remove(_ call: ClientCall) {
    guard let index = calls[head...].firstIndex(where: { $0 === call }) else { return }
    calls.remove(at: index)
  }
}
