// Requests as the client and the line protocol write them are what SwiftProtobuf reads.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct RequestWriterTests {
  /// One request's random contents, and a way to write it.
  private struct Contents {
    let key: [UInt8]
    let value: [UInt8]
    let database: UInt32
    let start: Int64
    let stop: Int64

    init(_ random: inout SplitMix64) {
      key = random.bytes(upTo: 200)
      value = random.bytes(upTo: 200)
      database = UInt32(truncatingIfNeeded: random.number())
      start = Int64(bitPattern: random.next())
      stop = Int64(bitPattern: random.number())
    }

    typealias Bytes = UnsafeRawBufferPointer

    func written(_ write: (inout ByteBuffer, _ key: Bytes, _ value: Bytes) -> Void) -> [UInt8] {
      var buffer = ByteBuffer()
      key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in write(&buffer, key, value) }
      }
      return Array(buffer.readableBytesView)
    }
  }

  @Test func `requests on strings and integers`() throws {
    var random = SplitMix64(seed: testSeed)
    for _ in 0..<200 {
      let it = Contents(&random)
      let get = it.written { buffer, key, _ in
        buffer.writeKeyRequest(key: key, database: it.database)
      }
      let readGet = try Ringstore_V1_Key(serializedBytes: get)
      #expect(Array(readGet.key) == it.key && readGet.database == it.database)
      let set = it.written { buffer, key, value in
        buffer.writeSetRequest(key: key, value: value, database: it.database)
      }
      let readSet = try Ringstore_V1_KeyValue(serializedBytes: set)
      #expect(Array(readSet.key) == it.key && Array(readSet.value) == it.value)
      #expect(readSet.database == it.database)
      let incr = it.written { buffer, key, _ in
        buffer.writeIncrByRequest(key: key, delta: it.start, database: it.database)
      }
      let readIncr = try Ringstore_V1_IncrByRequest(serializedBytes: incr)
      #expect(Array(readIncr.key) == it.key && readIncr.delta == it.start)
      #expect(readIncr.database == it.database)
    }
  }

  @Test func `requests on lists`() throws {
    var random = SplitMix64(seed: testSeed)
    for _ in 0..<200 {
      let it = Contents(&random)
      let push = it.written { buffer, key, value in
        buffer.writeListInsertHead(key: key, database: it.database)
        for bytes in [value, noBytes] { buffer.writeListInsertValue(bytes) }
      }
      let readPush = try Ringstore_V1_ListInsert(serializedBytes: push)
      #expect(Array(readPush.key) == it.key && readPush.database == it.database)
      #expect(readPush.values.map { Array($0) } == [it.value, []])
      let range = it.written { buffer, key, _ in
        buffer.writeListRangeRequest(
          key: key, start: it.start, stop: it.stop, database: it.database)
      }
      let readRange = try Ringstore_V1_ListRange(serializedBytes: range)
      #expect(Array(readRange.key) == it.key && readRange.database == it.database)
      #expect(readRange.start == it.start && readRange.stop == it.stop)
    }
  }
}
