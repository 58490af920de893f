// The limits of a gRPC server. Plain values, any thread.

import HTTP2
import NIOCore

/// What a server allows its clients. Durations are nanoseconds, sizes bytes.
package struct ServerConfiguration: Sendable {
  /// Most bytes of one received message.
  package var maxMessageBytes = 4 << 20
  /// Bytes that the node holds at most for all clients together; see ClientMemory.swift.
  package var clientMemoryBytes = 512 << 20
  /// Those of them that one connection may; nil: a quarter of its loop's share, or four of the
  /// longest messages if that is more.
  package var connectionMemoryBytes: Int?
  /// Calls a client may have open on one connection. RFC 9113 section 6.5.2 asks for 100 or more;
  /// clients with one connection for all their threads have hundreds. Their memory has a separate
  /// limit (`clientMemoryBytes`).
  package var maxConcurrentStreams = 1024
  /// Bytes a client may send on one call before the service has consumed them.
  package var streamWindowBytes = 1 << 20
  /// Bytes a client may send on one connection before the service has consumed them.
  package var connectionWindowBytes = 16 << 20
  /// Size and number of fields of a header block.
  package var maxHeaderListBytes = 16 << 10
  package var maxHeaderFields = 100
  /// Bytes of unfinished messages held for one connection; a call that exceeds it is refused. Large
  /// messages that are being received are not counted here.
  package var maxBufferedBytes = 64 << 20
  /// Bytes of large messages, longer than `streamWindowBytes`, that one connection may send us at a
  /// time. One is always let in; others wait, with their window shut, for those before them.
  package var maxLargeMessageBytes = 64 << 20
  /// Bytes that calls whose reading is paused may hold beyond `connectionWindowBytes`.
  package var maxParkedBytes = 64 << 20
  /// Outbound bytes of one streaming call at which `isWritable` becomes false, and at which
  /// `streamWritable` is called afterwards.
  package var streamHighWaterBytes = 256 << 10
  package var streamLowWaterBytes = 64 << 10
  /// If the socket of a connection is full, reading stops at this many outbound bytes.
  package var connectionHighWaterBytes = 1 << 20
  /// Outbound bytes of a connection at which new calls wait, and large replies in pieces too: the
  /// client sends calls faster than it reads the replies, or gives no window for them. (If one
  /// whole message may be longer than half of this, new calls wait only at the length of that
  /// message plus half of this: one reply being sent must not stop a connection.)
  package var maxOutboundBytes = 32 << 20
  /// Shortest time between two PINGs of a client with open calls, and without (gRFC A8).
  package var minPingIntervalNanos: UInt64 = 300 * 1_000_000_000
  package var minIdlePingIntervalNanos: UInt64 = 7_200 * 1_000_000_000
  /// Silence of a client after which it is sent a PING, and how long the reply may take before its
  /// connection is cut; 0: no PING is sent. gRPC's servers wait for two hours, which is longer than
  /// most firewalls keep an idle connection; one PING a minute costs a node next to nothing.
  package var keepaliveNanos: UInt64 = 60 * 1_000_000_000
  package var keepaliveTimeoutNanos: UInt64 = 20 * 1_000_000_000
  /// How long a connection may be without a call before it is drained, as gRPC's
  /// max_connection_idle; 0: no limit. A gRPC client connects again with its next call.
  package var idleNanosMax: UInt64 = 3_600 * 1_000_000_000
  /// How old a client's connection may become before it is drained, give or take a tenth, as gRPC's
  /// max_connection_age; 0: no limit. Off by default, because its use depends on the load balancer
  /// in front of the node, and it ends streams that are longer than the grace.
  package var ageNanosMax: UInt64 = 0
  /// How long calls in progress may then continue. gRPC's servers have no limit; an endless stream
  /// would then keep its connection. A minute is more than the time limit of unary calls.
  package var ageGraceNanos: UInt64 = 60 * 1_000_000_000
  /// Calls that the client may reset before it was sent any of their replies, beyond the number of
  /// calls with a reply on the connection. A call with part of its reply doesn't count.
  package var maxExcessResets = 500
  /// Streams reset because of the client's protocol errors, beyond a tenth of the calls with a
  /// reply.
  package var maxErrorResets = 100
  /// Frames that carry nothing of a call (`HTTP2Counters.controlFramesReceived`) accepted in
  /// `controlFramePeriodNanos`, beyond ten for each frame we sent and one for each stream.
  package var maxControlFrames = 10_000
  package var controlFramePeriodNanos: UInt64 = 10 * 1_000_000_000
  /// Time to send the preface and SETTINGS, and to complete a header block.
  package var handshakeTimeoutNanos: UInt64 = 10 * 1_000_000_000
  /// The period in which a client must read `minProgressBytes` of a pending reply, and send as many
  /// of a message that it has begun or, if that is less, the rest of the message.
  package var progressTimeoutNanos: UInt64 = 30 * 1_000_000_000
  package var minProgressBytes = 4 << 10
  /// The period for replies of which only the system still has a part.
  package var systemProgressTimeoutNanos = UInt64(SilentPeers.unacknowledgedSeconds) * 1_000_000_000
  /// The same for all calls of a connection together: below it, calls that wait for others of the
  /// connection can't be distinguished from those that the others wait for.
  package var minConnectionProgressBytes = 64 << 10
  /// Connections waiting to be accepted.
  package var backlog: Int32 = 1024
  /// How connections are encrypted; nil: not at all.
  package var tls: ListenerTLS?

  package init() {}

  /// The low water mark in force. It is below the high one: with equal marks a call could wait
  /// forever.
  var lowWaterBytes: Int { min(streamLowWaterBytes, streamHighWaterBytes - 1) }

  /// Outbound bytes at which new calls wait.
  var holdBytes: Int { max(maxOutboundBytes, maxMessageBytes + maxOutboundBytes / 2) }

  /// How much is handed to the socket at once.
  static let writeChunkBytes = 512 << 10
  /// The bytes collected for it: with the frame that exceeds this limit it still fits.
  static let writeLimitBytes = writeChunkBytes - (17 << 10)
  /// Capacity up to which a connection keeps its output buffer between flushes.
  static let retainedOutputBytes = 64 << 10
  /// Capacity up to which a call keeps the buffer of what it received, once that is empty.
  static let retainedInboundBytes = 16 << 10
  /// Frames waiting in the library, beside DATA, at which a full socket stops reading.
  static let maxQueuedFrames = 4_096
  /// Strikes of the keep-alive policy that are forgiven.
  static let maxPingStrikes = 2
  /// How long a drain waits for the client to have seen the first GOAWAY.
  static let drainRoundTripNanos: Int64 = 1_000_000_000
  /// How long a connection that was ended is still read, and how much of it, so that the client
  /// receives the last data.
  static let lingerNanos: Int64 = 1_000_000_000
  static let lingerBytesMax = 4 << 20
  /// How often connections are checked for lack of progress, unless a short time limit requires
  /// more checks.
  static let sweepNanosMax: UInt64 = 5_000_000_000
  static let sweepNanosMin: UInt64 = 250_000_000
  /// On a connection above the limits: the time before the first call, and for calls of
  /// administration, which such a connection may carry.
  static let reservedFirstCallNanosMax: UInt64 = 2_000_000_000
  static let reservedNanosMax: UInt64 = 10_000_000_000

  /// How often connections are looked at.
  var sweepNanos: Int64 {
    let limits = [
      idleNanosMax, keepaliveNanos, keepaliveNanos == 0 ? 0 : keepaliveTimeoutNanos,
      // Several looks within the two tenths over which ages are spread.
      ageNanosMax / 5, ageNanosMax == 0 ? 0 : ageGraceNanos,
    ]
    let shortest = limits.filter { $0 > 0 }.min() ?? .max
    return Int64(min(Self.sweepNanosMax, max(Self.sweepNanosMin, shortest / 4)))
  }

  var http2: HTTP2Configuration {
    var result = HTTP2Configuration()
    result.maxConcurrentStreams = UInt32(clamping: maxConcurrentStreams)
    result.streamWindowBytes = Int32(clamping: streamWindowBytes)
    result.connectionWindowBytes = Int32(clamping: connectionWindowBytes)
    result.maxParkedBytes = maxParkedBytes
    result.maxHeaderListBytes = maxHeaderListBytes
    result.maxHeaderFields = maxHeaderFields
    return result
  }
}
