// google.rpc.Status with the two kinds of details that Ringstore uses, written and read by hand:
// errors travel through nodes that link no Foundation and can't use the generated messages.
//
//   Status    = code:1 message:2 Any:3*
//   Any       = type_url:1 value:2
//   ErrorInfo = reason:1 domain:2 metadata:3*     metadata entry = key:1 value:2
//   RetryInfo = Duration:1                        Duration = seconds:1 nanos:2

import GRPC
import NIOCore

package struct ErrorDetails {
  static let domain = "ringstore"
  private static let errorInfoType = "type.googleapis.com/google.rpc.ErrorInfo"
  private static let retryInfoType = "type.googleapis.com/google.rpc.RetryInfo"

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
    buffer.writeOptionalIntField(1, Int64(code.rawValue))
    buffer.writeOptionalStringField(2, message)
    if reason != nil || shard != nil {
      writeAny(Self.errorInfoType, into: &buffer, writeErrorInfo)
    }
    if let retryDelayMillis {
      writeAny(Self.retryInfoType, into: &buffer) { buffer in
        let duration = buffer.beginLengthDelimited(1)
        buffer.writeOptionalIntField(1, Int64(retryDelayMillis / 1000))
        buffer.writeOptionalIntField(2, Int64(retryDelayMillis % 1000) * 1_000_000)
        buffer.endLengthDelimited(duration)
      }
    }
    return Array(buffer.readableBytesView)
  }

  private func writeAny(
    _ type: String, into buffer: inout ByteBuffer, _ contents: (inout ByteBuffer) -> Void
  ) {
    let any = buffer.beginLengthDelimited(3)
    buffer.writeOptionalStringField(1, type)
    let value = buffer.beginLengthDelimited(2)
    contents(&buffer)
    buffer.endLengthDelimited(value)
    buffer.endLengthDelimited(any)
  }

  private func writeErrorInfo(_ buffer: inout ByteBuffer) {
    buffer.writeOptionalStringField(1, reason ?? "")
    buffer.writeOptionalStringField(2, Self.domain)
    if let shard {
      let entry = buffer.beginLengthDelimited(3)
      buffer.writeOptionalStringField(1, "shard")
      buffer.writeOptionalStringField(2, shard)
      buffer.endLengthDelimited(entry)
    }
  }

  // MARK: Reading

  package init(status: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(status)
    while let tag = try reader.nextTag() {
      if tag == .bytes(3) {
        try readAny(try reader.readBytes())
      } else {
        try reader.skip(tag)
      }
    }
  }

  private mutating func readAny(_ message: UnsafeRawBufferPointer) throws(WireError) {
    let fields = try TwoFields(message)
    // Only what stands behind the last slash names the type; the host in front may be any.
    if fields.first.hasSuffix("/google.rpc.ErrorInfo") {
      try readErrorInfo(fields.second)
    } else if fields.first.hasSuffix("/google.rpc.RetryInfo") {
      try readRetryInfo(fields.second)
    }
  }

  /// Takes over the reason only from our own domain: another one may use the same words.
  private mutating func readErrorInfo(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var found: (reason: String?, domain: String?, shard: String?) = (nil, nil, nil)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): found.reason = String(decoding: try reader.readBytes(), as: UTF8.self)
      case .bytes(2): found.domain = String(decoding: try reader.readBytes(), as: UTF8.self)
      case .bytes(3):
        let entry = try TwoFields(try reader.readBytes())
        if entry.first == "shard" { found.shard = String(decoding: entry.second, as: UTF8.self) }
      default: try reader.skip(tag)
      }
    }
    guard found.domain == Self.domain else { return }
    (reason, shard) = (found.reason, found.shard)
  }

  private mutating func readRetryInfo(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var delay: (seconds: Int64, nanos: Int64)?
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      guard tag == .bytes(1) else {
        try reader.skip(tag)
        continue
      }
      var duration = WireReader(try reader.readBytes())
      // As protobuf has it, a message that comes twice is merged.
      var (seconds, nanos) = delay ?? (0, 0)
      while let tag = try duration.nextTag() {
        switch tag {
        case .varint(1): seconds = try duration.readInt64()
        case .varint(2): nanos = Int64(try duration.readInt32())
        default: try duration.skip(tag)
        }
      }
      delay = (seconds, nanos)
    }
    // A peer's number: out of protobuf's range for durations, it is no delay at all.
    guard let delay, (0...315_576_000_000).contains(delay.seconds), delay.nanos >= 0 else { return }
    retryDelayMillis = Int(delay.seconds * 1000 + delay.nanos / 1_000_000)
  }
}

/// A message of a string in field 1 and bytes in field 2: Any, and an entry of a string map.
private struct TwoFields {
  var first = ""
  var second = noBytes

  init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): first = String(decoding: try reader.readBytes(), as: UTF8.self)
      case .bytes(2): second = try reader.readBytes()
      default: try reader.skip(tag)
      }
    }
  }
}
