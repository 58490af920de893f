// What a node counts about its connections, those of all its ports and event loops together: how many
// are open, how many were refused or cut and why. Any thread; nothing here is on the way of a call.

import NIOConcurrencyHelpers

package final class NodeConnections: Sendable {
  private struct State {
    var open = 0
    var accepted = 0
    var ends = [Int](repeating: 0, count: ConnectionEnd.allCases.count)
    var resets = 0
    var refusedCalls = 0
  }

  private let state = NIOLockedValueBox(State())

  package init() {}

  /// Notes that the node ends a connection.
  package func ended(_ reason: ConnectionEnd) {
    let index = Self.index(of: reason)
    state.withLockedValue { $0.ends[index] += 1 }
  }

  /// Notes calls that clients took back.
  package func calls(reset count: Int) {
    state.withLockedValue { $0.resets += count }
  }

  /// Notes a call that the server refused without asking the service.
  package func callRefused() {
    state.withLockedValue { $0.refusedCalls += 1 }
  }

  /// How many connections were ended for this reason.
  package func count(of reason: ConnectionEnd) -> Int {
    state.withLockedValue { $0.ends[Self.index(of: reason)] }
  }

  private static func index(of reason: ConnectionEnd) -> Int {
    ConnectionEnd.allCases.firstIndex(of: reason) ?? 0
  }
}
