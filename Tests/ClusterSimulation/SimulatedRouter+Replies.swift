// What a router's core tells clients: replies in one piece, in many, and streams; and clients that
// take their time to read them.
//
// Owns nothing; what has come of a reply so far is kept with its call.

import NIOCore
import NodeCore
import RingstoreAPI
import RouterNode

extension SimulatedRouter {
  func reply(to caller: SimulatedCall, response: UnsafeRawBufferPointer) {
    saboteur.heard(caller, response)
    deliver(saboteur.drawn(caller) ?? ByteBuffer(bytes: response), to: caller)
  }

  func deliver(_ response: ByteBuffer, to caller: SimulatedCall) {
    if let local = caller.local {
      local.respond(response)
    } else {
      cluster.replied(to: caller, response)
    }
  }

  func fail(_ caller: SimulatedCall, error: CallError) {
    if caller.announcedBytes != nil {
      context.found(.wrongOutcome, "a reply that has begun is failed as if not: \(caller.text)")
    }
    if error.reason == .outcomeUnknown, caller.unparkedEvent == context.eventNumber {
      cluster.probe.checkUnknown(caller)
    }
    let error = saboteur.changed(error, caller)
    if let local = caller.local {
      local.end(.failure(error))
    } else {
      cluster.failed(caller, error)
    }
  }

  // MARK: - Replies in pieces

  func takesPieces(_ caller: SimulatedCall) -> Bool {
    if case .oneKey = caller.kind { return !caller.client.isPipeline }
    return false
  }

  func beginReply(_ caller: SimulatedCall, byteCount: Int) {
    context.cover(.repliedInPieces)
    if caller.announcedBytes != nil {
      context.found(.endedTwice, "a reply has begun twice: \(caller.text)")
    }
    caller.announcedBytes = byteCount
  }

  func appendToReply(_ caller: SimulatedCall, _ piece: UnsafeRawBufferPointer) {
    caller.pieces.writeBytes(piece)
  }

  func finishReply(_ caller: SimulatedCall) {
    if caller.pieces.readableBytes != caller.announcedBytes {
      context.found(.wrongOutcome, "a reply of another length than announced: \(caller.text)")
    }
    caller.pieces.withUnsafeReadableBytes { saboteur.heard(caller, $0) }
    cluster.replied(to: caller, caller.pieces)
  }

  func failReply(_ caller: SimulatedCall, error: CallError) {
    context.cover(.failedInPieces)
    cluster.failed(caller, saboteur.changed(error, caller))
  }

  // MARK: - Streams

  func emit(_ caller: SimulatedCall, message: UnsafeRawBufferPointer) {
    if caller.hasEnded {
      context.found(.endedTwice, "a message after the end of \(caller.text)")
    }
    switch caller.kind {
    case .scan(let walk): walk.addPage(message, cluster)
    case .backup(let backup): backup.add(message)
    default: caller.messages.append(saboteur.mixed(ByteBuffer(bytes: message), caller))
    }
  }

  func finishStream(_ caller: SimulatedCall) {
    context.cover(.streamed)
    saboteur.streamed(caller)
    cluster.replied(to: caller, ByteBuffer())
  }

  // MARK: - Back-pressure

  /// Now and then a client reads nothing for a while.
  func takesMore(_ caller: SimulatedCall, id: UInt64) -> Bool {
    if let local = caller.local {
      return local.isReplyExpected || local.caller?.takesLargeReply(of: local) != false
    }
    guard caller.isReading else { return false }
    guard context.chance(0.15) else { return true }
    context.cover(.slowReader)
    caller.isReading = false
    context.after(context.nanosOfAnyScale(upTo: 500_000_000)) { [unowned self] in
      caller.isReading = true
      core.callerWritable(id)
      eventHandled()
    }
    return false
  }

  func expect(_ byteCount: Int, for caller: SimulatedCall) {
    caller.expectedBytes += byteCount
    if let local = caller.local, byteCount > 0 {
      local.isReplyExpected = true
      local.caller?.expectsLargeReply(of: local, byteCount: byteCount)
    }
    if caller.expectedBytes < 0 {
      context.found(.leak, "fewer bytes are expected than none: \(caller.text)")
    }
  }

  // MARK: - The node

  var counters: [String: Int64] { [:] }

  func endNode() {
    context.found(.unexpectedError, "router \(number) ends without a shutdown")
  }
}
