// Calls of a batch are read ahead of their execution. That may change their duration, nothing else.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ReadAheadTests {
  let shard = ShardFixture()

  @Test func eachCallSeesWhatThoseBeforeItHaveChanged() throws {
    let link = try Link(to: shard)
    let count = Keyspace.callsAhead * 2 + 3
    link.calls.give { frame in
      for index in 0..<count {
        frame.call(UInt64(index * 3 + 1), .set, Requests.set("k", "v\(index)"))
        frame.call(UInt64(index * 3 + 2), .get, Requests.key("k"))
        frame.call(UInt64(index * 3 + 3), .delete, Requests.key("k"))
      }
    }
    let replies = link.calls.take()
    #expect(replies.map(\.id) == Array(1...UInt64(count * 3)))
    for index in 0..<count {
      let value = try Ringstore_V1_Value(serializedBytes: replies[index * 3 + 1].response)
      #expect(value.value == .init("v\(index)".utf8))
      let deleted = try Ringstore_V1_Status(serializedBytes: replies[index * 3 + 2].response)
      #expect(deleted.ok)
    }
  }

  @Test func theSameKeyInTwoDatabasesIsTwoKeys() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      for database in UInt32(0)..<8 {
        frame.call(
          UInt64(database + 1), .set, Requests.set("k", "v\(database)", database: database))
      }
      for database in UInt32(0)..<8 {
        frame.call(UInt64(database + 9), .get, Requests.key("k", database: database))
      }
    }
    let replies = link.calls.take()
    for database in 0..<8 {
      let value = try Ringstore_V1_Value(serializedBytes: replies[8 + database].response)
      #expect(value.value == .init("v\(database)".utf8))
    }
  }

  @Test func refusedCallsBetweenOthersAreRefusedAlone() throws {
    let link = try Link(to: shard)
    let tooLong = String(repeating: "k", count: shard.core.limits.maxKeyBytes + 1)
    link.calls.give { frame in
      for index in UInt64(0)..<10 {
        frame.call(index * 4 + 1, .set, Requests.set("k\(index)", "v"))
        frame.call(index * 4 + 2, .get, Requests.key(tooLong))
        frame.call(index * 4 + 3, .get, Requests.key("k", database: 99))
        frame.call(index * 4 + 4, .get, Requests.key("k\(index)"))
      }
    }
    let replies = link.calls.take()
    #expect(replies.count == 40)
    for reply in replies {
      #expect((reply.code == 0) == (reply.id % 4 <= 1))
    }
  }

  @Test func callsInFrontOfBytesThatAreNoCallAreExecuted() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      for index in UInt64(1)...5 { frame.call(index, .set, Requests.set("k\(index)", "v")) }
      frame.bytes.writeBytes([50, 1, 0xff])  // a call that ends within its first tag
      frame.call(7, .set, Requests.set("k7", "v"))
    }
    for index in 1...5 { #expect(try shard.get("k\(index)").found) }
    #expect(try !shard.get("k7").found)
  }

  @Test func whatWasReadAheadIsForgottenWithItsFrame() throws {
    let link = try Link(to: shard)
    // Buffers of frames are used again: other keys come to lie where these were.
    for round in 0..<50 {
      link.calls.give { frame in
        for index in 0..<20 {
          let key = "k\(round % 7)-\(index)"
          frame.call(UInt64(round * 40 + index + 1), .set, Requests.set(key, "v"))
        }
      }
      link.calls.give { frame in
        for index in 0..<20 {
          let key = "m\(round % 7)-\(index)"
          frame.call(UInt64(round * 40 + index + 21), .get, Requests.key(key))
        }
      }
      let replies = link.calls.take()
      #expect(replies.count == 40)
      for reply in replies.suffix(20) {
        #expect(try !Ringstore_V1_Value(serializedBytes: reply.response).found)
      }
    }
  }

  // MARK: - Batches of clients

  @Test(arguments: [0, 1, 2, 16, 17, 127, 128, 129, 300])
  func everyCallOfABatchIsHandedOutInItsOrder(count: Int) throws {
    let ahead = ReadAhead<V1.Call>(shard.core.keyspace)
    try batch(of: count).withUnsafeReadableBytes { bytes in
      try ahead.read(bytes)
      #expect(try ids(of: bytes, from: ahead) == Array(0..<UInt64(count)))
      // Nothing of a batch is left for the next one, even of the same memory.
      ahead.end()
      #expect(try ids(of: bytes, from: ahead) == Array(0..<UInt64(count)))
      ahead.end()
    }
  }

  @Test(arguments: [0, 1, 16, 127, 128, 129, 300])
  func aBatchIsRefusedAsAWhole(callsBefore count: Int) throws {
    let ahead = ReadAhead<V1.Call>(shard.core.keyspace)
    // A call that ends within its first tag, a call longer than the batch, and no field.
    for end: [UInt8] in [[10, 1, 0xff], [10, 9, 8], [0xff]] {
      var bytes = try batch(of: count)
      bytes.writeBytes(end)
      bytes.withUnsafeReadableBytes { bytes in
        _ = #expect(throws: WireError.self) { try ahead.read(bytes) }
      }
    }
    try batch(of: 3).withUnsafeReadableBytes { bytes in
      try ahead.read(bytes)
      #expect(try ids(of: bytes, from: ahead) == [0, 1, 2])
      ahead.end()
    }
  }

  private func batch(of count: Int) throws -> ByteBuffer {
    var bytes = ByteBuffer()
    for id in 0..<count {
      let request: [UInt8] = try Requests.key("k\(id)").serializedBytes()
      request.withUnsafeBytes {
        bytes.writeCall(.pipeline, id: UInt64(id), method: 2, request: $0)
      }
    }
    return bytes
  }

  private func ids(
    of batch: UnsafeRawBufferPointer, from ahead: ReadAhead<V1.Call>
  ) throws -> [UInt64] {
    var messages = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    var ids: [UInt64] = []
    while let message = messages.next() {
      var following = messages
      ids.append(
        try ahead.call(message, CallContext()) { following.next() }.pointee.id)
    }
    return ids
  }
}
