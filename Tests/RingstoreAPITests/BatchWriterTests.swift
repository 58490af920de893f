// Batches written by hand are what SwiftProtobuf reads, whichever way a part was written.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct BatchWriterTests {
  @Test(arguments: [0, 1, 100, 127, 128, 5000, 70_000])
  func `calls, whole or with the request in place`(_ size: Int) throws {
    let request = Array(repeating: UInt8(9), count: size)
    let bytes = written { buffer in
      request.withUnsafeBytes { bytes in
        buffer.writeCall(
          .pipeline, id: 7, method: 2, request: bytes, timeMillis: 1500, requestID: nil)
        buffer.writeCall(
          .pipeline, id: .max, method: .max, request: bytes, timeMillis: UInt64(UInt32.max))
        for hint in [0, size] {
          let mark = buffer.beginCall(
            .pipeline, id: 7, method: 2, timeMillis: 1500, sizeHint: hint)
          buffer.writeBytes(bytes)
          buffer.endCall(mark)
        }
      }
    }
    let calls = try Ringstore_V1_CallBatch(serializedBytes: bytes).calls
    #expect(calls.count == 4)
    for index in [0, 2, 3] {
      #expect(calls[index].id == 7 && calls[index].method == .get)
      #expect(Array(calls[index].request) == request && calls[index].timeoutMillis == 1500)
    }
    #expect(calls[1].id == .max && calls[1].timeoutMillis == .max)
  }

  @Test(arguments: [0, 1, 127, 128, 5000, 70_000, 3 << 20])
  func `a call's head and its request make the whole call`(_ size: Int) {
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

  @Test func `a router's frame: hello, calls, cancels and credits`() throws {
    let hello = Ringstore_Internal_V1_Hello.with { $0.router = "r/0" }
    let encodedHello = try Array(hello.serializedData())
    let bytes = written { buffer in
      encodedHello.withUnsafeBytes { buffer.writeHello($0) }
      buffer.writeCall(.link, id: 1, method: 64, request: noBytes)
      [1, 2].withUnsafeBytes {
        buffer.writeCall(.link, id: 2, method: 1, request: noBytes, requestID: $0)
      }
      buffer.writeCancel(id: 0)
      buffer.writeCancel(id: 300)
      buffer.writeCredit(id: 9, bytes: 65_536)
    }
    let frame = try Ringstore_Internal_V1_RouterFrame(serializedBytes: bytes)
    #expect(frame.hello == hello && frame.cancels == [0, 300])
    #expect(frame.calls.map(\.method) == [64, 1] && frame.calls[1].requestID.count == 16)
    #expect(frame.credits == [.with { ($0.id, $0.bytes) = (9, 65_536) }])

    try bytes.withUnsafeBytes { message in
      var reader = RouterFrameReader(message)
      guard case .hello(let part) = try reader.next() else {
        Issue.record("a frame begins with its hello")
        return
      }
      #expect(part.array == encodedHello)
      _ = try reader.next()
      guard case .call(let call) = try reader.next() else {
        Issue.record("the second call is missing")
        return
      }
      #expect(call.unservedField == "request_id")
    }
  }

  @Test func `cancels may come packed, the way generated code writes them`() throws {
    let frame = Ringstore_Internal_V1_RouterFrame.with { $0.cancels = [5, 0, 600] }
    try Array(frame.serializedData()).withUnsafeBytes { message in
      var reader = RouterFrameReader(message)
      var ids: [UInt64] = []
      while let part = try reader.next() {
        if case .cancel(let id) = part { ids.append(id) }
      }
      #expect(ids == [5, 0, 600])
    }
  }

  @Test(arguments: [0, 5, 200, 70_000])
  func `replies, whole or in place, and errors in place of a reply given up`(_ size: Int) throws {
    let value = Array(repeating: UInt8(3), count: size)
    let error = CallError.shardUnavailable("s1", "no route to host")
    let bytes = written { buffer in
      value.withUnsafeBytes { value in
        for hint in [0, WireSize.value(count: size, version: 4)] {
          let mark = buffer.beginReply(.link, id: 6, sizeHint: hint, more: true)
          buffer.writeValue(value, version: 4)
          buffer.endReply(mark)
        }
        buffer.writeReply(.link, id: 8, response: value, more: true)
        buffer.writeValueReply(.link, id: 7, value: value, version: 4)
        let failing = buffer.beginReply(.link, id: 9)
        buffer.writeValue(value, version: 4)
        buffer.abandonReply(failing)
      }
      buffer.writeReply(.link, id: 9, error: error)
      buffer.writeDraining()
    }
    let frame = try Ringstore_Internal_V1_ShardFrame(serializedBytes: bytes)
    #expect(frame.replies.map(\.id) == [6, 6, 8, 7, 9] && frame.draining)
    #expect(frame.replies.map(\.more) == [true, true, true, false, false])
    for reply in [frame.replies[0], frame.replies[1], frame.replies[3]] {
      #expect(try Array(Ringstore_V1_Value(serializedBytes: reply.response).value) == value)
    }
    #expect(Array(frame.replies[2].response) == value)

    try bytes.withUnsafeBytes { message in
      var reader = ShardFrameReader(message)
      for _ in 0..<4 { _ = try reader.next() }
      guard case .reply(let reply) = try reader.next() else {
        Issue.record("the failed reply is missing")
        return
      }
      #expect(reply.error == error && !reply.isOK)
    }
  }

  @Test func `a batch is found malformed before any of it runs`() throws {
    var bytes = written { buffer in
      for id in 1...3 { buffer.writeCall(.pipeline, id: UInt64(id), method: 2, request: noBytes) }
    }
    #expect(try bytes.withUnsafeBytes { try CallBatchReader.validate($0) } == 3)
    bytes.removeLast()
    #expect(throws: WireError.truncated) {
      try bytes.withUnsafeBytes { try CallBatchReader.validate($0) }
    }
  }

  @Test func `parts of fan-outs come back as they were written`() throws {
    var random = SplitMix64(seed: testSeed)
    for kind in [PatternView.Kind.everything, .unset, .glob, .regex, .prefix] {
      let text = kind == .everything || kind == .unset ? [] : random.bytes(upTo: 200)
      try text.withUnsafeBytes { text in
        var request = KeysPartRequest()
        request.pattern = PatternView(kind: kind, text: text)
        (request.database, request.startSlot, request.cursor) = (3, 16_383, .max)
        (request.maxKeys, request.maxBytes, request.maxVisits) = (1, .max, 4096)
        (request.type, request.endSlot, request.wantsPositions) = (.list, 16_384, true)
        try written { $0.writeKeysPartRequest(request) }.withUnsafeBytes { message in
          let read = try KeysPartRequest(message)
          #expect(read.pattern.kind == kind && read.pattern.text.array == text.array)
          #expect(read.database == 3 && read.startSlot == 16_383 && read.cursor == .max)
          #expect(read.maxKeys == 1 && read.maxBytes == .max && read.maxVisits == 4096)
          #expect(read.type == .list && read.endSlot == 16_384 && read.wantsPositions)
        }
      }
    }
    let keys = written { buffer in
      for key in [[UInt8(1)], []] { key.withUnsafeBytes { buffer.writeKeysPartKey($0) } }
      buffer.writeKeysPartPositions([.max, 0x0102_0304_0506_0708])
      buffer.writeKeysPartEnd(nextSlot: 12, nextCursor: .max, done: true)
    }
    try keys.withUnsafeBytes { message in
      let view = try KeysPartReplyView(message)
      #expect(view.keys.map(\.array) == [[1], []] && view.count == 2)
      #expect(view.nextSlot == 12 && view.nextCursor == .max && view.done)
      #expect(view.positions.count == 2 && view.positions[0] == .max)
      #expect(view.positions[1] == 0x0102_0304_0506_0708)
    }
    var reset = ResetPartRequest()
    (reset.database, reset.allDatabases, reset.startSlot, reset.maxVisits) = (1, true, 2, 3)
    let request = written { $0.writeResetPartRequest(reset) }
    #expect(try request.withUnsafeBytes { try ResetPartRequest($0) } == reset)
    let reply = ResetPartReply(removed: .max, nextSlot: 16_384, done: true)
    let answer = written { $0.writeResetPartReply(reply) }
    #expect(try answer.withUnsafeBytes { try ResetPartReply($0) } == reply)
  }

  @Test func `positions are asked for, and come in whole numbers`() throws {
    let without = written { $0.writeKeysPartPositions([]) }
    #expect(without.isEmpty)
    #expect(try noBytes.withPositions { $0.count } == 0)
    let ragged = written { buffer in
      [1, 2, 3].withUnsafeBytes { bytes in
        buffer.writeBytesField(5, UnsafeRawBufferPointer(rebasing: bytes.prefix(9)))
      }
    }
    #expect(throws: WireError.truncated) {
      try ragged.withUnsafeBytes { try KeysPartReplyView($0).count }
    }
  }

  @Test(arguments: [0, 1, 65_537, UInt64.max])
  func `a notice says how long the reply is that follows`(_ total: UInt64) throws {
    let notice = written { $0.writeLargeReplyNotice(totalBytes: total) }
    #expect(try notice.withUnsafeBytes { try LargeReplyNotice($0).totalBytes } == total)
  }
}

extension UnsafeRawBufferPointer {
  /// Reads the message as a slice of keys.
  fileprivate func withPositions<Result>(_ body: (PackedPositions) -> Result) throws -> Result {
    body(try KeysPartReplyView(self).positions)
  }
}
