// What carries calls and replies in batches: a client's Pipeline, or the link of a router and a
// shard. Their messages agree in the fields that readers and writers of batches need (a test checks
// that), so one set of writers serves both.

import StatusCodes

@usableFromInline
package enum Carrier: Sendable {
  /// Call in CallBatch, Reply in ReplyBatch.
  case pipeline
  /// LinkCall in RouterFrame, LinkReply in ShardFrame.
  case link

  var calls: BytesField {
    self == .pipeline ? V1.CallBatch.Field.calls : LinkV1.RouterFrame.Field.calls
  }

  package var replies: BytesField {
    self == .pipeline ? V1.ReplyBatch.Field.replies : LinkV1.ShardFrame.Field.replies
  }
}

/// A call of a batch, in a Pipeline or on a link.
@usableFromInline
package protocol BatchedCall: WireMessage {
  static var carrier: Carrier { get }
  var id: UInt64 { get }
  /// A number of enum Method, or of `InternalMethod` on a link.
  var methodNumber: UInt32 { get }
  /// The encoded request of that method.
  var request: UnsafeRawBufferPointer { get }

  /// Reads a call into memory that has no value yet, or a value that needs no deinitialization: no
  /// call has one that does.
  static func read(
    _ encoded: UnsafeRawBufferPointer, into call: UnsafeMutablePointer<Self>) throws(WireError)
}

extension V1.Call: BatchedCall {
  @inlinable
  package static var carrier: Carrier { .pipeline }
  @inlinable
  package var methodNumber: UInt32 { UInt32(bitPattern: method.rawValue) }

  @usableFromInline
  package static func read(
    _ encoded: UnsafeRawBufferPointer, into call: UnsafeMutablePointer<Self>
  ) throws(WireError) {
    call.initialize(to: V1.Call())
    try call.pointee.merge(encoded)
  }
}

extension LinkV1.LinkCall: BatchedCall {
  @inlinable
  package static var carrier: Carrier { .link }
  @inlinable
  package var methodNumber: UInt32 { method }

  @usableFromInline
  package static func read(
    _ encoded: UnsafeRawBufferPointer, into call: UnsafeMutablePointer<Self>
  ) throws(WireError) {
    call.initialize(to: try LinkV1.LinkCall(encoded))
  }
}

/// A reply of a batch, in a Pipeline or on a link.
@usableFromInline
package protocol BatchedReply: WireMessage {
  var id: UInt64 { get }
  /// The number as sent: 0 is OK.
  var code: Int32 { get }
  /// UTF-8.
  var message: UnsafeRawBufferPointer { get }
  /// An encoded google.rpc.Status if `code` is not 0.
  var details: UnsafeRawBufferPointer { get }
}

extension V1.Reply: BatchedReply {}
extension LinkV1.LinkReply: BatchedReply {}

extension BatchedReply {
  package var isOK: Bool { code == 0 }

  /// The code as gRPC names it; a number that gRPC does not define is UNKNOWN.
  package var statusCode: StatusCode { StatusCode(rawValue: code) ?? .unknown }

  /// The error of a reply that is not OK, with its details.
  package var error: CallError? {
    guard !isOK else { return nil }
    return CallError(
      code: statusCode,
      message: String(decoding: message, as: UTF8.self), details: details)
  }
}
