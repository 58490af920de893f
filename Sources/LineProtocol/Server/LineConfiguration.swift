// The limits of the line protocol's server. Plain values, any thread.

import GRPC
import NIOCore

/// What a server allows its clients. Durations are nanoseconds, sizes bytes.
package struct LineConfiguration: Sendable {
  /// Bytes that the clients of one loop may make it hold where no gRPC server is beside this one:
  /// else they are counted with that server's clients, in one account with one bound.
  package var maxHeldBytes = 256 << 20
  /// The period in which a client must read `minProgressBytes` of pending replies.
  package var progressNanosMax: Int64 = 30_000_000_000
  package var minProgressBytes = 4 << 10
  /// The period for replies of which only the system still has a part.
  package var systemProgressNanosMax = Int64(SilentPeers.unacknowledgedSeconds) * 1_000_000_000
  /// How long a connection may be without a command before it is closed; 0: no limit,
  /// because a person who types commands into a program like nc would not see the reason.
  package var idleNanosMax: Int64 = 0
  /// How often connections are looked at for lack of progress.
  package var sweepNanos: Int64 = 5_000_000_000
  /// Connections waiting to be accepted.
  package var backlog: Int32 = 1_024
  /// How connections are encrypted; nil: not at all.
  package var tls: ListenerTLS?

  package init() {}

  /// How often connections are checked: more often if the idle limit is short.
  var sweepNanosInForce: Int64 {
    idleNanosMax > 0 ? min(sweepNanos, max(250_000_000, idleNanosMax / 4)) : sweepNanos
  }

  /// How long a connection that was ended here is still read, so that the client gets the last
  /// reply.
  static let lingerNanos: Int64 = 1_000_000_000
  /// How much is handed to the socket at once.
  static let writeChunkBytes = 256 << 10
}
