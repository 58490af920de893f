// One shard as a router's loop sees it: the link's state, what is to be sent, and what is under way.
//
// A RouterFrame is a concatenation of its fields, so a batch is just a buffer to which encoded
// calls are appended; taking it is the whole of "building the frame".

import NIOCore
import NodeCore
import RingstoreAPI

/// The bounds of one link. When a bound is reached, further calls wait (and the connections they
/// came from are not read); only one that waits too long is refused.
package struct LinkLimits: Sendable {
  /// Calls sent and not answered.
  package var callsInFlightMax = 16_384
  /// Bytes of requests sent and not answered.
  package var bytesInFlightMax = 64 << 20
  /// How long a call may wait for room on the link before it is refused as OVERLOADED.
  package var waitNanosMax: UInt64 = 5_000_000_000
  /// Bytes of requests that wait for room; past it a call is refused at once.
  package var waitingBytesMax = 64 << 20
  /// A frame is closed when it has grown past this size.
  package var frameBytes = LinkProtocol.frameBytes
  /// How long a shard may take to answer Hello.
  package var helloNanosMax: UInt64 = 5_000_000_000

  package init() {}
}

/// A call that found no room on the link; `record` is its encoded LinkCall.
struct WaitingCall {
  let id: UInt64
  let record: ByteBuffer
  let sinceNanos: UInt64
}

struct RouterLink {
  let shardID: String
  let address: String
  var state: LinkState
  /// When a Hello that was sent must have been answered.
  var helloDueNanos: UInt64 = 0

  /// Frames that are full, oldest first; then the one being filled.
  private var fullFrames = CircularBuffer<(frame: ByteBuffer, ordered: UInt64)>()
  private var frame = ByteBuffer()
  /// Calls put into frames, ever; and those handed to the transport. The difference did provably
  /// not run when the link breaks.
  private(set) var ordered: UInt64 = 0
  private(set) var sent: UInt64 = 0

  private(set) var callsInFlight = 0
  private(set) var bytesInFlight = 0
  private(set) var waiting = CircularBuffer<WaitingCall>()
  private(set) var waitingBytes = 0

  init(shardID: String, address: String, state: LinkState) {
    self.shardID = shardID
    self.address = address
    self.state = state
  }

  var hasOutput: Bool { frame.readableBytes > 0 || !fullFrames.isEmpty }

  func hasRoom(_ limits: LinkLimits) -> Bool {
    callsInFlight < limits.callsInFlightMax && bytesInFlight < limits.bytesInFlightMax
  }

  /// Gives the frame being filled to a closure that appends one call; counts it as under way.
  mutating func appendCall(
    bytes: Int, _ limits: LinkLimits, _ write: (inout ByteBuffer) -> Void
  ) -> UInt64 {
    write(&frame)
    callsInFlight += 1
    bytesInFlight += bytes
    ordered += 1
    if frame.readableBytes >= limits.frameBytes { closeFrame() }
    return ordered
  }

  /// Gives the frame being filled to a closure that appends something that is no call.
  mutating func append(_ write: (inout ByteBuffer) -> Void) {
    write(&frame)
  }

  mutating func callEnded(bytes: Int) {
    callsInFlight -= 1
    bytesInFlight -= bytes
  }

  mutating func wait(_ call: WaitingCall) {
    waitingBytes += call.record.readableBytes
    waiting.append(call)
  }

  /// Takes the call that has waited longest.
  mutating func takeWaiting() -> WaitingCall? {
    guard let call = waiting.popFirst() else { return nil }
    waitingBytes -= call.record.readableBytes
    return call
  }

  /// The next frame to send, or nil. Its calls count as sent from now on.
  mutating func takeFrame() -> ByteBuffer? {
    if let full = fullFrames.popFirst() {
      sent = full.ordered
      return full.frame
    }
    guard frame.readableBytes > 0 else { return nil }
    let taken = frame
    frame = ByteBuffer()
    sent = ordered
    return taken
  }

  /// Forgets all that was to be sent or is under way: the connection is gone.
  mutating func clear() {
    fullFrames.removeAll()
    frame.clear()
    sent = ordered
    callsInFlight = 0
    bytesInFlight = 0
    waiting.removeAll()
    waitingBytes = 0
  }

  private mutating func closeFrame() {
    fullFrames.append((frame, ordered))
    frame = ByteBuffer()
  }
}
