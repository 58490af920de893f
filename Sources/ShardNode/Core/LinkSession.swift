// One router loop's connection, as the shard sees it.
//
//   awaitingHello --Hello accepted--> open --newer link's Hello--> superseded
//        |                              |
//        +--refused / no Hello--> ended +--malformed frame--> ended
//
// Pure: frames in, frames out through a port. A frame is read in one pass. Calls are executed where
// they are read, in the order received, and answered at once; slices of fan-outs, large replies and
// streams wait for turns. Each call gets exactly one last reply; a superseded session executes
// nothing more, and none executes what comes too late (LinkClock).
//
// Belongs to the driver of the connection, on the event loop of its core.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

/// A connection that frames go out on. The session knows it weakly.
package protocol LinkPort: AnyObject {
  /// Sends one encoded ShardFrame, which has room in front (`MessageFrame`). What is left in the
  /// buffer doesn't matter.
  func send(_ frame: inout ByteBuffer)
  /// Whether what was sent before is mostly gone. After it was false, `LinkSession.writable` is to
  /// be called once it is true again.
  var isWritable: Bool { get }
  /// Bytes that have come in over the connection, whatever they are: a sign that the router lives.
  var bytesReceived: Int { get }
  /// Closes the connection at once; the session has ended.
  func close(_ reason: String)
}

