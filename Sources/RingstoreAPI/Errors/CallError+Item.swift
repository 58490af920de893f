// Message Error: one item's or one shard's failure in a reply that is otherwise OK.

import NIOCore
import StatusCodes

extension CallError {
  package init(_ item: V1.Error) {
    let shard = String(decoding: item.shard, as: UTF8.self)
    self.init(
      code: StatusCode(rawValue: item.code) ?? .unknown,
      reason: ErrorReason(rawValue: String(decoding: item.reason, as: UTF8.self)),
      message: String(decoding: item.message, as: UTF8.self), shard: shard.isEmpty ? nil : shard)
    doNotRetry = reason == .outcomeUnknown
  }
}

extension ByteBuffer {
  /// A field that holds message Error.
  package mutating func append(_ field: BytesField, _ error: CallError) {
    let mark = beginLengthDelimited(field, sizeHint: 64)
    write(V1.Error.Field.code, Int64(error.code.rawValue))
    write(V1.Error.Field.message, error.message)
    write(V1.Error.Field.reason, error.reason?.rawValue ?? "")
    write(V1.Error.Field.shard, error.shard ?? "")
    endLengthDelimited(mark)
  }
}
