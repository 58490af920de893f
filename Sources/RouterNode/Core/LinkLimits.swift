// The limits of one link. A plain value, any thread.

import LargeMemory
import NodeCore

/// When a limit of a lane is reached, further calls wait (and their connections are not read); only
/// a call that waits too long is refused.
package struct LinkLimits: Sendable {
  /// Calls sent on the calls lane without a reply yet.
  package var callsInFlightMax = 16_384
  /// Bytes of requests sent on the calls lane without a reply yet.
  package var bytesInFlightMax = 64 << 20
  /// The same for the bulk lane. Streamed and large replies count until their first part has
  /// arrived; then their callers' connections limit them.
  package var bulkCallsInFlightMax = 1_024
  package var bulkBytesInFlightMax = 64 << 20
  /// How long a call may wait for space on a lane, or for other calls on its key, before it is
  /// refused with OVERLOADED.
  package var waitNanosMax: UInt64 = 5_000_000_000
  /// Memory of calls to one shard that wait, in bytes; past it a call is refused at once.
  package var waitingBytesMax = 64 << 20
  /// A frame is closed when it has grown past this size.
  package var frameBytes = LinkProtocol.frameBytes
  /// A request of this size or more is sent from its receive block without a copy, if the block may
  /// be kept and is less than twice as large.
  package var handedOverBytesMin = LargeBlock.bytesMin
  /// How long a shard may be silent while calls wait for it; half of it until it gets a PING. Then
  /// its link is closed.
  package var silenceNanosMax: UInt64 = 2_000_000_000
  /// How long a shard may take to reply to Hello.
  package var helloNanosMax: UInt64 = 5_000_000_000

  /// How long calls that wait for values are kept after their link is lost. The shard remembers
  /// longer which of them it has executed.
  package var parkedNanosMax: UInt64 = 10_000_000_000
  /// How often a call that a shard returns, because its slot isn't the shard's, is routed again.
  package var timesReturnedMax: UInt8 = 8
  /// How long such a call waits for a newer slot map before it is.
  package var returnedNanos: UInt64 = 50_000_000
  /// How long a link whose shard has another address waits for calls in progress; those that are
  /// left end as if it were lost. Then the same time for a shard that doesn't serve yet.
  package var moveNanosMax: UInt64 = 2_000_000_000
  /// How long a router that has rolled back several changes in a row pauses, so that another router
  /// can finish.
  package var mapPauseNanos: UInt64 = 1_000_000_000
  /// How long the shards may take to adopt a change of the slot map.
  package var changeNanosMax: UInt64 = 10_000_000_000

  package init() {}

  /// The approximate memory of a waiting call besides its request, in bytes.
  static let waitingCallBytes = 256
}
