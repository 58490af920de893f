// LRangeStream as a sequence of values and of chunks, against a node that follows a script.

import GRPC
import NIOCore
import ProtobufMessages
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15))) struct ListStreamTests {
  private static func chunk(_ values: [String], from first: Int64, of length: Int64) -> ByteBuffer {
    var chunk = ByteBuffer()
    for value in values {
      Array(value.utf8).withUnsafeBytes { chunk.append(V1.ListValues.Field.values, $0) }
    }
    V1.ListValues(found: length > 0, length: length, firstIndex: first).write(into: &chunk)
    return chunk
  }

  @Test func valuesAndChunksComeInOrder() async throws {
    let asked = Mutex<[[UInt8]]>([])
    var script = NodeScript()
    script.streamed = { stream, message in
      asked.withLock { $0.append(message) }
      stream.send(Self.chunk(["a", "b"], from: 1, of: 5))
      stream.send(Self.chunk(["c"], from: 3, of: 5))
      stream.finish()
    }
    try await ScriptedNode.with(script) { client, _ in
      var values: [[UInt8]] = []
      for try await value in client.listStream("l", 1, -2, options: .init(database: 4)) {
        values.append(value)
      }
      #expect(values == ["a", "b", "c"].map { Array($0.utf8) })
      var chunks: [RingstoreList] = []
      for try await chunk in client.listStream("l").chunks { chunks.append(chunk) }
      #expect(chunks.map(\.values.count) == [2, 1])
      #expect(chunks.map(\.firstIndex) == [1, 3])
      #expect(chunks.map(\.length) == [5, 5])
    }
    let request = try #require(asked.withLock { $0.first })
    let range = try Ringstore_V1_ListRange(serializedBytes: request)
    #expect(range.key == .init("l".utf8))
    #expect(range.start == 1)
    #expect(range.stop == -2)
    #expect(range.database == 4)
  }

  @Test func aMissingListIsOneChunkWithoutValues() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in
      stream.send(Self.chunk([], from: 0, of: 0))
      stream.finish()
    }
    try await ScriptedNode.with(script) { client, _ in
      var chunks = client.listStream("l").chunks.makeAsyncIterator()
      let first = try await chunks.next()
      #expect(first?.found == false)
      let end = try await chunks.next()
      #expect(end == nil)
      var values = client.listStream("l").makeAsyncIterator()
      let none = try await values.next()
      #expect(none == nil)
    }
  }

  @Test func anotherStateOfTheListIsNotReadOn() async throws {
    let begun = Mutex(0)
    var script = NodeScript()
    script.streamed = { stream, _ in
      begun.withLock { $0 += 1 }
      stream.send(Self.chunk(["a"], from: 0, of: 2))
    }
    try await ScriptedNode.with(script) { client, relay in
      var values = client.listStream("l").makeAsyncIterator()
      let first = try await values.next()
      #expect(first == [0x61])
      relay.cut()
      let error = await failure { _ = try await values.next() }
      #expect(error?.code == .unavailable)
      #expect(error?.isOutcomeUnknown == false)
      let end = try await values.next()
      #expect(end == nil)
    }
    #expect(begun.withLock { $0 } == 1)
  }

  @Test func whatBreaksBeforeTheFirstChunkIsStartedAgain() async throws {
    let relay = Mutex<Relay?>(nil)
    let begun = Mutex(0)
    var script = NodeScript()
    script.streamed = { stream, _ in
      let count = begun.withLock { count in
        count += 1
        return count
      }
      guard count > 1 else {
        relay.withLock { $0 }?.cut()
        return
      }
      stream.send(Self.chunk(["a"], from: 0, of: 1))
      stream.finish()
    }
    try await ScriptedNode.with(script) { client, node in
      relay.withLock { $0 = node }
      var values: [[UInt8]] = []
      for try await value in client.listStream("l") { values.append(value) }
      #expect(values == [[0x61]])
    }
    relay.withLock { $0 = nil }
    #expect(begun.withLock { $0 } == 2)
  }

  @Test func anExpiredViewIsReportedByItsName() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in
      stream.send(Self.chunk(["a"], from: 0, of: 2))
      let error = CallError.viewExpired
      stream.finish(RPCStatus(error.code, error.message, details: error.details()))
    }
    try await ScriptedNode.with(script) { client, _ in
      var values = client.listStream("l").makeAsyncIterator()
      let first = try await values.next()
      #expect(first == [0x61])
      #expect(await failure { _ = try await values.next() }?.reason == .viewExpired)
    }
  }
}
