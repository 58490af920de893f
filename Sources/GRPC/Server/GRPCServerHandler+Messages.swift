// Messages of clients: from a stream's bytes to the service, and the window that admits more of
// them.
//
// Three kinds of bytes are held for a client, and each has its limit:
// - unfinished messages, refused past `maxBufferedBytes`;
// - messages longer than the stream's window, which are admitted one after another while those
//   being received add up to `maxLargeMessageBytes` at most. The others get no window; none is
//   refused (see GRPCServerHandler+LargeMessages.swift);
// - what paused or held calls have not consumed: a stream's window each, and together
//   `maxParkedBytes` beyond the connection's window (see `HTTP2Session.park`).

import HTTP2
import LargeMemory
import NIOCore

extension GRPCServerHandler {
  func deliver(_ call: ServerCall, _ stream: HTTP2Stream) {
    if call.deadlineNanos != nil, !call.state.isDelivering, endIfExpired(call) { return }
    switch call.kind {
    case .unary: deliverUnary(call, stream)
    case .streaming: deliverStreaming(call, stream)
    }
  }

  private func deliverUnary(_ call: ServerCall, _ stream: HTTP2Stream) {
    guard call.state.takesMessage else { return }
    if call.state.isGathering { return gather(call) }
    // A unary message is collected in the stream's own buffer, which is bounded by the message's
    // length. A large message has its own block.
    let check = stream.inbound.withUnsafeReadableBytes {
      UnaryFraming.check(
        $0, isEnded: stream.remoteEnded, limit: configuration.maxMessageBytes,
        acceptsCompressed: call.acceptsCompressed)
    }
    switch check {
    case .incomplete(let announcedBytes):
      if announcedBytes > configuration.streamWindowBytes, !admit(call, announcedBytes) {
        session.park(stream)
      } else if announcedBytes >= LargeBlock.bytesMin {
        call.state.gather()
        return gather(call)
      } else {
        let admitted = call.largeMessage.admitted
        if admitted > 0 { stream.inbound.reserveCapacity(admitted) }
        session.consume(stream, stream.unconsumed)
      }
      // What was not consumed is bounded by its windows.
      account(call, buffered: stream.inbound.readableBytes - stream.unconsumed)
    case .failed(let status):
      session.consume(stream, stream.unconsumed)
      reject(call, status)
    case .complete where session.outboundBytes > configuration.holdBytes:
      // The call began before so much waited: clients may send many headers and then many bodies.
      hold(call)
    case .complete:
      session.consume(stream, stream.unconsumed)
      // The stream doesn't return to the pool meanwhile, and its client has ended: the buffer
      // stays.
      stream.inbound.withUnsafeReadableBytes {
        hand(call, UnsafeRawBufferPointer(rebasing: $0[MessageFrame.prefixBytes...]))
      }
      // The reply may take long, and the request isn't needed for it.
      Self.release(&stream.inbound)
      if call.bytes.request > 0 { noteInbound(call) }
      if call.largeMessage.admitted > 0 { dismiss(call) }
    }
  }

  /// Gives the service the message of a unary call.
  func hand(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    if call.extras != nil, MessageFrame.isCompressed(message) {
      return handInflated(call, message)
    }
    tally.received()
    call.state.introduce()
    call.state.halfClose()
    call.state.beginDelivery()
    service.unary(call, message: message)
    call.state.endDelivery()
  }

