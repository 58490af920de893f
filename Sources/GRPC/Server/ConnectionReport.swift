// The report of a server and its connections, for channelz. Values; any thread. A report is made on
// request, on each event loop of its connections.

import NIOCore

/// Calls or streams, counted from the beginning.
package struct CallCounts: Sendable, Hashable {
  package var started = 0
  package var succeeded = 0
  /// Ended otherwise: by a status that isn't OK, by the client, or with the connection.
  package var failed = 0

  package init(started: Int = 0, succeeded: Int = 0, failed: Int = 0) {
    self.started = started
    self.succeeded = succeeded
    self.failed = failed
  }

  static func + (one: CallCounts, other: CallCounts) -> CallCounts {
    CallCounts(
      started: one.started + other.started, succeeded: one.succeeded + other.succeeded,
      failed: one.failed + other.failed)
  }
}

/// One connection of a server.
package struct ConnectionReport: Sendable {
  /// The node's number of the connection, never reused.
  package let id: UInt64
  package let local: SocketAddress?
  package let remote: SocketAddress?
  package let calls: CallCounts
  package let messagesSent: Int
  package let messagesReceived: Int
  package let keepAlivesSent: Int
}

/// A server that is running.
package struct ServerReport: Sendable {
  package let address: SocketAddress?
  /// Of all its connections, including closed ones.
  package let calls: CallCounts
  package let connections: [ConnectionReport]
}

extension ServerLoop {
  /// The loop's connections. O(connections).
  var connectionReports: [ConnectionReport] { handlers.all.map(\.report) }
}

extension GRPCServerHandler {
  var report: ConnectionReport {
    ConnectionReport(
      id: place?.id ?? 0, local: context?.localAddress, remote: context?.remoteAddress,
      calls: callCounts, messagesSent: tally.messagesSent,
      messagesReceived: tally.messagesReceived,
      keepAlivesSent: state.keepAlivesSent)
  }

  /// Calls that are still open are started and nothing else.
  var callCounts: CallCounts { counts(open: tally.open) }

  /// The connection is closed, and with it its open calls.
  var lastCallCounts: CallCounts { counts(open: 0) }

  private func counts(open: Int) -> CallCounts {
    let started = session.counters.streamsOpened
    return CallCounts(
      started: started, succeeded: tally.succeeded,
      failed: max(started - tally.succeeded - open, 0))
  }
}
