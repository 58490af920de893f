// From the library's queues to the owner's buffer. Bodies are copied once: from the stream's
// outbound buffer, or from the pieces that were handed over, into the output, after a frame header
// that nghttp2 makes.

internal import CNGHTTP2
import NIOCore

extension HTTP2Session {
  /// Appends frames that are ready to `buffer`, until nothing is ready or the buffer has reached
  /// `limit` bytes (it can exceed it by one frame). This can end streams: process the touched
  /// streams afterwards.
  ///
  /// Call it only while the socket accepts bytes. Then the output for a slow reader stays in the
  /// streams' outbound buffers, where the owner can limit it.
  ///
  /// - Returns: whether the limit stopped it, so that more can be had at once.
  @discardableResult
  package func writePending(into buffer: inout ByteBuffer, limit: Int = 1 << 20) -> Bool {
    guard failure == nil, enterLibrary() else { return false }
    if connectionCredit > 0 {
      nghttp2_session_consume_connection(handle, connectionCredit)
      connectionCredit = 0
    }
    outputLimit = limit
    swap(&buffer, &output)
    var stopped = false
    var code = 0
    while !isTerminated {
      if output.readableBytes >= limit {
        stopped = true
        break
      }
      var bytes: UnsafePointer<UInt8>?
      code = CNGHTTP2_mem_send(handle, &bytes)
      if code > 0 {
        output.append(UnsafeRawBufferPointer(start: bytes, count: code))
      } else if code < 0 || output.readableBytes < limit {
        break
      }
    }
    swap(&buffer, &output)
    isInsideLibrary = false
    if code < 0 {
      fail(.nghttp2(describe(Int32(truncatingIfNeeded: code))))
    }
    return stopped
  }

  /// Appends a GOAWAY with a code and a text of the owner, for a session that has failed or that
  /// the library has ended: the library sends no reason or only a code. Clients show the last one
  /// to applications. Nothing may follow it.
  package func writeGoodbye(
    code: HTTP2ErrorCode, debug: StaticString, into buffer: inout ByteBuffer
  ) {
    assert(isFinished, "more may follow")
    let last = failure == nil ? nghttp2_session_get_last_proc_stream_id(handle) : lastPeerStream
    let textBytes = debug.utf8CodeUnitCount
    // RFC 9113 sections 4.1 and 6.8: 24 bits of length, type, flags, stream 0; the last stream, the
    // code, the text. (Frames before it are whole: the library hands out no parts of any.)
    buffer.writeInteger(UInt32(8 + textBytes) << 8 | UInt32(NGHTTP2_GOAWAY.rawValue))
    buffer.writeInteger(UInt8(0))
    buffer.writeInteger(UInt32(0))
    buffer.writeInteger(last)
    buffer.writeInteger(code.rawValue)
    buffer.writeBytes(UnsafeRawBufferPointer(start: debug.utf8Start, count: textBytes))
  }

  /// Returns how many bytes the next DATA frame of a stream gets. Runs inside the library.
  func offerBody(
    of stream: HTTP2Stream, limit: Int, flags: UnsafeMutablePointer<UInt32>
  ) -> Int {
    switch stream.state.nextPart(available: stream.outboundBytes, limit: limit) {
    case .none:
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    case .some(let count):
      flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
      return count
    case .last(let count):
      flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue | NGHTTP2_DATA_FLAG_EOF.rawValue
      return count
    case .lastBeforeTrailers(let count):
      flags.pointee |=
        NGHTTP2_DATA_FLAG_NO_COPY.rawValue | NGHTTP2_DATA_FLAG_EOF.rawValue
        | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
      submitTrailers(of: stream)
      return count
    }
  }

  /// Queues a stream's trailers, after its HEADERS. May run inside the library.
  func submitTrailers(of stream: HTTP2Stream) {
    stream.state.submittedTrailers()
    if let fields = stream.staticTrailers {
      nghttp2_submit_trailer(handle, stream.id, fields.fields, fields.count)
    } else if let block = stream.outboundTrailers {
      let fields = layOut(block)
      nghttp2_submit_trailer(handle, stream.id, fields.baseAddress, fields.count)
    }
  }

  /// Writes one DATA frame. Runs inside the library.
  func appendData(
    of stream: HTTP2Stream, frameHeader: UnsafePointer<UInt8>, length: Int
  ) -> Int32 {
    guard length <= stream.outboundBytes else {
      return Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
    }
    var header = UnsafeRawBufferPointer(start: frameHeader, count: 9)
    var rest = length
    if stream.ahead != nil {
      output.append(header)
      header = UnsafeRawBufferPointer(start: nil, count: 0)
      rest -= movePieces(of: stream, length)
    }
    stream.outbound.readWithUnsafeReadableBytes { bytes in
      output.append(header, UnsafeRawBufferPointer(rebasing: bytes[..<rest]))
      return rest
    }
    stream.bodyBytesSent += length
    bodyBytesSent += length
    // What the owner appended without saying so was never counted.
    let counted = min(length, stream.accountedOutbound)
    stream.accountedOutbound -= counted
    outboundBytes -= counted
    let left = stream.outboundBytes
    if left == 0, stream.outbound.capacity > configuration.retainedOutboundBytes {
      stream.outbound = ByteBuffer()
    }
    if left <= stream.outboundMark {
      stream.outboundMark = -1
      touch(stream)
    }
    // The library would continue to the next DATA frame without a call; a pause makes it call this
    // again.
    return output.readableBytes >= outputLimit ? Int32(NGHTTP2_ERR_PAUSE.rawValue) : 0
  }

  /// Writes up to this many bytes of the pieces that are sent before the stream's outbound buffer.
  /// Returns how many were written.
  private func movePieces(of stream: HTTP2Stream, _ length: Int) -> Int {
    guard var pieces = stream.ahead else { return 0 }
    stream.ahead = nil
    let moved = pieces.move(length, to: &output)
    if pieces.byteCount > 0 { stream.ahead = pieces }
    return moved
  }
}
