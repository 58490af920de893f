// Batches, and the frames of links.

import NIOCore
import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  private static let call: [MessageSoup.Field] =
    [.varint(1), .varint(2), .bytes(3), .varint(4), .bytes(5)]
  private static let reply: [MessageSoup.Field] =
    [.varint(1), .varint(2), .text(3), .bytes(4), .bytes(5)]

  private static let hello: [MessageSoup.Field] =
    [.varint(1), .text(2), .text(3), .varint(4), .text(5)]
  private static let helloReply: [MessageSoup.Field] =
    [.text(1), .varint(2), .varint(3), .varint(4), .text(5)]

  package static let batches: [TwoReaders] = [
    TwoReaders(
      name: "CallBatch", schema: [.message(1, call)],
      ours: { message in
        var batch = CallBatchReader(message)
        var facts: [String] = []
        while let call = try batch.next() { facts.append(describe(call)) }
        return facts
      },
      theirs: { (message: Ringstore_V1_CallBatch) in
        message.calls.map { call in
          let method = UInt32(truncatingIfNeeded: call.method.rawValue)
          return "call \(call.id) \(method) \(hex(call.request)) \(call.timeoutMillis) "
            + "\(hex(call.requestID))  \(!call.unknownFields.data.isEmpty)"
        }
      },
      rewritten: { message in
        var batch = CallBatchReader(message)
        return try written { buffer in
          while let call = try batch.next() { try write(call, .pipeline, into: &buffer) }
        }
      }),
    TwoReaders(
      name: "RouterFrame",
      schema: [
        .message(1, hello), .message(2, call + [.bytes(6)]), .varint(3), .packed(3),
        .message(4, [.varint(1), .varint(2)]), .varint(5),
      ],
      ours: routerFrame,
      theirs: { (frame: Ringstore_Internal_V1_RouterFrame) in
        return ["hello \(frame.hasHello)"]
          + frame.calls.map { call in
            "call \(call.id) \(call.method) \(hex(call.request)) \(call.deadlineMillis) "
              + "\(hex(call.requestID)) \(hex(call.traceContext)) "
              + "\(!call.unknownFields.data.isEmpty)"
          } + frame.cancels.map { "cancel \($0)" }
          + frame.credits.map { "credit \($0.id) \($0.bytes)" } + ["heard \(frame.heardMillis)"]
      }, rewritten: routerFrameRewritten),
    TwoReaders(
      name: "ReplyBatch", schema: [.message(1, reply)],
      ours: { message in
        var batch = ReplyBatchReader(message)
        var facts: [String] = []
        while let reply = try batch.next() { facts.append(describe(reply, more: false)) }
        return facts
      },
      theirs: { (message: Ringstore_V1_ReplyBatch) in
        message.replies.map {
          describe($0.id, $0.code, $0.message, $0.response, $0.details, false)
        }
      },
      rewritten: { message in
        var batch = ReplyBatchReader(message)
        return try written { buffer in
          while let reply = try batch.next() {
            try write(reply, .pipeline, more: false, into: &buffer)
          }
        }
      }),
    TwoReaders(
      name: "ShardFrame",
      schema: [
        .message(1, helloReply), .message(2, reply + [.varint(6)]), .varint(3), .varint(4),
      ],
      ours: shardFrame,
      theirs: { (frame: Ringstore_Internal_V1_ShardFrame) in
        return ["hello \(frame.hasHello)"]
          + frame.replies.map {
            describe($0.id, $0.code, $0.message, $0.response, $0.details, $0.more)
          } + ["draining \(frame.draining)", "clock \(frame.clockMillis)"]
      }, rewritten: shardFrameRewritten),
  ]

  private static func describe(_ call: CallView) -> String {
    "call \(call.id) \(call.method) \(hex(call.request)) \(time(of: call)) "
      + "\(hex(call.requestID)) \(hex(call.traceContext)) \(call.hasUnknownField)"
  }

  /// A call has one of the two.
  private static func time(of call: CallView) -> UInt64 {
    max(UInt64(call.timeoutMillis), call.deadlineMillis)
  }

  private static func describe(_ reply: ReplyView, more: Bool) -> String {
    describe(
      reply.id, reply.code, String(decoding: reply.message, as: UTF8.self), reply.response,
      reply.details, more)
  }

  private static func describe(
    _ id: UInt64, _ code: Int32, _ message: String, _ response: some Sequence<UInt8>,
    _ details: some Sequence<UInt8>, _ more: Bool
  ) -> String {
    "reply \(id) \(code) \(message) \(hex(response)) \(hex(details)) \(more)"
  }

  /// Parts of one kind together, as the generated message keeps them.
  private static func routerFrame(_ message: UnsafeRawBufferPointer) throws -> [String] {
    var frame = RouterFrameReader(message)
    var (calls, cancels, credits): ([String], [String], [String]) = ([], [], [])
    var (hasHello, heard) = (false, UInt64(0))
    while let part = try frame.next() {
      switch part {
      case .hello(let message):
        // As a shard does: a Hello is rare and read by the generated message.
        _ = try Ringstore_Internal_V1_Hello(serializedBytes: Array(message))
        hasHello = true
      case .call(let call): calls.append(describe(call))
      case .cancel(let id): cancels.append("cancel \(id)")
      case .credit(let id, let bytes): credits.append("credit \(id) \(bytes)")
      case .heard(let millis): heard = millis
      }
    }
    return ["hello \(hasHello)"] + calls + cancels + credits + ["heard \(heard)"]
  }

  private static func shardFrame(_ message: UnsafeRawBufferPointer) throws -> [String] {
    var frame = ShardFrameReader(message)
    var (replies, isDraining, clock): ([String], Bool, UInt64) = ([], false, 0)
    var hasHello = false
    while let part = try frame.next() {
      switch part {
      case .hello(let message):
        _ = try Ringstore_Internal_V1_HelloReply(serializedBytes: Array(message))
        hasHello = true
      case .reply(let reply): replies.append(describe(reply, more: reply.more))
      case .draining(let value): isDraining = value
      case .clock(let millis): clock = millis
      }
    }
    return ["hello \(hasHello)"] + replies + ["draining \(isDraining)", "clock \(clock)"]
  }
}
