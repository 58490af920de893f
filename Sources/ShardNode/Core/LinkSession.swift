// One router loop's connection, as the shard sees it.
//
//   awaitingHello --Hello accepted--> open --newer link's Hello--> superseded
//        |                              |
//        +--refused / no Hello--> ended +--malformed frame--> ended
//
// Pure: frames in, frames out through a port. A frame is read in one pass. Calls are executed where
// they are read, in the order received, and get their replies at once; slices of fan-outs, large
// replies and streams wait for turns. Each call gets exactly one final reply. A superseded session
// executes nothing more, and no session executes calls that arrive too late (LinkClock).
//
// Belongs to the driver of the connection, on the event loop of its core.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

/// The connection for outgoing frames. The session holds it weakly.
package protocol LinkPort: AnyObject {
  /// Sends one encoded ShardFrame, which has space in front (`MessageFrame`). The remaining content
  /// of the buffer is ignored.
  func send(_ frame: inout ByteBuffer)
  /// Whether most of the earlier output has been sent. After it was false, call
  /// `LinkSession.writable` once it is true again.
  var isWritable: Bool { get }
  /// All bytes received over the connection: they show that the router is alive.
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
    /// Ends the stream with this status, after all earlier output.
    case end(StatusCode, String)
  }

  /// What a Hello led to, for the log.
  package enum Greeting: Sendable, Equatable {
    case accepted(router: String, newMap: Bool)
    case refused(router: String, reason: String)
  }

  package let lane: LinkLane
  package internal(set) var phase = Phase.awaitingHello
  /// The result of the latest frame's Hello; taken by the driver.
  package var greeting: Greeting?
  unowned let core: ShardCore
  private weak var port: (any LinkPort)?
  /// The link that the connection is a part of; nil before Hello and after the end.
  var peer: RouterSession?
  /// The frame under construction, with space in front (`MessageFrame`).
  var output = ByteBuffer()
  private var isWorking = false
  /// Received calls that wait until the router has read its replies.
  private var held: [HeldCalls] = []
  /// Slots of calls that were returned: later ones on them are returned as well, until the router
  /// has placed the first of them again.
  var barredSlots: Set<Int> = []
  /// Replies that wait at the gate; nil until the first one.
  private var heldReplies: HeldReplies?
  let slices = SliceQueue()
  /// A frame reveals state that isn't durable yet (the slot map): it waits, and so does everything
  /// after it.
  private var waitsForState = false
  /// The received bytes at the latest check of the connection, and the number of checks without
  /// progress.
  private var bytesSeen = 0
  private var silentLooks = 0

  /// The rest of a frame.
  private struct HeldCalls {
    var frame: ByteBuffer
    var controls: FrameControls
  }

  /// - Parameters:
  ///   - lane: as the connection's metadata names it.
  ///   - port: sends frames.
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
  /// - Parameter block: the block that contains the frame, if it may be kept.
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

  /// The port accepts frames again.
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

  /// The connection is lost, or the router ends the stream. Work in progress of the link is
  /// dropped.
  package func lost() {
    leave()
  }

  /// The frame that informs a router that the shard is stopping, sent over the calls lane; nil if
  /// no router is connected. Earlier calls still get their replies.
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

  // MARK: - Keep-alive

  /// Checks whether anything has arrived since the last check. Returns whether the router counts as
  /// lost.
  func looksSilent() -> Bool {
    let bytes = port?.bytesReceived ?? bytesSeen
    silentLooks = bytes == bytesSeen ? silentLooks + 1 : 0
    bytesSeen = bytes
    return silentLooks >= LinkProtocol.silentLooksMax
  }

  /// Closes a connection whose router is lost: nothing more of it is executed.
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

  /// Whether calls of earlier frames wait. Later ones must wait after them.
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

  /// The caller of a call disconnected; the call may be in progress or not read yet.
  func cancel(_ id: UInt64, _ controls: inout FrameControls) {
    controls.cancelled.insert(id)
    for place in held.indices { held[place].controls.cancelled.insert(id) }
    peer?.cancel(id)
  }

  // MARK: - Frames out

  var isWritable: Bool { !waitsForState && port?.isWritable ?? false }

  /// The written bytes reveal the shard's state: they are sent once that is durable. Call
  /// `writable` after `stateIsDurable`.
  func tellsOfState() {
    if core.isStatePending { waitsForState = true }
  }

  /// What is written, and not sent before the shard's state is durable; nil: nothing waits for
  /// that.
  package var heldForState: ByteBuffer? { waitsForState ? output : nil }

  /// All state is durable.
  func stateIsDurable() {
    guard waitsForState else { return }
    waitsForState = false
    flushUnlessWorking()
  }

  /// Appends to the frame under construction, or sends a separate frame between two frames. One
  /// call may cause the replies of many (calls that waited for its value, calls of a lost slot), so
  /// a large frame is sent early.
  func emit(_ write: (inout ByteBuffer) -> Void) {
    write(&output)
    if !isWorking || output.readableBytes >= LinkProtocol.frameBytes { flush() }
  }

  func flushUnlessWorking() {
    if !isWorking { flush() }
  }

  /// Holds the reply of a call just executed, which begins at `start` of the frame under
  /// construction, if it reveals a change that isn't committed.
  @inline(__always)
  func passGate(_ id: UInt64, _ method: UInt32, since start: Int, _ core: ShardCore) {
    if core.gate.holds(core.latestMark) { hold(id, method, since: start) }
  }

  @inline(never)
  private func hold(_ id: UInt64, _ method: UInt32, since start: Int) {
    let replies = heldReplies ?? HeldReplies(of: self, core: core)
    heldReplies = replies
    replies.take(from: &output, since: start, id: id, method: method)
  }

  /// Their callers have disconnected.
  func dropHeldReplies() {
    heldReplies?.drop()
  }

  func flush() {
    guard output.readableBytes > 0, !waitsForState else { return }
    port?.send(&output)
    // The memory is kept, unless a frame of many or large replies has enlarged it.
    if output.capacity > Self.retainedBytesMax { output = ByteBuffer() }
    MessageFrame.leaveRoom(in: &output)
  }

  /// The capacity that the buffer for frames may keep.
  private static let retainedBytesMax = 64 << 10
}