package final class LinkSession {
  package enum Phase: Equatable {
    case awaitingHello
    case open(router: String, generation: UInt64)
    case ended
  }

  /// What becomes of the stream after a frame.
  package enum AfterFrame: Equatable {
    case proceed
    /// Ends the stream with this status; what was sent goes out before it.
    case end(StatusCode, String)
  }

  /// What a Hello led to, for the log.
  package enum Greeting: Sendable, Equatable {
    case accepted(router: String, newMap: Bool)
    case refused(router: String, reason: String)
  }

  package let lane: LinkLane
  package internal(set) var phase = Phase.awaitingHello
  /// What the latest frame's Hello led to; taken by the driver.
  package var greeting: Greeting?
  unowned let core: ShardCore
  private weak var port: (any LinkPort)?
  /// The link that the connection is a part of; nil before Hello and after the end.
  var peer: RouterSession?
  /// The frame under construction, with room in front (`MessageFrame`).
  var output = ByteBuffer()
  private var isWorking = false
  /// Calls that were received and wait until the router has taken what it was sent.
  private var held: [HeldCalls] = []
  /// Slots of calls that were returned: later ones on them are returned as well, until the router
  /// has placed the first of them anew.
  var barredSlots: Set<Int> = []
  /// Replies that wait at the gate; nil as long as none ever had to.
  private var heldReplies: HeldReplies?
  let slices = SliceQueue()
  /// A frame tells of state that isn't durable yet (the slot map): it waits, and all behind it.
  private var waitsForState = false
  /// What had come in at the latest look at the connection, and how many looks have found nothing
  /// new.
  private var bytesSeen = 0
  private var silentLooks = 0

  /// The rest of a frame.
  private struct HeldCalls {
    var frame: ByteBuffer
    var controls: FrameControls
  }

  /// - Parameters:
  ///   - lane: as the connection's metadata names it.
  ///   - port: where frames go out.
  package init(_ lane: LinkLane, core: ShardCore, port: any LinkPort) {
    self.lane = lane
    self.core = core
    self.port = port
    MessageFrame.leaveRoom(in: &output)
    slices.session = self
  }

  // MARK: - Events

  /// Takes one RouterFrame, which is valid during the call only.
  ///
  /// - Parameter block: what the frame lies in, where it may be kept for longer.
  package func receive(
    _ frame: UnsafeRawBufferPointer, in block: LargeBlock? = nil
  ) -> AfterFrame {
    guard phase != .ended else { return .proceed }
    isWorking = true
    let after = take(frame, block)
    isWorking = false
    flush()
    core.boundViews()
    if after != .proceed { leave() }
    return after
  }

  /// The port takes frames again.
  package func writable() -> AfterFrame {
    guard phase != .ended else { return .proceed }
    if lane == .bulk { peer?.wakeStalled() }
    slices.wake()
    isWorking = true
    let after = takeHeld()
    isWorking = false
    flush()
    core.boundViews()
    if after != .proceed { leave() }
    return after
  }

  /// The connection is gone, or the router ends the stream. What is under way on the link is
  /// dropped.
  package func lost() {
    leave()
  }

  /// The frame that tells a router that the shard is leaving, sent over the calls lane; nil where
  /// no router is connected. What the shard was asked before is still answered.
  package func drainingFrame() -> ByteBuffer? {
    guard case .open = phase, lane == .calls else { return nil }
    guard !waitsForState else {
      output.write(LinkV1.ShardFrame.Field.draining, true)
      return nil
    }
    var frame = ByteBuffer()
    frame.write(LinkV1.ShardFrame.Field.draining, true)
    return frame
  }

  // MARK: - Signs of life

  /// Looks whether anything has come since the last look. Returns whether the router counts as
  /// gone.
  func looksSilent() -> Bool {
    let bytes = port?.bytesReceived ?? bytesSeen
    silentLooks = bytes == bytesSeen ? silentLooks + 1 : 0
    bytesSeen = bytes
    return silentLooks >= LinkProtocol.silentLooksMax
  }

  /// Ends a connection whose router is gone: nothing more of it is executed.
  func close(_ reason: String) {
    guard phase != .ended else { return }
    leave()
    port?.close(reason)
  }

  private func leave() {
    phase = .ended
    held = []
    dropHeldReplies()
    slices.removeAll()
    guard let peer else { return }
    self.peer = nil
    peer.lost(lane)
    core.peers.left(peer)
  }

  // MARK: - Frames in

  private func take(_ frame: UnsafeRawBufferPointer, _ block: LargeBlock?) -> AfterFrame {
    do throws(WireError) {
      var controls = FrameControls()
      switch try read(frame, in: block, &controls) {
      case .done: break
      case .held(let offset):
        let rest = UnsafeRawBufferPointer(rebasing: frame[offset...])
        held.append(HeldCalls(frame: ByteBuffer(bytes: rest), controls: controls))
      case .ended(let after): return after
      }
      return .proceed
    } catch {
      return .end(.internal, "undecodable frame: \(error)")
    }
  }

  /// Whether calls of earlier frames wait. Later ones have to wait behind them.
  package var holdsCalls: Bool { !held.isEmpty }

  private func takeHeld() -> AfterFrame {
    do throws(WireError) {
      while let first = held.first, isWritable {
        var controls = first.controls
        let progress = try first.frame.withUnsafeReadableBytes { bytes throws(WireError) in
          try read(bytes, in: nil, &controls, isHeld: true)
        }
        switch progress {
        case .done: held.removeFirst()
        case .held(let offset):
          held[0].frame.moveReaderIndex(forwardBy: offset)
          held[0].controls = controls
        case .ended(let after): return after
        }
      }
      return .proceed
    } catch {
      return .end(.internal, "undecodable frame: \(error)")
    }
  }

  /// The caller of a call went away, be the call under way or still to be read.
  func cancel(_ id: UInt64, _ controls: inout FrameControls) {
    controls.cancelled.insert(id)
    for place in held.indices { held[place].controls.cancelled.insert(id) }
    peer?.cancel(id)
  }

  // MARK: - Frames out

  var isWritable: Bool { !waitsForState && port?.isWritable ?? false }

  /// What was written tells of the shard's state: it goes once that is durable. `writable` is to be
  /// called after `stateIsDurable`.
  func tellsOfState() {
    if core.isStatePending { waitsForState = true }
  }

  /// All state is durable.
  func stateIsDurable() {
    guard waitsForState else { return }
    waitsForState = false
    flushUnlessWorking()
  }

  /// Appends to the frame under construction, or sends a frame of its own between two frames. One
  /// call may lead to the replies of many (those that waited for what it brought, those whose slot
  /// goes), so a frame that is large enough is sent before its time.
  func emit(_ write: (inout ByteBuffer) -> Void) {
    write(&output)
    if !isWorking || output.readableBytes >= LinkProtocol.frameBytes { flush() }
  }

  func flushUnlessWorking() {
    if !isWorking { flush() }
  }

  /// Lets the reply wait of a call just executed, which begins at `start` of the frame under
  /// construction, if what it tells of isn't committed.
  @inline(__always)
  func passGate(_ id: UInt64, _ method: UInt32, since start: Int) {
    if core.gate.holds(core.latestMark) { hold(id, method, since: start) }
  }

  @inline(never)
  private func hold(_ id: UInt64, _ method: UInt32, since start: Int) {
    let replies = heldReplies ?? HeldReplies(of: self, core: core)
    heldReplies = replies
    replies.take(from: &output, since: start, id: id, method: method)
  }

  /// Their callers are gone.
  func dropHeldReplies() {
    heldReplies?.drop()
  }

  func flush() {
    guard output.readableBytes > 0, !waitsForState else { return }
    port?.send(&output)
    // The memory is kept, unless a frame of many or large replies has made it large.
    if output.capacity > Self.retainedBytesMax { output = ByteBuffer() }
    MessageFrame.leaveRoom(in: &output)
  }

  /// Room that the buffer for frames may keep.
  private static let retainedBytesMax = 64 << 10
}
