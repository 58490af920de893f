// One connection of a link as a router's loop sees it: what is to be sent, and what is under way.
//
// A RouterFrame is a concatenation of its fields, so a batch is just a buffer to which encoded
// calls are appended; taking it is the whole of "building the frame". A large request is not
// appended: it ends its frame and is sent from where it lies. What waits to be sent is bounded by
// what may be in flight.
//
// A frame is gathered as the message that it will be, with room for its prefix, so that its buffer
// can become the connection's. The lane gets another one for it (`reuse`), and so needs no new
// memory.

import GRPC
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
  /// Bytes of the clock at its beginning.
  private var clockBytes = 0
  /// Memory for the next frame.
  private var spare = ByteBuffer()
  /// Taken back before calls of the frame being filled: a shard reads a frame in one pass, and must
  /// know of them before it comes to a call.
  private var cancels: [UInt64] = []
  /// Whether the driver knows that there is something to send.
  private var isAnnounced = false
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

  /// Takes a call back. What is still in the frame being filled will not be executed.
  mutating func cancel(_ id: UInt64) {
    beginFrame()
    cancels.append(id)
  }

  /// Gives a frame of its own to a closure.
  mutating func appendAlone(_ write: (inout ByteBuffer) -> Void) {
    if hasFrame { closeFrame(nil) }
    append(write)
    closeFrame(nil)
  }

  /// Sees to it that a frame is sent, if only with the shard's clock: a sign of life.
  mutating func giveSignOfLife() {
    beginFrame()
  }

  @inline(__always)
  private mutating func beginFrame() {
    if frame.readableBytes == 0, !hasFrame { newFrame() }
  }

  private mutating func newFrame() {
    MessageFrame.leaveRoom(in: &frame)
    if heardMillis > 0 {
      frame.append(LinkV1.RouterFrame.Field.heardMillis, heardMillis)
    }
    clockBytes = frame.readableBytes
  }

  /// Whether there is something in the frame being filled.
  private var hasFrame: Bool { frame.readableBytes > 0 || !cancels.isEmpty }

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

  /// Whether the driver has yet to be told that there is something to send; it counts as told then.
  @inline(__always)
  mutating func announces() -> Bool {
    if isAnnounced { return false }
    isAnnounced = true
    return true
  }

  /// The next frame to send, or nil. Its calls count as sent from now on.
  ///
  /// - Parameter hasCalls: set to whether the frame has calls.
  mutating func takeFrame(hasCalls: inout Bool) -> OutgoingFrame? {
    if let full = fullFrames.popFirst() {
      hasCalls = sent != full.ordered
      sent = full.ordered
      return full.frame
    }
    guard hasFrame else {
      isAnnounced = false
      return nil
    }
    hasCalls = sent != ordered
    sent = ordered
    return OutgoingFrame(head: finishFrame(), tail: nil)
  }

  /// Takes memory for a later frame.
  mutating func reuse(_ buffer: inout ByteBuffer) {
    if spare.capacity == 0, buffer.capacity <= Self.retainedBytesMax { swap(&spare, &buffer) }
  }

  /// Memory that is kept for the next frame, in bytes.
  private static let retainedBytesMax = 64 << 10

  /// The frame being filled, with what it takes back in front of its calls.
  private mutating func finishFrame() -> ByteBuffer {
    var finished = ByteBuffer()
    swap(&finished, &spare)
    finished.clear()
    swap(&finished, &frame)
    guard !cancels.isEmpty else { return finished }
    var whole = ByteBuffer()
    MessageFrame.leaveRoom(in: &whole)
    if let clock = finished.readSlice(length: clockBytes) { whole.writeImmutableBuffer(clock) }
    for id in cancels { whole.append(LinkV1.RouterFrame.Field.cancels, id) }
    cancels.removeAll()
    whole.writeImmutableBuffer(finished)
    return whole
  }

  /// Forgets all that was to be sent, is in flight or, unless it is kept, waits: the connection is
  /// gone.
  mutating func clear(keepsWaiting: Bool = false) {
    fullFrames.removeAll()
    frame.clear()
    cancels.removeAll()
    isAnnounced = false
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
    fullFrames.append((OutgoingFrame(head: finishFrame(), tail: tail), ordered))
  }
}
