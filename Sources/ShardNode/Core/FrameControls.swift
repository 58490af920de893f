// The fields of a RouterFrame before its calls, which are needed while the calls are executed.

import RingstoreAPI

/// What concerns the calls of a frame.
struct FrameControls {
  /// The shard's clock that the router had received when it began the frame; 0: none.
  var heardMillis: UInt64 = 0
  /// Ids of calls whose callers disconnected before the calls were read.
  var cancelled: Set<UInt64> = []
  /// Calls that had been returned, and are the first on their slots since.
  var placedAgain: Set<UInt64> = []
}
