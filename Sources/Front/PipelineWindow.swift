// How many calls of a Pipeline may be pending. Pure; one for each Pipeline.
//
// Their replies must be kept if the client does not read them, and their length isn't known before.
// So there are few calls at first, one more for each reply, and never more than would make
// `replyBytesMax` of replies like the latest.

struct PipelineWindow {
  /// Calls that may be pending: at first, and at most.
  static let callsFirst = 256
  static let callsMax = 10_000
  /// Calls that may wait for values, beside those.
  static let parkedMax = 10_000
  /// An estimate of the outstanding bytes of replies.
  static let replyBytesMax = 16 << 20

  /// Calls without a reply yet.
  private(set) var underWay = 0
  /// Calls that wait for values.
  private(set) var parked = 0
  private(set) var limit = callsFirst
  /// The mean size of the latest replies.
  private var replyBytes = 0

  var isOpen: Bool { underWay < limit }
  /// Whether enough calls have ended to read again.
  var isHalfEmpty: Bool { underWay <= limit / 2 }

  mutating func placed() {
    underWay += 1
  }

  /// A call in progress waits for a value. Returns false if too many wait.
  mutating func parks() -> Bool {
    guard parked < Self.parkedMax else { return false }
    underWay -= 1
    parked += 1
    return true
  }

  /// A call that waited is in progress again.
  mutating func unparks() {
    parked -= 1
    underWay += 1
  }

  mutating func replied(byteCount: Int) {
    underWay -= 1
    replyBytes += (byteCount - replyBytes) / 8
    if replyBytes * limit > Self.replyBytesMax {
      limit = max(1, limit - limit / 8 - 1)
    } else if limit < Self.callsMax {
      limit += 1
    }
  }
}