  private func deliverStreaming(_ call: ServerCall, _ stream: HTTP2Stream) {
    guard !call.state.isDelivering else { return }
    guard !call.state.isReadingPaused else {
      session.park(stream)
      return noteInbound(call)
    }
    call.state.beginDelivery()
    // The service may do anything to the stream meanwhile, so the bytes are taken out of it.
    var chunk = ByteBuffer()
    swap(&chunk, &stream.inbound)
    var failure: RPCStatus?
    var delivered = 0
    chunk.readWithUnsafeReadableBytes { bytes -> Int in
      var rest = bytes
      do throws(MessageFramingError) {
        while call.isOpen, !call.state.isReadingPaused, failure == nil,
          let message = try call.deframer.next(&rest)
        {
          delivered += 1
          if call.extras != nil, MessageFrame.isCompressed(message) {
            failure = try deliverInflated(call, message)
          } else {
            service.stream(call, received: message)
          }
        }
      } catch {
        failure = error.status(limit: configuration.maxMessageBytes)
      }
      return bytes.count - rest.count
    }
    call.state.endDelivery()
    if delivered > 0 {
      // The rest belongs to another message.
      tally.received(delivered)
      call.inboundProgress.restart()
      if call.largeMessage.admitted > 0 { dismiss(call) }
    }
    takeIn(call, left: chunk.readableBytes)
    returnWindow(&chunk, to: stream)
    if stream.isClosed || !call.isOpen { return }
    if let failure { return reject(call, failure) }
    account(call, buffered: call.deframer.bufferedBytes)
    halfCloseIfDone(call)
  }

  /// Gives window for what a streaming call consumed, part of a message included, unless that is a
  /// large one that has to wait.
  ///
  /// - Parameter left: bytes that were not consumed, because the call is paused or has ended.
  private func takeIn(_ call: ServerCall, left: Int) {
    let stream = call.stream
    var withheld = 0
    let announcedBytes = call.isOpen ? call.deframer.announcedBytes : 0
    if announcedBytes > configuration.streamWindowBytes {
      if admit(call, announcedBytes) {
        call.deframer.reserveAnnounced()
      } else {
        withheld = call.deframer.bufferedBytes
      }
    } else if announcedBytes >= LargeBlock.bytesMin {
      call.deframer.reserveAnnounced()
    }
    session.consume(stream, stream.unconsumed - left - withheld)
    if left > 0 || withheld > 0 { session.park(stream) }
  }

  private func halfCloseIfDone(_ call: ServerCall) {
    let stream = call.stream
    guard call.isOpen, !call.state.isReadingPaused, stream.remoteEnded, !call.state.isHalfClosed,
      stream.inbound.readableBytes == 0
    else { return }
    call.state.halfClose()
    do throws(MessageFramingError) {
      try call.deframer.finish()
    } catch {
      reject(call, error.status(limit: configuration.maxMessageBytes))
      return
    }
    service.streamHalfClosed(call)
  }

  /// Puts back what was not consumed, and keeps the memory if it is small.
  private func returnWindow(_ chunk: inout ByteBuffer, to stream: HTTP2Stream) {
    if stream.discardsInbound || stream.isClosed { return }
    if chunk.readableBytes == 0 { Self.release(&chunk) }
    if stream.inbound.readableBytes > 0 {
      chunk.writeBuffer(&stream.inbound)
    }
    swap(&chunk, &stream.inbound)
  }

  /// Empties a buffer, and frees it if it is large: long calls must not each keep the memory of
  /// their largest message.
  static func release(_ buffer: inout ByteBuffer) {
    if buffer.capacity > ServerConfiguration.retainedInboundBytes {
      buffer = ByteBuffer()
    } else {
      buffer.clear()
    }
  }

  /// Updates the connection's sum of unfinished messages, and enforces its limit.
  func account(_ call: ServerCall, buffered: Int) {
    noteInbound(call)
    // Large messages that were admitted have their own limit.
    let counted = call.largeMessage.admitted > 0 ? 0 : buffered
    callBytes.setUnfinished(counted, of: &call.bytes)
    if callBytes.unfinished > configuration.maxBufferedBytes, call.isOpen {
      reject(call, RPCStatus(.resourceExhausted, "too many unfinished messages"))
    }
  }

  // MARK: - Pauses

  func readingResumed(_ call: ServerCall) {
    resumedCalls.append(call)
    needsFlush()
  }

  func deliverResumed() {
    guard !resumedCalls.isEmpty else { return }
    // Those that are resumed meanwhile are for the next time. A call that is over, or another one
    // by now, is served no worse for a second look.
    for _ in 0..<resumedCalls.count {
      guard let call = resumedCalls.popFirst(), call.isOpen, call.handler === self else { continue }
      deliver(call, call.stream)
      if call.stream.isClosed { streamClosed(call) }
    }
  }
}
