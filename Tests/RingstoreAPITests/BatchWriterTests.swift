// Batches written by hand are what SwiftProtobuf reads, whichever way a part was written.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct BatchWriterTests {
  @Test(arguments: [0, 1, 100, 127, 128, 5000, 70_000])
  func wholeCalls(_ size: Int) throws {
    let request = Array(repeating: UInt8(9), count: size)
    let bytes = written { buffer in
      request.withUnsafeBytes { bytes in
        buffer.writeCall(
          .pipeline, id: 7, method: 2, request: bytes, timeMillis: 1500, requestID: nil)
        buffer.writeCall(
          .pipeline, id: .max, method: .max, request: bytes, timeMillis: UInt64(UInt32.max))
      }
    }
    let calls = try Ringstore_V1_CallBatch(serializedBytes: bytes).calls
    #expect(calls.count == 2)
    #expect(calls[0].id == 7 && calls[0].method == .get && calls[0].timeoutMillis == 1500)
    #expect(calls.allSatisfy { Array($0.request) == request })
    #expect(calls[1].id == .max && calls[1].timeoutMillis == .max)
  }

  @Test(arguments: [0, 1, 127, 128, 5000, 70_000, 3 << 20])
  func aCallsHeadAndItsRequestMakeTheWholeCall(_ size: Int) {
    let request = Array(repeating: UInt8(9), count: size)
    for (id, timeout) in [(UInt64(7), UInt64(0)), (.max, .max)] {
      let whole = written { buffer in
        request.withUnsafeBytes {
          buffer.writeCall(.link, id: id, method: 2, request: $0, timeMillis: timeout)
        }
      }
      let parts = written { buffer in
        buffer.writeCallHead(
          .link, id: id, method: 2, requestBytes: size, timeMillis: timeout)
        buffer.writeBytes(request)
      }
      #expect(whole == parts)
    }
  }

  @Test(arguments: [0, 1, 127, 5000, 70_000])
  func aTracedCallHasItsTraceWithItsRequestOrInFrontOfIt(_ size: Int) throws {
    let request = Array(repeating: UInt8(9), count: size)
    let trace = ByteBuffer(repeating: 7, count: 25)
    let whole = written { buffer in
      request.withUnsafeBytes {
        buffer.writeLinkCall(
          id: 3, method: 2, request: $0, deadlineMillis: 5, restriction: nil, traceContext: trace)
      }
    }
    let parts = written { buffer in
      buffer.writeCallHead(
        .link, id: 3, method: 2, requestBytes: size, timeMillis: 5, traceContext: trace)
      buffer.writeBytes(request)
    }
    for bytes in [whole, parts] {
      let call = try #require(
        Ringstore_Internal_V1_RouterFrame(serializedBytes: bytes).calls.first)
      #expect(call.id == 3 && call.method == 2 && call.deadlineMillis == 5)
      #expect(Array(call.traceContext) == Array(trace.readableBytesView))
      #expect(Array(call.request) == request && !call.hasRestriction)
    }
  }

  @Test func aRoutersFrameHelloCallsCancelsAndCredits() throws {
    let hello = Ringstore_Internal_V1_Hello.with { $0.router = "r/0" }
    let encodedHello = try Array(hello.serializedData())
    let bytes = written { buffer in
      encodedHello.withUnsafeBytes { buffer.append(LinkV1.RouterFrame.Field.hello, $0) }
      buffer.writeCall(.link, id: 1, method: 64, request: noBytes)
      [1, 2].withUnsafeBytes {
        buffer.writeCall(.link, id: 2, method: 1, request: noBytes, requestID: $0)
      }
      buffer.append(LinkV1.RouterFrame.Field.cancels, 0)
      buffer.append(LinkV1.RouterFrame.Field.cancels, 300)
      buffer.append(LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: 9, bytes: 65_536))
    }
    let frame = try Ringstore_Internal_V1_RouterFrame(serializedBytes: bytes)
    #expect(frame.hello == hello && frame.cancels == [0, 300])
    #expect(frame.calls.map(\.method) == [64, 1] && frame.calls[1].requestID.count == 16)
    #expect(frame.credits == [.with { ($0.id, $0.bytes) = (9, 65_536) }])

    try bytes.withUnsafeBytes { message in
      var parts = LinkV1.RouterFrame.Parts(message)
      guard case .hello(let part) = try parts.next() else {
        Issue.record("a frame begins with its hello")
        return
      }
      #expect(part.array == encodedHello)
      _ = try parts.next()
      guard case .calls(let call) = try parts.next() else {
        Issue.record("the second call is missing")
        return
      }
      #expect(try LinkV1.LinkCall(call).unservedField == "request_id")
    }
  }

  @Test func cancelsMayComePackedTheWayGeneratedCodeWritesThem() throws {
    let frame = Ringstore_Internal_V1_RouterFrame.with { $0.cancels = [5, 0, 600] }
    try Array(frame.serializedData()).withUnsafeBytes { message in
      var parts = LinkV1.RouterFrame.Parts(message)
      var ids: [UInt64] = []
      while let part = try parts.next() {
        if case .cancels(let id) = part { ids.append(id) }
      }
      #expect(ids == [5, 0, 600])
    }
  }

  @Test(arguments: [0, 5, 200, 70_000])
  func repliesWholeOrInPlaceAndErrorsInPlaceOfAReplyGivenUp(_ size: Int) throws {
    let value = Array(repeating: UInt8(3), count: size)
    let error = CallError.shardUnavailable("s1", "no route to host")
    let bytes = written { buffer in
      value.withUnsafeBytes { value in
        for hint in [0, size + 12] {
          let mark = buffer.beginReply(.link, id: 6, sizeHint: hint, more: true)
          V1.Value(value: value, found: true, version: 4).write(into: &buffer)
          buffer.endReply(mark)
        }
        buffer.writeReply(.link, id: 8, response: value, more: true)
        let failing = buffer.beginReply(.link, id: 9)
        V1.Value(value: value, found: true, version: 4).write(into: &buffer)
        buffer.abandonReply(failing)
      }
      buffer.writeReply(.link, id: 9, error: error)
      buffer.write(LinkV1.ShardFrame.Field.draining, true)
    }
    let frame = try Ringstore_Internal_V1_ShardFrame(serializedBytes: bytes)
    #expect(frame.replies.map(\.id) == [6, 6, 8, 9] && frame.draining)
    #expect(frame.replies.map(\.more) == [true, true, true, false])
    for reply in frame.replies.prefix(2) {
      #expect(try Array(Ringstore_V1_Value(serializedBytes: reply.response).value) == value)
    }
    #expect(Array(frame.replies[2].response) == value)

    try bytes.withUnsafeBytes { message in
      var parts = LinkV1.ShardFrame.Parts(message)
      for _ in 0..<3 { _ = try parts.next() }
      guard case .replies(let last) = try parts.next() else {
        Issue.record("the failed reply is missing")
        return
      }
      let reply = try LinkV1.LinkReply(last)
      #expect(reply.error == error && !reply.isOK)
    }
  }

  @Test func aBatchIsFoundMalformedBeforeAnyOfItRuns() throws {
    var bytes = written { buffer in
      for id in 1...3 { buffer.writeCall(.pipeline, id: UInt64(id), method: 2, request: noBytes) }
    }
    #expect(try bytes.withUnsafeBytes { try V1.CallBatch($0).calls.count } == 3)
    bytes.removeLast()
    #expect(throws: WireError.truncated) {
      try bytes.withUnsafeBytes { try V1.CallBatch($0).calls.count }
    }
  }

  @Test func positionsComeInWholeNumbers() throws {
    let ragged = written { buffer in
      [1, 2, 3].withUnsafeBytes { bytes in
        buffer.append(
          BytesField(LinkV1.KeysPartReply.Field.positions.number),
          UnsafeRawBufferPointer(rebasing: bytes.prefix(9)))
      }
    }
    #expect(throws: WireError.truncated) {
      try ragged.withUnsafeBytes { try LinkV1.KeysPartReply($0).keys.count }
    }
  }

  /// The writers of batches use the numbers of a link's messages for both carriers.
  @Test func aPipelinesCallsAndRepliesHaveTheNumbersOfALinks() {
    #expect(V1.Call.Field.id == LinkV1.LinkCall.Field.id)
    #expect(V1.Call.Field.method.number == LinkV1.LinkCall.Field.method.number)
    #expect(V1.Call.Field.request == LinkV1.LinkCall.Field.request)
    #expect(V1.Call.Field.timeoutMillis == LinkV1.LinkCall.Field.deadlineMillis)
    #expect(V1.Call.Field.requestID == LinkV1.LinkCall.Field.requestID)
    #expect(V1.Reply.Field.id == LinkV1.LinkReply.Field.id)
    #expect(V1.Reply.Field.code == LinkV1.LinkReply.Field.code)
    #expect(V1.Reply.Field.message == LinkV1.LinkReply.Field.message)
    #expect(V1.Reply.Field.response == LinkV1.LinkReply.Field.response)
    #expect(V1.Reply.Field.details == LinkV1.LinkReply.Field.details)
  }

  @Test(arguments: [0, 1, 127, 128, 70_000])
  func aReplysHeadAndItsResponseMakeTheWholeReply(_ size: Int) {
    let response = Array(repeating: UInt8(9), count: size + 1)
    let parts = written { buffer in
      buffer.writeReplyHead(.pipeline, id: 7, responseBytes: size + 1)
      buffer.writeBytes(response)
    }
    let whole = written { buffer in
      response.withUnsafeBytes { buffer.writeReply(.pipeline, id: 7, response: $0) }
    }
    #expect(parts == whole)
  }
}
