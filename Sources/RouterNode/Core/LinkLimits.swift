// The bounds of one link. A plain value, any thread.

import LargeMemory
import NodeCore

/// When a bound of a lane is reached, further calls wait (and the connections they came from are
/// not read); only one that waits too long is refused.
package struct LinkLimits: Sendable {
  /// Calls sent on the calls lane and not answered.
  package var callsInFlightMax = 16_384
  /// Bytes of requests sent on the calls lane and not answered.
  package var bytesInFlightMax = 64 << 20
  /// The same for the bulk lane. Streamed replies and large ones count until their first part has
  /// come; from then on their callers' connections bound them.
  package var bulkCallsInFlightMax = 1_024
  package var bulkBytesInFlightMax = 64 << 20
  /// How long a call may wait for room on a lane, or for its turn after other calls on its key,
  /// before it is refused as OVERLOADED.
  package var waitNanosMax: UInt64 = 5_000_000_000
  /// Memory of calls to one shard that wait, in bytes; past it a call is refused at once.
  package var waitingBytesMax = 64 << 20
  /// A frame is closed when it has grown past this size.
  package var frameBytes = LinkProtocol.frameBytes
  /// A request of so many bytes, whose memory may be kept and is not twice as much, is sent from
  /// where it was received instead of being copied.
  package var handedOverBytesMin = LargeBlock.bytesMin
  /// How long a shard may take to answer Hello.
  package var helloNanosMax: UInt64 = 5_000_000_000

  /// How long callers of calls that wait for values are kept after the link is lost over which
  /// their calls were parked. The shard remembers for longer which of them have run.
  package var parkedNanosMax: UInt64 = 10_000_000_000
  /// How often a call that a shard returns, because its slot isn't the shard's, is placed anew.
  package var timesReturnedMax: UInt8 = 8
  /// How long such a call waits for a newer slot map before it is.
  package var returnedNanos: UInt64 = 50_000_000
  /// How long a link whose shard has another address lets calls under way end; then it stays as it
  /// is until it is lost.
  package var moveNanosMax: UInt64 = 2_000_000_000
  /// How long a router that has taken back several changes in a row lets another router be through.
  package var mapPauseNanos: UInt64 = 1_000_000_000
  /// How long the shards may take to adopt a change of the slot map.
  package var changeNanosMax: UInt64 = 10_000_000_000

  package init() {}

  /// What a call that waits takes beside its request, roughly, in bytes.
  static let waitingCallBytes = 256
}
