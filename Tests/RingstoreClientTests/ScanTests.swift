// Scan as a sequence, against a node that follows a script: what is asked, what is read, how it
// continues after a broken connection, and that nothing is read ahead beyond a window.

import GRPC
import NIOCore
import ProtobufMessages
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15))) struct ScanTests {
  private static func page(
    _ keys: [String], token: String, slotsDone: UInt32 = 0, unreachable: String? = nil
  ) -> ByteBuffer {
    var page = Ringstore_V1_ScanPage()
    page.keys = keys.map { .init($0.utf8) }
    page.resumeToken = .init(token.utf8)
    page.slotsDone = slotsDone
    if let unreachable {
      page.unreachable = [
        .with {
          $0.code = 14
          $0.reason = "SHARD_UNAVAILABLE"
          $0.shard = unreachable
          $0.message = "It is away."
        }
      ]
    }
    return ByteBuffer(bytes: (try? page.serializedBytes() as [UInt8]) ?? [])
  }

  private static func request(_ message: [UInt8]) -> Ringstore_V1_ScanRequest {
    (try? Ringstore_V1_ScanRequest(serializedBytes: message)) ?? .init()
  }

  @Test func aScanSendsItsParametersAndReadsPages() async throws {
    let asked = Mutex<[Ringstore_V1_ScanRequest]>([])
    var script = NodeScript()
    script.streamed = { stream, message in
      asked.withLock { $0.append(Self.request(message)) }
      stream.send(Self.page(["a", "b"], token: "t1", slotsDone: 4_096))
      stream.send(Self.page([], token: "t2", slotsDone: 16_384, unreachable: "s2"))
      stream.finish()
    }
    try await ScriptedNode.with(script) { client, _ in
      let scan = client.scan(
        matching: .glob("a*"), type: .list, pageSize: 7, resumeToken: [1, 2], allowPartial: true,
        options: .init(database: 3))
      var pages: [RingstoreScanPage] = []
      for try await page in scan { pages.append(page) }
      #expect(pages.map(\.keys) == [["a", "b"].map { Array($0.utf8) }, []])
      #expect(pages.map(\.resumeToken) == [Array("t1".utf8), Array("t2".utf8)])
      #expect(pages.map(\.slotsDone) == [4_096, 16_384])
      #expect(pages.map(\.progress) == [0.25, 1])
      #expect(pages.map { $0.unreachable.map(\.shard) } == [[], ["s2"]])
      #expect(pages.last?.unreachable.first?.reason == .shardUnavailable)
    }
    let request = try #require(asked.withLock { $0.first })
    #expect(asked.withLock { $0.count } == 1)
    #expect(request.pattern.glob == .init("a*".utf8))
    #expect(request.type == .list)
    #expect(request.pageSize == 7)
    #expect(request.resumeToken == .init([1, 2]))
    #expect(request.allowPartial)
    #expect(request.database == 3)
  }

  @Test func keysComeOneByOneAcrossPages() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in
      for keys in [["a"], [], ["b", "c"], []] { stream.send(Self.page(keys, token: "t")) }
      stream.finish()
    }
    try await ScriptedNode.with(script) { client, _ in
      var keys: [[UInt8]] = []
      for try await key in client.scan().keys { keys.append(key) }
      #expect(keys == ["a", "b", "c"].map { Array($0.utf8) })
    }
  }

  @Test func aBrokenScanContinuesBehindItsLastPageThroughANewConnection() async throws {
    let tokens = Mutex<[String]>([])
    var script = NodeScript()
    script.streamed = { stream, message in
      let token = String(decoding: Self.request(message).resumeToken, as: UTF8.self)
      tokens.withLock { $0.append(token) }
      switch token {
      case "": stream.send(Self.page(["a"], token: "one"))
      case "one": stream.send(Self.page(["b"], token: "two"))
      default: stream.finish()
      }
    }
    try await ScriptedNode.with(script) { client, relay in
      var pages = client.scan().makeAsyncIterator()
      let first = try await pages.next()
      #expect(first?.keys == [[0x61]])
      relay.cut()
      let second = try await pages.next()
      #expect(second?.keys == [[0x62]])
      relay.cut()
      let end = try await pages.next()
      #expect(end == nil)
      let afterwards = try await pages.next()
      #expect(afterwards == nil)
      #expect(relay.accepted == 3)
    }
    #expect(tokens.withLock { $0 } == ["", "one", "two"])
  }

  @Test func aScanThatGetsNowhereIsGivenUp() async throws {
    let relay = Mutex<Relay?>(nil)
    let begun = Mutex(0)
    var script = NodeScript()
    script.streamed = { stream, _ in
      begun.withLock { $0 += 1 }
      relay.withLock { $0 }?.cut()
    }
    try await ScriptedNode.with(script) { client, node in
      relay.withLock { $0 = node }
      var pages = client.scan().makeAsyncIterator()
      let error = await failure { _ = try await pages.next() }
      #expect(error?.code == .unavailable)
      #expect(error?.isOutcomeUnknown == false)
      let end = try await pages.next()
      #expect(end == nil)
    }
    relay.withLock { $0 = nil }
    #expect(begun.withLock { $0 } == 4)
  }

  @Test func aCallWithAReplyIsNotSentAgain() async throws {
    let begun = Mutex(0)
    var script = NodeScript()
    script.streamed = { stream, _ in
      begun.withLock { $0 += 1 }
      let error = CallError(.shardUnavailable, "It is away.", shard: "s1")
      stream.send(Self.page(["a"], token: "t"))
      stream.finish(RPCStatus(.unavailable, error.message, details: error.details()))
    }
    try await ScriptedNode.with(script) { client, _ in
      var pages = client.scan().makeAsyncIterator()
      let first = try await pages.next()
      #expect(first?.keys == [[0x61]])
      let error = await failure { _ = try await pages.next() }
      #expect(error?.reason == .shardUnavailable)
      #expect(error?.shard == "s1")
    }
    #expect(begun.withLock { $0 } == 1)
  }

  @Test func withoutAServerAScanFailsAtOnce() async {
    let unreachable = RingstoreClient(host: "127.0.0.1", port: 1, configuration: .patient)
    var pages = unreachable.scan().makeAsyncIterator()
    let error = await failure { _ = try await pages.next() }
    #expect(error?.code == .unavailable)
    unreachable.close()
  }

  @Test func aSilentNodeEndsAScanByItsTimeout() async throws {
    var script = NodeScript()
    script.streamed = { _, _ in }
    try await ScriptedNode.with(script) { client, _ in
      var pages = client.scan(options: .init(timeout: .milliseconds(20))).makeAsyncIterator()
      #expect(await failure { _ = try await pages.next() }?.code == .deadlineExceeded)
    }
  }

  @Test func aPageThatCanNotBeReadEndsTheScan() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in stream.send(ByteBuffer(bytes: [0x0a, 0x05])) }
    try await ScriptedNode.with(script) { client, _ in
      var pages = client.scan().makeAsyncIterator()
      #expect(await failure { _ = try await pages.next() }?.code == .internal)
      let end = try await pages.next()
      #expect(end == nil)
    }
  }

  @Test func droppingTheIteratorEndsTheCall() async throws {
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { stream, _ in stream.send(Self.page(["a"], token: "t")) }
    script.ended = { _ in end.yield() }
    try await ScriptedNode.with(script) { client, _ in
      for try await _ in client.scan() { break }
      var iterator = ends.makeAsyncIterator()
      await iterator.next()
      // The connection is still the same, and in order.
      #expect(try await client.get("k") == nil)
    }
  }

  @Test func cancellingTheReaderEndsTheCall() async throws {
    let (begins, begin) = AsyncStream.makeStream(of: Void.self)
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { _, _ in begin.yield() }
    script.ended = { _ in end.yield() }
    try await ScriptedNode.with(script) { client, _ in
      let reader = Task { () -> RingstoreError? in
        await failure { for try await _ in client.scan() {} }
      }
      var iterator = begins.makeAsyncIterator()
      await iterator.next()
      reader.cancel()
      #expect(await reader.value?.code == .cancelled)
      var last = ends.makeAsyncIterator()
      await last.next()
    }
  }

  /// What may be on the way to a reader that doesn't read: the stream's window, what the client
  /// keeps, what the node keeps, and a page.
  private static let onTheWayMax = (1 << 20) + (1 << 20) + (256 << 10) + (128 << 10)

  @Test func nothingIsReadAheadBeyondAWindow() async throws {
    let pageBytes = 64 << 10
    let pageCount = 400
    let sent = Mutex(0)
    let taken = Mutex(0)
    let most = Mutex(0)
    var script = NodeScript()
    script.streamed = { stream, _ in
      let key = String(repeating: "k", count: pageBytes)
      func fill() {
        while stream.isWritable, sent.withLock({ $0 }) < pageCount {
          let number = sent.withLock { sent in
            sent += 1
            return sent
          }
          let ahead = number - taken.withLock { $0 }
          most.withLock { $0 = max($0, ahead * pageBytes) }
          stream.send(Self.page([key], token: "\(number)"))
        }
        if stream.isWritable { stream.finish() }
      }
      stream.writable = { fill() }
      fill()
    }
    try await ScriptedNode.with(script) { client, _ in
      for try await page in client.scan() {
        #expect(page.keys.first?.count == pageBytes)
        // Each reply is a turn of the node in which it would send more if it were let.
        if taken.withLock({ $0 }) < 50 {
          for _ in 0..<20 { _ = try await client.get("k") }
        }
        taken.withLock { $0 += 1 }
      }
    }
    #expect(taken.withLock { $0 } == pageCount)
    #expect(most.withLock { $0 } <= Self.onTheWayMax)
  }
}
