// google.rpc.Status with the two kinds of details that Ringstore uses: how an error travels in
// trailers and in the details of a batched reply.

import NIOCore
import StatusCodes

package struct ErrorDetails {
  static let domain = "ringstore"
  /// The key of the shard in the metadata of ErrorInfo.
  private static let shardKey = "shard"

  package private(set) var reason: String?
  package private(set) var shard: String?
  package private(set) var retryDelayMillis: Int?

  init(reason: String?, shard: String?, retryDelayMillis: Int?) {
    self.reason = reason
    self.shard = shard
    self.retryDelayMillis = retryDelayMillis
  }

  // MARK: Writing

  func encoded(code: StatusCode, message: String) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.write(GoogleRPC.Status.Field.code, Int64(code.rawValue))
    buffer.write(GoogleRPC.Status.Field.message, message)
    if reason != nil || shard != nil {
      writeAny(GoogleRPC.ErrorInfo.self, into: &buffer, writeErrorInfo)
    }
    if let retryDelayMillis {
      writeAny(GoogleRPC.RetryInfo.self, into: &buffer) { buffer in
        let delay = GoogleProtobuf.Duration(
          seconds: Int64(retryDelayMillis / 1000), nanos: Int32(retryDelayMillis % 1000) * 1_000_000
        )
        GoogleRPC.RetryInfo(retryDelay: delay).write(into: &buffer)
      }
    }
    return Array(buffer.readableBytesView)
  }

  private func writeAny<Message: WireMessage>(
    _ type: Message.Type, into buffer: inout ByteBuffer, _ contents: (inout ByteBuffer) -> Void
  ) {
    let any = buffer.beginLengthDelimited(GoogleRPC.Status.Field.details)
    buffer.write(GoogleProtobuf.AnyMessage.Field.typeURL, "type.googleapis.com/\(type.name)")
    let value = buffer.beginLengthDelimited(GoogleProtobuf.AnyMessage.Field.value)
    contents(&buffer)
    buffer.endLengthDelimited(value)
    buffer.endLengthDelimited(any)
  }

  private func writeErrorInfo(_ buffer: inout ByteBuffer) {
    typealias Entry = GoogleRPC.ErrorInfo.MetadataEntry
    buffer.write(GoogleRPC.ErrorInfo.Field.reason, reason ?? "")
    buffer.write(GoogleRPC.ErrorInfo.Field.domain, Self.domain)
    if let shard {
      let entry = buffer.beginLengthDelimited(GoogleRPC.ErrorInfo.Field.metadata)
      buffer.write(Entry.Field.key, Self.shardKey)
      buffer.write(Entry.Field.value, shard)
      buffer.endLengthDelimited(entry)
    }
  }

  // MARK: Reading

  package init(status: UnsafeRawBufferPointer) throws(WireError) {
    for detail in try GoogleRPC.Status(status).details {
      let type = String(decoding: detail.typeURL, as: UTF8.self)
      // Only the part after the last slash names the type; the host before it may be any.
      if type.hasSuffix("/\(GoogleRPC.ErrorInfo.name)") {
        take(try GoogleRPC.ErrorInfo(detail.value))
      } else if type.hasSuffix("/\(GoogleRPC.RetryInfo.name)") {
        take(try GoogleRPC.RetryInfo(detail.value))
      }
    }
  }

  /// Uses the reason only of our own domain: another domain may use the same names.
  private mutating func take(_ info: GoogleRPC.ErrorInfo) {
    guard info.domain.elementsEqual(Self.domain.utf8) else { return }
    reason = String(decoding: info.reason, as: UTF8.self)
    shard = nil
    for entry in info.metadata where entry.key.elementsEqual(Self.shardKey.utf8) {
      shard = String(decoding: entry.value, as: UTF8.self)
    }
  }

  private mutating func take(_ info: GoogleRPC.RetryInfo) {
    // A peer's number: out of protobuf's range for durations, it is no delay at all.
    guard let delay = info.retryDelay, (0...315_576_000_000).contains(delay.seconds),
      delay.nanos >= 0
    else { return }
    retryDelayMillis = Int(delay.seconds * 1000 + Int64(delay.nanos) / 1_000_000)
  }
}
