// The memory that the node holds for this client. It is counted where it changes, and added to the
// loop's account at the end of each flush: a flush follows each read and each reply.

import HTTP2
import LargeMemory
import NIOCore

extension GRPCServerHandler {
  private var heldBytes: Int {
    session.outboundBytes + inboundBytes + session.largeHeaderBytes
      + session.liveStreamCount * ClientMemory.streamBytes
  }

  /// Keeps the sum of what calls hold of their requests, until the service has them.
  func noteInbound(_ call: ServerCall) {
    guard call.isOpen else { return }
    let bytes = call.stream.inbound.readableBytes + call.deframer.filledBytes
    inboundBytes += bytes - call.inboundBytes
    call.inboundBytes = bytes
  }

  /// Adds what has changed to the loop's account. This may end connections, this one included:
  /// don't use it afterwards.
  func accountMemory() {
    let held = isLink ? 0 : heldBytes
    guard held != chargedBytes else { return }
    charge(held)
    if loop.clientMemory.isOver || held > loop.clientMemory.connectionBytesMax {
      loop.relieveMemory(after: self)
    }
  }

  private func charge(_ bytes: Int) {
    loop.clientMemory.change(by: bytes - chargedBytes)
    chargedBytes = bytes
    heldThroughout = min(heldThroughout, bytes)
    if loop.clientMemory.takeFall() { BackgroundRelease.trimSoon() }
  }

  /// Subtracts what was added to the account; call this when the connection has ended.
  func clearCharge() {
    charge(0)
  }

  /// Whether the client already holds so much of a scarce resource that it gets no more.
  var isRefusedForMemory: Bool {
    loop.clientMemory.isTight && loop.clientMemory.isMuch(chargedBytes)
  }
}
