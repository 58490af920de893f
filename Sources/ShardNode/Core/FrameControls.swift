// What a RouterFrame holds beside its calls, found before the first of them is executed: a frame may
// take back calls that it carries itself.

import RingstoreAPI

struct FrameControls {
  private(set) var hello: UnsafeRawBufferPointer?
  /// A slot map for a link that is open.
  private(set) var offer: UnsafeRawBufferPointer?
  /// Ids whose callers went away, be it before the frame or within it.
  private(set) var cancelled: Set<UInt64> = []
  private(set) var hasCredits = false
  /// Calls that had been returned, and are the first on their slots since.
  private(set) var placedAnew: Set<UInt64> = []
  /// The shard's clock that the router had heard when it began the frame; 0: none.
  private(set) var heardMillis: UInt64 = 0

  /// Reads the frame's fields, but not what is inside the calls.
  init(_ frame: UnsafeRawBufferPointer) throws(WireError) {
    var parts = LinkV1.RouterFrame.Parts(frame)
    while let part = try parts.next() {
      switch part {
      case .hello(let message): hello = message
      case .offer(let message): offer = message
      case .placedAnew(let id): placedAnew.insert(id)
      case .calls: break
      case .cancels(let id): cancelled.insert(id)
      case .credits: hasCredits = true
      case .heardMillis(let millis): heardMillis = millis
      }
    }
  }
}
