// The source of a large reply's bytes: memory of the store, kept as it was when the call was
// executed, and encoded only up to the next piece.

import NIOCore
import RingstoreAPI
import Store

/// The next piece of a source.
package struct ReplyPiece: Equatable {
  package let byteCount: Int
  package let isLast: Bool

  package init(byteCount: Int, isLast: Bool) {
    self.byteCount = byteCount
    self.isLast = isLast
  }
}

extension CallError {
  /// A value was removed, and its caller does not get it: an error that means "nothing has
  /// happened" would be wrong.
  static var poppedAndExpired: CallError {
    CallError(
      .outcomeUnknown,
      "The value was removed from its key, but its reply was held for too long and is lost.")
  }
}

/// A reply that is made piece by piece. Belongs to the event loop; it keeps its memory pinned until
/// it is freed.
package protocol ReplySource: AnyObject {
  /// Whether the pieces together are one message; otherwise each of them is one.
  var isOneMessage: Bool { get }
  /// How the call ends if the memory has to be abandoned before the last piece is sent.
  var expiry: CallError { get }
  /// Bytes of the whole reply; nil before it is measured. Without meaning if the pieces are
  /// messages.
  var byteCount: Int? { get }
  /// Continues to measure, a bounded amount of work. Returns whether that is done.
  func measure() -> Bool
  /// Returns what the next piece will be. Called once before each `write`.
  ///
  /// - Parameter bytesMax: the most bytes of a piece; a message that can't be cut may be longer.
  func plan(upTo bytesMax: Int) throws(CallError) -> ReplyPiece
  /// Appends exactly the piece that was planned.
  func write(into buffer: inout ByteBuffer)
}

/// A `Value` around bytes of the store, possibly as the `previous` of a `Status`.
package final class ValueSource: ReplySource {
  package let isOneMessage = true
  package let expiry: CallError
  package var byteCount: Int? { total }

  private let value: Store.PinnedBytes
  /// The part of the value in the reply.
  private let range: Range<Int>
  private let total: Int
  /// The fields before the value's bytes, then those after them.
  private var fields = ByteBuffer()
  private var fieldsBehind = ByteBuffer()
  private var valueBytesSent = 0
  private var sent = 0
  private var planned = 0

  /// - Parameters:
  ///   - range: the part of the value in the reply; nil: all of it.
  ///   - version: the version in the reply; nil: that of the value.
  ///   - ttlMillis: the rest of the key's time to live; nil: it doesn't expire.
  ///   - isPopped: the value is one that the key has no more.
  ///   - key: the key in the reply; empty: none.
  ///   - status: the Status whose `previous` is the value.
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

/// A reply that its command has encoded; it uses no memory of the store.
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
