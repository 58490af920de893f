// Handles events of a call's stream: headers, messages, the end. The HTTP/2 session only marks it
// as touched; here the stream's state is read and processed.

import HTTP2
import NIOCore

extension ClientConnection {
  /// Acts on everything that is new on a stream. May be called once too often.
  func touched(_ stream: HTTP2Stream) {
    guard let call = stream.context as? ClientCall else { return }
    if !call.isEnded { advance(call, stream) }
    if call.isBlocked, !call.isEnded { tellIfDrained(call, stream) }
    guard stream.isClosed else { return }
    if !call.slotReleased {
      call.slotReleased = true
      streamReleased()
    }
    // A paused call may still have messages to deliver out of a stream that is over.
    if call.isEnded {
      stream.context = nil
      session.recycle(stream)
    }
  }

  private func tellIfDrained(_ call: ClientCall, _ stream: HTTP2Stream) {
    guard stream.outboundBytes <= configuration.outboundLowWaterBytes else { return }
    call.isBlocked = false
    call.handler?.callWritable(call)
  }

  private func advance(_ call: ClientCall, _ stream: HTTP2Stream) {
    if !call.headersSeen, stream.headersReceived {
      call.headersSeen = true
      guard acceptHeaders(call, stream) else { return }
    }
    // After the connection is lost a paused call would never be resumed. A complete reply is still
    // valid, so its rest is delivered at once.
    let isWhole = stream.remoteEnded && call.headersSeen
    if let error = deliver(call, stream, evenIfPaused: isClosed && isWhole) {
      end(call, error.status(limit: configuration.maxMessageBytes), processed: .maybe)
      return
    }
    if call.isEnded { return }
    if isWhole {
      finishByPeer(call, stream)
    } else if stream.isClosed || isClosed {
      finishByReset(call, stream)
    }
  }

  /// Returns false if the call ended by its headers.
  private func acceptHeaders(_ call: ClientCall, _ stream: HTTP2Stream) -> Bool {
    if stream.headersTooLarge {
      end(call, RPCStatus(.internal, "response headers are too large"), processed: .maybe)
      return false
    }
    if let refusal = StatusMapping.refusal(ofResponse: stream.headers) {
      // A response with a gRPC status is accepted, even if other parts of it are unusual.
      let status = StatusMapping.status(of: stream.headers) ?? refusal
      end(call, status.isOK ? refusal : status, processed: .yes)
      return false
    }
    // In a Trailers-Only response the one block there is counts as trailers.
    let isTrailersOnly = stream.remoteEnded && !stream.trailersReceived
    if !isTrailersOnly, let handler = call.handler, handler.wantsMetadata {
      handler.call(call, initialMetadata: Self.metadata(of: stream.headers))
    }
    return !call.isEnded
  }

  /// Delivers the complete messages, unless the call is paused, and gives credit for the bytes
  /// read. Handlers may do anything meanwhile, so the buffer is removed from the stream first.
  private func deliver(
    _ call: ClientCall, _ stream: HTTP2Stream, evenIfPaused: Bool
  ) -> MessageFramingError? {
    guard stream.inbound.readableBytes > 0, let handler = call.handler else { return nil }
    if call.isPaused, !evenIfPaused {
      session.park(stream)
      return nil
    }
    var inbound = ByteBuffer()
    swap(&inbound, &stream.inbound)
    var failure: MessageFramingError?
    let limit = configuration.maxMessageBytes
    let acceptsGzip = configuration.acceptsGzip
    inbound.readWithUnsafeReadableBytes { bytes in
      var rest = bytes
      do throws(MessageFramingError) {
        while !call.isEnded, evenIfPaused || !(call.isPaused || isClosed),
          let message = try MessageFrame.next(
            in: &rest, limit: limit, acceptsCompressed: acceptsGzip)
        {
          if acceptsGzip, MessageFrame.isCompressed(message) {
            try deliverInflated(message, call, stream, handler)
          } else {
            handler.call(call, received: message)
          }
        }
      } catch {
        failure = error
      }
      return bytes.count - rest.count
    }
    guard call.stream === stream, failure == nil else { return failure }
    let left = inbound.readableBytes
    keep(&inbound, for: stream)
    // Part of a message counts as read: it is limited by the maximum message, and withholding its
    // credit could stall a message longer than the window. Bytes that wait in a pause don't count.
    session.consume(stream, call.isPaused ? stream.unconsumed - left : stream.unconsumed)
    if call.isPaused { session.park(stream) }
    return nil
  }

