// The memory that the node holds for this client. It is counted where it changes, and added to the
// loop's account at the end of each flush: a flush follows each read and each reply.

import HTTP2
import NIOCore

extension GRPCServerHandler {
  private var heldBytes: Int {
    session.outboundBytes + writer.queuedBytes + callBytes.request + session.largeHeaderBytes
      + session.liveStreamCount * ClientMemory.streamBytes
  }

  /// Keeps the sum of what calls hold of their requests, until the service has them.
  func noteInbound(_ call: ServerCall) {
    guard call.isOpen else { return }
    let bytes = call.stream.inbound.readableBytes + call.deframer.filledBytes
    callBytes.setRequest(bytes, of: &call.bytes)
  }

  /// Adds what has changed to the loop's account. This may end connections, this one included:
  /// don't use it afterwards.
  func accountMemory() {
    let held = isLink ? 0 : heldBytes
    guard held != charge.bytes else { return }
    setCharge(held)
    if loop.clientMemory.isOver || held > loop.clientMemory.connectionBytesMax {
      loop.clientMemory.relieve(after: self)
    }
  }

  private func setCharge(_ bytes: Int) {
    loop.clientMemory.charge(charge.set(bytes))
  }

  /// The charge as it is at a sweep: there is no event when a socket has accepted the last of what
  /// waited for it.
  func renewCharge() {
    guard ending.isOpen else { return chargeRest() }
    setCharge(isLink ? 0 : heldBytes)
    charge.beginPeriod()
  }

  /// Calls are over: what the socket has yet to take is all that is held, and nothing once the
  /// connection is gone.
  func chargeRest() {
    setCharge(isLink || ending.isGone ? 0 : writer.queuedBytes)
  }

  /// Whether the client already holds so much of a scarce resource that it gets no more.
  var isRefusedForMemory: Bool {
    loop.clientMemory.isTight && loop.clientMemory.isMuch(charge.bytes)
  }
}
