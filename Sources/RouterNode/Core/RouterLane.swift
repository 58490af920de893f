// One connection of a link as a router's loop sees it: what is to be sent, and what is under way.
//
// A RouterFrame is a concatenation of its fields, so a batch is just a buffer to which encoded
// calls are appended; taking it is the whole of "building the frame". A large request is not
// appended: it ends its frame and is sent from where it lies. What waits to be sent is bounded by
// what may be in flight.

import LargeMemory
import NIOCore
import RingstoreAPI

struct RouterLane {
  private let callsMax: Int
  private let bytesMax: Int
  private let frameBytes: Int

  /// Frames that are full, oldest first; then the one being filled.
  private var fullFrames = CircularBuffer<(frame: OutgoingFrame, ordered: UInt64)>()
  private var frame = ByteBuffer()
  /// The shard's clock that frames name from now on; 0: none was heard.
  var heardMillis: UInt64 = 0
  /// Calls put into frames, ever; and those handed to the transport. The difference did provably
  /// not run when the link breaks.
  private(set) var ordered: UInt64 = 0
  private(set) var sent: UInt64 = 0

  private(set) var callsInFlight = 0
  private(set) var bytesInFlight = 0

  /// Calls that wait for room, by their ids. One that gave up leaves its id behind.
  private var queue = CircularBuffer<UInt64>()
  private(set) var waitingCount = 0
  /// Whether calls have to wait although there is room: there is none then.
  var isClosed = false {
    didSet { bytesMaxNow = isClosed ? .min : bytesMax }
  }
  private var bytesMaxNow: Int

  init(callsMax: Int, bytesMax: Int, frameBytes: Int) {
    self.callsMax = callsMax
    self.bytesMax = bytesMax
    bytesMaxNow = bytesMax
    self.frameBytes = frameBytes
  }

  /// Whether another call may be sent, leaving aside those that wait.
  var hasRoom: Bool { callsInFlight < callsMax && bytesInFlight < bytesMaxNow }

  /// Whether a new call may be sent at once.
  var isOpen: Bool { hasRoom && waitingCount == 0 }

  /// Gives the frame being filled to a closure that appends one call; counts it as in flight.
  /// Returns its place among the lane's calls, from 1.
  ///
  /// - Parameter tail: the end of the call, where the closure doesn't append it.
  @inline(__always)
  mutating func appendCall(
    bytes: Int, tail: OwnedBytes? = nil, _ write: (inout ByteBuffer) -> Void
  ) -> UInt64 {
    beginFrame()
    write(&frame)
    callsInFlight += 1
    bytesInFlight += bytes
    ordered += 1
    if tail != nil || frame.readableBytes >= frameBytes { closeFrame(tail) }
    return ordered
  }

  /// Gives the frame being filled to a closure that appends something that is no call.
  mutating func append(_ write: (inout ByteBuffer) -> Void) {
    beginFrame()
    write(&frame)
  }

  /// Gives a frame of its own to a closure.
  mutating func appendAlone(_ write: (inout ByteBuffer) -> Void) {
    if frame.readableBytes > 0 { closeFrame(nil) }
    append(write)
    closeFrame(nil)
  }

  /// Sees to it that a frame is sent, if only with the shard's clock: a sign of life.
  mutating func giveSignOfLife() {
    beginFrame()
  }

  @inline(__always)
  private mutating func beginFrame() {
    if frame.readableBytes == 0, heardMillis > 0 {
      frame.append(LinkV1.RouterFrame.Field.heardMillis, heardMillis)
    }
  }

  /// A call is in flight no more.
  @inline(__always)
  mutating func callEnded(bytes: Int) {
    callsInFlight -= 1
    bytesInFlight -= bytes
  }

  // MARK: - Calls that wait for room

  mutating func wait(_ id: UInt64) {
    queue.append(id)
    waitingCount += 1
  }

  /// A call that waited has given up.
  mutating func leave(isWaiting: (UInt64) -> Bool) {
    waitingCount -= 1
    if queue.count > 2 * waitingCount + 1_024 { queue.removeAll { !isWaiting($0) } }
  }

  /// Takes the call that has waited longest.
  mutating func nextWaiting(isWaiting: (UInt64) -> Bool) -> UInt64? {
    while let id = queue.popFirst() {
      guard isWaiting(id) else { continue }
      waitingCount -= 1
      return id
    }
    return nil
  }

  // MARK: - Frames

  /// The next frame to send, or nil. Its calls count as sent from now on.
  mutating func takeFrame() -> OutgoingFrame? {
    if let full = fullFrames.popFirst() {
      sent = full.ordered
      return full.frame
    }
    guard frame.readableBytes > 0 else { return nil }
    let taken = frame
    frame = ByteBuffer()
    sent = ordered
    return OutgoingFrame(head: taken, tail: nil)
  }

  /// Forgets all that was to be sent, is in flight or, unless it is kept, waits: the connection is gone.
  mutating func clear(keepsWaiting: Bool = false) {
    fullFrames.removeAll()
    frame.clear()
    sent = ordered
    callsInFlight = 0
    bytesInFlight = 0
    if !keepsWaiting {
      queue.removeAll()
      waitingCount = 0
    }
    heardMillis = 0
  }

  private mutating func closeFrame(_ tail: OwnedBytes?) {
    fullFrames.append((OutgoingFrame(head: frame, tail: tail), ordered))
    frame = ByteBuffer()
  }
}
