// One reply inside a batch: message Reply of a Pipeline, LinkReply of a link. They agree in fields
// 1 to 5; only a LinkReply can say that more parts follow.

import GRPC

package struct ReplyView {
  package private(set) var id: UInt64 = 0
  /// The number as sent: 0 is OK.
  package private(set) var code: Int32 = 0
  /// UTF-8.
  package private(set) var message = noBytes
  package private(set) var response = noBytes
  /// An encoded google.rpc.Status where `code` is not 0.
  package private(set) var details = noBytes
  package private(set) var more = false

  package init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): id = try reader.readVarint()
      case .varint(2): code = try reader.readInt32()
      case .bytes(3): message = try reader.readBytes()
      case .bytes(4): response = try reader.readBytes()
      case .bytes(5): details = try reader.readBytes()
      case .varint(6): more = try reader.readBool()
      default: try reader.skip(tag)
      }
    }
  }

  package var isOK: Bool { code == 0 }

  /// The code as gRPC names it; a number that gRPC does not define is UNKNOWN.
  package var statusCode: StatusCode { StatusCode(rawValue: code) ?? .unknown }

  /// The error of a reply that is not OK, with what its details tell.
  package var error: CallError? {
    guard !isOK else { return nil }
    return CallError(
      code: statusCode, message: String(decoding: message, as: UTF8.self), details: details)
  }
}
