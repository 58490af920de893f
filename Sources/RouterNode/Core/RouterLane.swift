// One connection of a link on the router's side: its output, and its calls in progress.
//
// A RouterFrame is a concatenation of its fields, so a batch is just a buffer to which encoded
// calls are appended, so a frame needs no further encoding. A large request is not appended: it
// ends its frame and is sent from its block. Waiting output is bounded by the limit of calls in
// flight.
//
// A frame is built as the final message, with space for its prefix, so that its buffer can become
// the connection's. The lane gets another buffer in return (`reuse`), and so needs no new memory.

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
  /// Cancels that are sent before the calls of the current frame: a shard reads a frame in one
  /// pass, and must know them before it reads a call.
  private var cancels: [UInt64] = []
  /// Whether the driver was notified that there is something to send.
  private var isAnnounced = false
  /// The shard's clock for the next frames; 0: none was received.
  var heardMillis: UInt64 = 0
  /// All calls put into frames so far, and those given to the transport. When the link breaks, the
  /// difference was provably not executed.
  private(set) var ordered: UInt64 = 0
  private(set) var sent: UInt64 = 0

  private(set) var callsInFlight = 0
  private(set) var bytesInFlight = 0

  /// Ids of calls that wait for space. An ended call leaves its id in the queue.
  private var queue = CircularBuffer<UInt64>()
  private(set) var waitingCount = 0
  /// Whether calls must wait although there is space, as if there were none.
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
  /// - Parameter tail: the end of the call, if the closure doesn't append it.
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

  /// Passes a separate frame to a closure.
  mutating func appendAlone(_ write: (inout ByteBuffer) -> Void) {
    if hasFrame { closeFrame(nil) }
    append(write)
    closeFrame(nil)
  }

  /// Makes sure that a frame is sent, if only with the shard's clock.
  mutating func ensureFrame() {
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

  // MARK: - Calls that wait for space

  mutating func wait(_ id: UInt64) {
    queue.append(id)
    waitingCount += 1
  }

  /// A call that waited has ended.
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

  /// Whether the driver must be notified that there is something to send; then it counts as
  /// notified.
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

  /// The current frame, with the cancels in front of its calls.
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

  /// Drops all output, calls in flight and, unless they are kept, waiting calls: the connection is
  /// lost.
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