  /// - Throws: if the peer has not announced gzip, or the message isn't gzip, or is too long.
  private func deliverInflated(
    _ message: UnsafeRawBufferPointer, _ call: ClientCall, _ stream: HTTP2Stream,
    _ handler: any ClientCallHandler
  ) throws(MessageFramingError) {
    guard stream.headers.first("grpc-encoding")?.elementsEqual("gzip".utf8) == true else {
      throw .compressedWithoutEncoding
    }
    let inflated = try gzip.inflate(message, limit: configuration.maxMessageBytes)
    call.compressedMessages += 1
    inflated.withUnsafeReadableBytes { handler.call(call, received: $0) }
  }

  /// Returns the buffer to its stream, with the unread bytes, and limits its size.
  private func keep(_ inbound: inout ByteBuffer, for stream: HTTP2Stream) {
    if inbound.readableBytes == 0 {
      // The memory of a large message isn't kept as long as a link exists.
      if inbound.capacity > ClientConfiguration.retainedInboundBytes {
        inbound = ByteBuffer()
      } else {
        inbound.clear()
      }
    } else if inbound.readerIndex > 0 {
      inbound.discardReadBytes()
    }
    // The length of a large message is known long before it is complete: memory for all of it is
    // reserved now, so it isn't moved while it grows. The memory is used only as the bytes arrive.
    if inbound.readableBytes >= ClientConfiguration.reserveFromBytes {
      let announced = inbound.withUnsafeReadableBytes {
        (try? MessageFrame.length(
          $0, limit: configuration.maxMessageBytes, acceptsCompressed: configuration.acceptsGzip))
          ?? 0
      }
      inbound.reserveCapacity(announced + MessageFrame.prefixBytes)
    }
    stream.inbound = inbound
  }

  /// The peer ended its side: its status ends the call, once every message is delivered.
  private func finishByPeer(_ call: ClientCall, _ stream: HTTP2Stream) {
    let isTruncated = stream.inbound.readableBytes > 0
    if isTruncated, call.isPaused, !isClosed { return }
    let block = stream.trailersReceived ? stream.trailers : stream.headers
    if stream.headersTooLarge {
      end(call, RPCStatus(.internal, "response trailers are too large"), processed: .maybe)
      return
    }
    let status = StatusMapping.status(of: block)
    // A server that fails within a message sends an error; only OK, or no status, would be wrong.
    if isTruncated, status?.isOK ?? true {
      let error = MessageFramingError.truncatedAtEnd
      end(call, error.status(limit: configuration.maxMessageBytes), processed: .yes)
      return
    }
    if let handler = call.handler, handler.wantsMetadata {
      handler.call(call, trailingMetadata: Self.metadata(of: block))
    }
    if let status {
      end(call, status, processed: .yes)
    } else {
      end(call, RPCStatus(.unknown, "the peer ended the call without a status"), processed: .maybe)
    }
  }

  /// The stream has ended without a status: reset by the peer, above GOAWAY's last id, or the
  /// connection is lost.
  private func finishByReset(_ call: ClientCall, _ stream: HTTP2Stream) {
    if !stream.headersSent {
      end(call, RPCStatus(.unavailable, lossDescription), processed: .no)
    } else if stream.closeCode == .refusedStream {
      // After a reply the peer can't claim that it did nothing.
      end(
        call, StatusMapping.status(forReset: .refusedStream),
        processed: stream.headersReceived ? .maybe : .no)
    } else if session.failure != nil {
      end(call, RPCStatus(.unavailable, lossDescription), processed: .maybe)
    } else {
      end(call, StatusMapping.status(forReset: stream.closeCode), processed: .maybe)
    }
  }

  private static func metadata(of block: HeaderBlock) -> Metadata {
    var metadata = Metadata()
    for index in 0..<block.count {
      metadata.addReceived(name: block.name(at: index), value: block.value(at: index))
    }
    return metadata
  }
}
