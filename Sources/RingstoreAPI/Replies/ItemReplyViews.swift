// Reading the replies of MGet, MSet and MDelete: see ItemWriters.swift for their form.

import GRPC

/// A many-key reply: its items in request order.
package struct ItemsReplyView {
  /// Each item's own bytes, for `ItemReplyView` or to be passed on untouched.
  package let encodedItems: RepeatedBytes
  package private(set) var count = 0

  /// - Throws: also where an item is malformed, so that reading an item later can't fail.
  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    encodedItems = RepeatedBytes(message, field: 1)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .bytes(1) {
        _ = try ItemReplyView(try reader.readBytes())
        count += 1
      } else {
        try reader.skip(tag)
      }
    }
  }
}

/// One item of a many-key reply.
package struct ItemReplyView {
  package enum Outcome {
    /// An encoded `Value` (MGet) or `Status` (MSet, MDelete).
    case done(UnsafeRawBufferPointer)
    /// An encoded `Error`.
    case failed(UnsafeRawBufferPointer)
    /// Neither: the answer of a node newer than this one.
    case unset
  }

  package private(set) var outcome = Outcome.unset

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): outcome = .done(try reader.readBytes())
      case .bytes(2): outcome = .failed(try reader.readBytes())
      default: try reader.skip(tag)
      }
    }
  }
}

extension CallError {
  /// Message `Error`: one item's or one shard's failure.
  package init(item message: UnsafeRawBufferPointer) throws(WireError) {
    self.init(code: .unknown, message: "")
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): code = StatusCode(rawValue: try reader.readInt32()) ?? .unknown
      case .bytes(2): self.message = String(decoding: try reader.readBytes(), as: UTF8.self)
      case .bytes(3):
        reason = ErrorReason(rawValue: String(decoding: try reader.readBytes(), as: UTF8.self))
      case .bytes(4):
        let id = String(decoding: try reader.readBytes(), as: UTF8.self)
        shard = id.isEmpty ? nil : id
      default: try reader.skip(tag)
      }
    }
    doNotRetry = reason == .outcomeUnknown
  }
}
