// The limits of the admin port, all in one place, and its set-up. Values; any thread.

import GRPC
import NIOCore
import Users

package struct AdminConfiguration: Sendable {
  package var host = "127.0.0.1"
  /// 0: any free port.
  package var port = 0
  /// How the port is encrypted; nil: not at all.
  package var tls: ServerTLS?
  /// The users; nil: there are none, and every caller may see everything.
  package var users: UserDirectory?
  package var limits = AdminLimits()

  package init() {}
}

/// What the admin port allows its clients. Durations are nanoseconds, sizes bytes.
package struct AdminLimits: Sendable {
  /// Connections at one time. At the limit a new connection closes another one. The order: of
  /// clients that have shown no credential the one that is idle for longest, then the one that is
  /// served for longest; of users the same, after `busyNanosMin`. Where there is none, the new one
  /// is closed without notice.
  package var connectionsMax = 32
  /// A request's line and fields.
  package var requestBytesMax = 16 << 10
  package var requestFieldsMax = 64
  /// How long a request may take to arrive.
  package var requestNanosMax: UInt64 = 10_000_000_000
  /// How long making a page may take; after that the reply is 503.
  package var responseNanosMax: UInt64 = 10_000_000_000
  /// The same for /healthz and /readyz: a node whose event loop doesn't reply is not healthy.
  package var probeNanosMax: UInt64 = 2_000_000_000
  /// How long a client may take to read a reply.
  package var writeNanosMax: UInt64 = 30_000_000_000
  /// A user's connection whose page isn't made, or isn't read, after this time may be closed for a
  /// new one.
  package var busyNanosMin: UInt64 = 1_000_000_000
  /// How long a connection may be without a request: longer than Prometheus' usual interval.
  package var idleNanosMax: UInt64 = 180_000_000_000
  /// How often connections are looked at.
  package var sweepNanos: Int64 = 1_000_000_000
  /// Scrapes closer together than this get the same figures.
  package var scrapeNanosMin: UInt64 = 100_000_000

  package init() {}

  /// TLS handshakes in progress, half of the connections: clients that never complete one leave the
  /// other half. A further one closes the oldest.
  var handshakesMax: Int { max(1, connectionsMax / 2) }
}
