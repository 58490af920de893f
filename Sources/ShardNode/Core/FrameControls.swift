// What a RouterFrame has said before its calls, and what is to be known while they are executed.

import RingstoreAPI

/// What concerns the calls of a frame.
struct FrameControls {
  /// The shard's clock that the router had heard when it began the frame; 0: none.
  var heardMillis: UInt64 = 0
  /// Ids whose callers went away before their calls were read.
  var cancelled: Set<UInt64> = []
  /// Calls that had been returned, and are the first on their slots since.
  var placedAnew: Set<UInt64> = []
}
