// Where the bytes of a large reply come from: memory of the store that is held as it was when the
// call was executed, encoded no further than the next piece.

import NIOCore
import RingstoreAPI
import Store

/// What comes next out of a source.
package struct ReplyPiece: Equatable {
  package let byteCount: Int
  package let isLast: Bool

  package init(byteCount: Int, isLast: Bool) {
    self.byteCount = byteCount
    self.isLast = isLast
  }
}

extension CallError {
  /// A value was taken, and its caller does not get it: no error that stands for "nothing
  /// has happened" would be true.
  static var poppedAndExpired: CallError {
    CallError(
      .outcomeUnknown,
      "The value was removed from its key, but its reply was held for too long and is lost.")
  }
}

/// A reply that is made piece by piece. Belongs to the event loop; its memory is pinned while it
/// lives.
package protocol ReplySource: AnyObject {
  /// Whether the pieces together are one message; otherwise each of them is one.
  var isOneMessage: Bool { get }
  /// How the call ends if the memory has to be abandoned before the last piece is sent.
  var expiry: CallError { get }
  /// Bytes of the whole; nil before it is measured. Means nothing where pieces are messages.
  var byteCount: Int? { get }
  /// Goes on measuring, a bounded amount of work. Returns whether that is done.
  func measure() -> Bool
  /// Says what the next piece will be. Asked once before each `write`.
  ///
  /// - Parameter bytesMax: the most bytes of a piece; a message that can't be cut may be longer.
  func plan(upTo bytesMax: Int) throws(CallError) -> ReplyPiece
  /// Appends exactly the piece that was planned.
  func write(into buffer: inout ByteBuffer)
}

/// A `Value` around bytes that the store holds, perhaps as the `previous` of a `Status`.
package final class ValueSource: ReplySource {
  package let isOneMessage = true
  package let expiry: CallError
  package var byteCount: Int? { total }

  private let value: Store.PinnedBytes
  /// The part of the value that is answered.
  private let range: Range<Int>
  private let total: Int
  /// The fields before the value's bytes, then those behind them.
  private var fields = ByteBuffer()
  private var fieldsBehind = ByteBuffer()
  private var valueBytesSent = 0
  private var sent = 0
  private var planned = 0

  /// - Parameters:
  ///   - range: the part of the value that is answered; nil: all of it.
  ///   - version: what is answered for it; nil: that of the value.
  ///   - ttlMillis: what is left of the key's time to live; nil: it doesn't expire.
  ///   - isPopped: the value is one that the key has no more.
  ///   - key: what the reply names; empty: nothing.
  ///   - status: what the value is the `previous` of.
  init(
    _ value: Store.PinnedBytes, _ range: Range<Int>? = nil, version: UInt64? = nil,
    ttlMillis: Int64? = nil, isPopped: Bool, key: UnsafeRawBufferPointer = noBytes,
    previousOf status: V1.Status? = nil
  ) {
    self.value = value
    let range = range ?? 0..<value.count
    self.range = range
    expiry = isPopped ? .poppedAndExpired : .viewExpired
    V1.Value(
      found: true, version: version ?? value.version, ttlMillis: ttlMillis, key: key
    )
    .write(into: &fieldsBehind)
    if let status {
      status.write(into: &fields)
      let field = V1.Value.Field.value.number
      fields.writeHead(
        of: V1.Status.Field.previous,
        count: WireSize.bytesField(field, count: range.count) + fieldsBehind.readableBytes)
    }
    fields.writeHead(of: V1.Value.Field.value, count: range.count)
    total = fields.readableBytes + range.count + fieldsBehind.readableBytes
  }

  package func measure() -> Bool { true }

  package func plan(upTo bytesMax: Int) -> ReplyPiece {
    planned = min(total - sent, bytesMax)
    return ReplyPiece(byteCount: planned, isLast: sent + planned == total)
  }

  package func write(into buffer: inout ByteBuffer) {
    var room = planned
    sent += planned
    room -= move(upTo: room, into: &buffer)
    guard valueBytesSent < range.count, room > 0 else { return }
    let start = range.lowerBound + valueBytesSent
    let count = min(room, range.upperBound - start)
    value.withBytes(start..<start + count) { _ = buffer.writeBytes($0) }
    valueBytesSent += count
    guard valueBytesSent == range.count else { return }
    fields = fieldsBehind
    _ = move(upTo: room - count, into: &buffer)
  }

  private func move(upTo room: Int, into buffer: inout ByteBuffer) -> Int {
    guard var part = fields.readSlice(length: min(room, fields.readableBytes)) else { return 0 }
    return buffer.writeBuffer(&part)
  }
}

/// A reply that its command has encoded; it holds nothing of the store.
package final class BytesSource: ReplySource {
  package let isOneMessage = true
  package let expiry = CallError.viewExpired
  package let byteCount: Int?
  private var bytes: ByteBuffer
  private var planned = 0

  init(_ bytes: ByteBuffer) {
    self.bytes = bytes
    byteCount = bytes.readableBytes
  }

  package func measure() -> Bool { true }

  package func plan(upTo bytesMax: Int) -> ReplyPiece {
    planned = min(bytes.readableBytes, bytesMax)
    return ReplyPiece(byteCount: planned, isLast: planned == bytes.readableBytes)
  }

  package func write(into buffer: inout ByteBuffer) {
    guard var piece = bytes.readSlice(length: planned) else { return }
    buffer.writeBuffer(&piece)
  }
}
