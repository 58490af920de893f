// Large replies made of a list's elements: one `ListValues` cut into pieces (LRange), and a row of
// `ListValues`, each a part of one view (LRangeStream).

import NIOCore
import RingstoreAPI
import Store

/// Sizes of `ListValues` messages.
enum ListReplySize {
  static func end(_ view: Store.ListView, firstIndex: Int) -> Int {
    message(view, firstIndex: firstIndex).byteCount
  }

  /// The fields after the elements of a part of a view that begins at `firstIndex` of the list.
  static func message(_ view: Store.ListView, firstIndex: Int) -> V1.ListValues {
    V1.ListValues(found: true, length: Int64(view.length), firstIndex: Int64(firstIndex))
  }

  /// Bytes of an element in the message.
  @inline(__always)
  static func element(_ count: Int) -> Int {
    WireSize.bytesField(V1.ListValues.Field.values.number, count: count)
  }

  /// The lower and upper limit of the size of the whole message. O(1), so a list of a million
  /// elements is refused or accepted without a look at each of them.
  ///
  /// Each element has a tag and a length before it. The length has one byte, and one more for each
  /// power of 128 that the element reaches; of elements that reach n bytes there are at most
  /// byteCount / n.
  static func bounds(_ view: Store.ListView) -> ClosedRange<Int> {
    let least = view.byteCount + 2 * view.count + end(view, firstIndex: view.firstIndex)
    var most = least
    var reached = 128
    while reached <= view.byteCount {
      most += min(view.count, view.byteCount / reached)
      reached *= 128
    }
    return least...most
  }
}

extension ByteBuffer {
  /// The fields after the elements of a part of a view that begins at `firstIndex` of the list.
  mutating func writeListEnd(of view: Store.ListView, firstIndex: Int) {
    ListReplySize.message(view, firstIndex: firstIndex).write(into: &self)
  }
}

/// One `ListValues` of a whole view.
package final class ListMessageSource: ReplySource {
  /// Elements measured at a time.
  private static let elementsPerMeasure = 16_384

  package let isOneMessage = true
  package let expiry: CallError
  private let view: Store.ListView
  private var measured = 0
  private var total = 0
  private var sent = 0
  private var planned = 0
  private var next = 0
  /// Bytes of the element before `next` that are still to be written.
  private var openBytes = 0
  /// Fields that did not fit: an element's tag and length, or those after the last.
  private var fields = ByteBuffer()
  private var hasEnd = false

  /// - Parameter isTaken: the list has these elements no more.
  init(_ view: Store.ListView, isTaken: Bool) {
    self.view = view
    expiry = isTaken ? .poppedAndExpired : .viewExpired
    total = ListReplySize.end(view, firstIndex: view.firstIndex)
  }

  package var byteCount: Int? { measured == view.count ? total : nil }

  package func measure() -> Bool {
    var left = Self.elementsPerMeasure
    var bytes = 0
    let start = measured
    guard start < view.count else { return true }
    view.forEach(from: start) { element in
      bytes += ListReplySize.element(element.count)
      left -= 1
      return left > 0
    }
    total += bytes
    measured = start + Self.elementsPerMeasure - left
    return measured == view.count
  }

  package func plan(upTo bytesMax: Int) -> ReplyPiece {
    planned = min(total - sent, bytesMax)
    return ReplyPiece(byteCount: planned, isLast: sent + planned == total)
  }

  package func write(into buffer: inout ByteBuffer) {
    sent += planned
    fill(&buffer, planned)
  }

  private func fill(_ buffer: inout ByteBuffer, _ byteCount: Int) {
    var room = byteCount
    buffer.reserveCapacity(minimumWritableBytes: room)
    while room > 0 {
      if var part = fields.readSlice(length: min(room, fields.readableBytes)),
        part.readableBytes > 0
      {
        room -= buffer.writeBuffer(&part)
      } else if openBytes > 0 {
        room -= writeOpenElement(upTo: room, into: &buffer)
      } else if next < view.count {
        room -= writeWholeElements(upTo: room, into: &buffer)
        if room > 0, next < view.count { openNextElement() }
      } else {
        assert(!hasEnd, "a list reply is longer than it was measured")
        hasEnd = true
        fields.clear()
        fields.writeListEnd(of: view, firstIndex: view.firstIndex)
      }
    }
  }

  private func writeWholeElements(upTo room: Int, into buffer: inout ByteBuffer) -> Int {
    var left = room
    var place = next
    view.forEach(from: place) { element in
      let size = ListReplySize.element(element.count)
      guard size <= left else { return false }
      buffer.append(V1.ListValues.Field.values, element)
      left -= size
      place += 1
      return true
    }
    next = place
    return room - left
  }

  private func openNextElement() {
    openBytes = view.element(at: next).count
    next += 1
    fields.clear()
    fields.writeHead(of: V1.ListValues.Field.values, count: openBytes)
  }

  private func writeOpenElement(upTo room: Int, into buffer: inout ByteBuffer) -> Int {
    let element = view.element(at: next - 1)
    let start = element.count - openBytes
    let count = min(room, openBytes)
    buffer.writeBytes(UnsafeRawBufferPointer(rebasing: element[start..<start + count]))
    openBytes -= count
    return count
  }
}

/// The elements of a view in messages of about 64 KiB; one that is longer has a message to itself.
package final class ListPartsSource: ReplySource {
  package let isOneMessage = false
  package let expiry = CallError.viewExpired
  package let byteCount: Int? = nil
  private let view: Store.ListView
  private let messageBytesMax: Int
  private var next = 0
  private var plannedEnd = 0

  /// - Parameter messageBytesMax: the longest message that may be sent.
  init(_ view: Store.ListView, messageBytesMax: Int) {
    self.view = view
    self.messageBytesMax = messageBytesMax
  }

  package func measure() -> Bool { true }

  /// - Throws: RESPONSE_TOO_LARGE if a single element exceeds the limit.
  package func plan(upTo bytesMax: Int) throws(CallError) -> ReplyPiece {
    let end = ListReplySize.end(view, firstIndex: view.firstIndex + next)
    let wanted = min(bytesMax, messageBytesMax) - end
    var bytes = 0
    var place = next
    view.forEach(from: next) { element in
      let size = ListReplySize.element(element.count)
      guard bytes == 0 || bytes + size <= wanted else { return false }
      bytes += size
      place += 1
      return bytes < wanted
    }
    guard bytes + end <= messageBytesMax else { throw .responseTooLarge(streamingCall: nil) }
    plannedEnd = place
    return ReplyPiece(byteCount: bytes + end, isLast: place == view.count)
  }

  package func write(into buffer: inout ByteBuffer) {
    var left = plannedEnd - next
    if left > 0 {
      view.forEach(from: next) { element in
        buffer.append(V1.ListValues.Field.values, element)
        left -= 1
        return left > 0
      }
    }
    buffer.writeListEnd(of: view, firstIndex: view.firstIndex + next)
    next = plannedEnd
  }
}
