// The field of a request that says how long its call may wait: for a router, which may send the
// call to another shard after part of that time, and reads nothing else of the request. A value;
// any thread.

import NIOCore

@usableFromInline
package struct WaitField: Sendable {
  private let field: UIntField

  init(_ field: UIntField) { self.field = field }

  /// The milliseconds that a request names; 0 if it can't be decoded. O(number of fields).
  package func millis(in request: UnsafeRawBufferPointer) -> UInt32 {
    var (millis, reader) = (UInt32(0), WireReader(request))
    do throws(WireError) {
      while let tag = try reader.nextTag() {
        if tag.rawValue == WireTag.varint(field.number).rawValue {
          millis = try reader.readUInt32()
        } else {
          try reader.skip(tag)
        }
      }
      return millis
    } catch {
      return 0
    }
  }

  /// Appends another wait to a request, above 0: the last value of a field counts.
  package func write(_ millis: UInt32, into request: inout ByteBuffer) {
    request.write(field, UInt64(millis))
  }
}

extension V1.PopRequest {
  @usableFromInline
  package static var waitField: WaitField? { WaitField(Field.waitMillis) }
}

extension V1.ListMoveRequest {
  @usableFromInline
  package static var waitField: WaitField? { WaitField(Field.waitMillis) }
}
