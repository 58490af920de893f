// What a RouterFrame holds beside its calls, found before the first of them is executed: a frame may
// take back calls that it carries itself.

import RingstoreAPI

struct FrameOutline {
  private(set) var hello: UnsafeRawBufferPointer?
  /// Ids whose callers went away, be it before the frame or within it.
  private(set) var cancelled: Set<UInt64> = []
  private(set) var hasCredits = false
  /// The shard's clock that the router had heard when it began the frame; 0: none.
  private(set) var heardMillis: UInt64 = 0

  /// Reads the frame's fields, but not what is inside the calls.
  init(_ frame: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(frame)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): hello = try reader.readBytes()
      case .varint(3): cancelled.insert(try reader.readVarint())
      case .bytes(3):
        var ids = WireReader(try reader.readBytes())
        while !ids.isAtEnd { cancelled.insert(try ids.readVarint()) }
      case .bytes(4):
        _ = try reader.readBytes()
        hasCredits = true
      case .varint(5): heardMillis = try reader.readVarint()
      default: try reader.skip(tag)
      }
    }
  }
}
