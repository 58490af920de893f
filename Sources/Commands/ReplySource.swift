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
  /// A pop took effect, and its caller does not get the element: no error that stands for "nothing
  /// has happened" would be true.
  static var poppedAndExpired: CallError {
    CallError(
      .outcomeUnknown,
      "The element was removed from the list, but the reply was held for too long and is gone.")
  }
}

/// A reply that is made piece by piece. Belongs to the event loop; its memory is pinned while it
/// lives.
package protocol ReplySource: AnyObject {
  /// Whether the pieces together are one message; otherwise each of them is one.
  var isOneMessage: Bool { get }
  /// How the call ends if the memory has to be given up before the last piece is sent.
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

/// A `Value` around bytes that the store holds.
package final class ValueSource: ReplySource {
  package let isOneMessage = true
  package let expiry: CallError
  package var byteCount: Int? { total }

  private let value: Store.PinnedBytes
  private let ttlMillis: Int64?
  private let total: Int
  /// The fields before the value's bytes, then those behind them.
  private var fields = ByteBuffer()
  private var valueBytesLeft: Int
  private var sent = 0
  private var planned = 0

  /// - Parameters:
  ///   - ttlMillis: what is left of the key's time to live; nil: it doesn't expire.
  ///   - isPopped: the value is an element that the list has no more.
  init(_ value: Store.PinnedBytes, ttlMillis: Int64? = nil, isPopped: Bool) {
    self.value = value
    self.ttlMillis = ttlMillis
    expiry = isPopped ? .poppedAndExpired : .viewExpired
    total = ReplySizes.value(
      count: value.count, version: value.version, ttlMillis: ttlMillis)
    valueBytesLeft = value.count
    fields.writeHead(of: V1.Value.Field.value, count: value.count)
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
    guard valueBytesLeft > 0, room > 0 else { return }
    let start = value.count - valueBytesLeft
    let count = min(room, valueBytesLeft)
    value.withBytes(start..<start + count) { _ = buffer.writeBytes($0) }
    valueBytesLeft -= count
    guard valueBytesLeft == 0 else { return }
    fields.clear()
    V1.Value(found: true, version: value.version, ttlMillis: ttlMillis).write(into: &fields)
    _ = move(upTo: room - count, into: &buffer)
  }

  private func move(upTo room: Int, into buffer: inout ByteBuffer) -> Int {
    guard var part = fields.readSlice(length: min(room, fields.readableBytes)) else { return 0 }
    return buffer.writeBuffer(&part)
  }
}
