// Replies in pieces: whole, slow, and cut off.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct PieceTests {
  static let hello = ServerHarness.frame([1])

  /// A client whose streams take this much before they are read.
  func harness(window: Int32, reads: Bool = true) throws -> ServerHarness {
    var client = HTTP2Configuration()
    client.streamWindowBytes = window
    let harness = try ServerHarness(client: client)
    harness.clientConsumes = reads
    return harness
  }

  func append(_ call: ServerCall, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { call.appendToMessage($0) }
  }

  @Test func aUnaryReplyInPiecesIsOneMessage() throws {
    let harness = try ServerHarness()
    var open: ServerCall?
    harness.service.onUnary = { call, _ in open = call }
    try harness.call(body: Self.hello)
    let call = try #require(open)
    call.beginMessage(byteCount: 6)
    #expect(call.missingMessageBytes == 6)
    try harness.pump()
    #expect(harness.seen[1]?.httpStatus == 200, "the headers go first")
    for piece in [[1, 2], [], [3, 4, 5], [6]] as [[UInt8]] {
      append(call, piece)
      try harness.pump()
    }
    #expect(call.missingMessageBytes == 0)
    call.finish(.ok)
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame([1, 2, 3, 4, 5, 6]))
    #expect(harness.seen[1]?.status == "0")
    #expect(harness.service.events == ["unary 1"])
  }

  @Test func anEmptyMessageNeedsNoPiece() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: 0)
      call.finish(.ok)
    }
    let seen = try harness.call(body: Self.hello)
    #expect(seen.body == ServerHarness.frame([]))
    #expect(seen.status == "0")
  }

  @Test func aStreamMixesWholeMessagesAndMessagesInPieces() throws {
    let harness = try ServerHarness()
    harness.service.onMessage = { call, _ in
      call.send { $0.writeBytes([7]) }
      for _ in 0..<2 {
        call.beginMessage(byteCount: 3)
        self.append(call, [1])
        self.append(call, [2, 3])
      }
      call.send { $0.writeBytes([8]) }
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, Self.hello, isLast: true)
    try harness.pump()
    let expected = [[7], [1, 2, 3], [1, 2, 3], [8]].flatMap { ServerHarness.frame($0) }
    #expect(harness.seen[1]?.body == expected)
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aUnaryReplyContinuesAsTheClientReadsIt() throws {
    let harness = try harness(window: 65_535, reads: false)
    var given = 0
    let total = 3 << 20
    func give(_ call: ServerCall) {
      while given < total, call.isWritable {
        let piece = min(64 << 10, total - given)
        given += piece
        append(call, Array(repeating: 5, count: piece))
      }
      if given == total { call.finish(.ok) }
    }
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: total)
      give(call)
    }
    harness.service.onWritable = { give($0) }
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    try harness.pump()
    #expect(given <= 65_535 + (256 << 10) + (64 << 10), "the client has taken only its window")
    harness.clientConsumes = true
    harness.client.consume(stream, .max)
    try harness.pump()
    #expect(given == total)
    #expect(harness.seen[1]?.body.count == total + 5)
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aLargeReplyThatIsReadyIsCopiedOnlyAsTheClientReadsIt() throws {
    let harness = try harness(window: 65_535, reads: false)
    let message = (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 / 251) }
    var reply: ChunkedReply?
    harness.service.onUnary = { call, _ in
      reply = ChunkedReply(ByteBuffer(bytes: message), to: call)
      reply?.start()
    }
    harness.service.onWritable = { _ in reply?.resume() }
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    try harness.pump()
    #expect(harness.handler.session.outboundBytes <= (256 << 10) + (64 << 10))
    harness.clientConsumes = true
    harness.client.consume(stream, .max)
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame(message))
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func failingBeforeAnythingWasSentIsAnOrdinaryError() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: 1_000)
      self.append(call, Array(repeating: 5, count: 500))
      call.fail(RPCStatus(.aborted, "view expired"))
    }
    let seen = try harness.call(body: Self.hello)
    #expect(seen.body.isEmpty)
    #expect(seen.status == "10")
    #expect(harness.handler.session.outboundBytes == 0)
  }

  @Test func failingWithinAMessageCutsItAndSendsTheStatus() throws {
    let harness = try harness(window: 65_535, reads: false)
    var open: ServerCall?
    harness.service.onMessage = { call, _ in
      open = call
      call.send { $0.writeBytes([7]) }
      call.beginMessage(byteCount: 1_000_000)
      self.append(call, Array(repeating: 5, count: 500_000))
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, Self.hello)
    try harness.pump()
    try #require(open).fail(RPCStatus(.aborted, "view expired"))
    #expect(harness.handler.session.outboundBytes == 0, "what was not sent is taken back")
    // The trailers need no window.
    try harness.pump()
    let seen = try #require(harness.seen[1])
    #expect(seen.body.count == 65_535)
    #expect(seen.trailers["grpc-status"] == "10")
    #expect(seen.closeCode == .noError)
    #expect(harness.service.events == ["opened", "message 1"])
  }

  @Test func whatWasWholeIsSentBeforeTheFailure() throws {
    let harness = try ServerHarness()
    harness.service.onMessage = { call, _ in
      call.send { $0.writeBytes([7]) }
      call.beginMessage(byteCount: 10)
      self.append(call, [1, 2, 3])
      call.finish(RPCStatus(.unavailable))
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, Self.hello)
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame([7]))
    #expect(harness.seen[1]?.status == "14")
  }

  @Test func aDeadlineWithinAMessageEndsTheCall() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: 100)
      self.append(call, [1])
    }
    try harness.call(ScriptedService.unaryPath, ["grpc-timeout": "1S"], body: Self.hello)
    harness.eventLoop.advanceTime(by: .seconds(1))
    try harness.pump()
    #expect(harness.seen[1]?.status == "4")
    #expect(harness.service.events == ["unary 1", "ended deadline"])
  }

  @Test func aClientThatCancelsWithinAMessageEndsTheCall() throws {
    let harness = try ServerHarness()
    var open: ServerCall?
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: 100)
      call.reserveOutbound(bytes: 100)
      self.append(call, [1])
      open = call
    }
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    try harness.pump()
    #expect(try #require(open).bytes.reserved == 99)
    harness.client.reset(stream, code: .cancel)
    try harness.pump()
    #expect(harness.service.events == ["unary 1", "ended cancelled"])
    #expect(harness.handler.callBytes.reserved == 0)
    // The object is new again for the next call.
    harness.service.onUnary = { call, message in call.respond { $0.writeBytes(message) } }
    #expect(try harness.call(body: Self.hello).body == Self.hello)
  }

  @Test func aFieldOfTheRequestCanBeReadAlone() throws {
    let harness = try ServerHarness()
    var lane: [UInt8]?
    var missing: [UInt8]?
    var counts: [Int] = []
    harness.service.onOpened = { call in
      lane = call.firstMetadata("ringstore-lane")
      missing = call.firstMetadata("ringstore-lan")
      counts = [
        call.metadataValues("ringstore-lane").count, call.metadataValues("ringstore-lan").count,
      ]
    }
    _ = harness.open(ScriptedService.streamPath, ["ringstore-lane": "bulk"])
    try harness.pump()
    #expect(lane == Array("bulk".utf8))
    #expect(missing == nil)
    #expect(counts == [1, 0])
  }
}

@Suite struct ConnectionRoomTests {
  /// Calls that each want to reply with 50,000 bytes in pieces of 10,000, on a connection that may
  /// hold 100,000: they ask for a piece only when there is room, and get it a tick later.
  final class Replies {
    let harness: ServerHarness
    var given: [ObjectIdentifier: Int] = [:]
    var asked: [ServerCall] = []
    var peakBytes = 0
    let total = 50_000

    init(_ harness: ServerHarness) {
      self.harness = harness
      harness.service.onUnary = { [unowned self] call, _ in
        call.beginMessage(byteCount: total)
        given[ObjectIdentifier(call)] = 0
        call.awaitRoom()
      }
      harness.service.onWritable = { [unowned self] call in
        call.reserveOutbound(bytes: 10_000)
        asked.append(call)
      }
    }

    /// What was asked for arrives.
    func arrive() {
      let calls = asked
      asked = []
      for call in calls {
        let name = ObjectIdentifier(call)
        Array(repeating: UInt8(1), count: 10_000).withUnsafeBytes { call.appendToMessage($0) }
        given[name, default: 0] += 10_000
        if given[name] == total { call.finish(.ok) } else { call.awaitRoom() }
      }
      let handler = harness.handler
      peakBytes = max(peakBytes, handler.session.outboundBytes + handler.callBytes.reserved)
    }
  }

  @Test func largeRepliesOfOneConnectionStayWithinItsBoundAndAllArrive() throws {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 100_000
    var client = HTTP2Configuration()
    client.streamWindowBytes = 20_000
    let harness = try ServerHarness(configuration, client: client)
    harness.clientConsumes = false
    let replies = Replies(harness)
    let streams = try (0..<40).map { _ -> HTTP2Stream in
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, ServerHarness.frame([1]), isLast: true)
      return stream
    }
    for _ in 0..<20 {
      try harness.pump()
      replies.arrive()
    }
    #expect(!harness.handler.hasOutboundRoom)
    #expect(replies.peakBytes <= 100_000 + 10_000 + 40 * 5)
    #expect(harness.seen.values.allSatisfy { $0.status == nil })

    harness.clientConsumes = true
    for stream in streams { harness.client.consume(stream, .max) }
    for _ in 0..<400 {
      try harness.pump()
      replies.arrive()
    }
    #expect(replies.peakBytes <= 100_000 + 10_000 + 40 * 5)
    #expect(harness.seen.values.filter { $0.status == "0" && $0.body.count == 50_005 }.count == 40)
    #expect(harness.handler.callBytes.reserved == 0)
    #expect(harness.handler.hasOutboundRoom)
  }

  @Test func awaitingRoomThatIsThereIsReportedOnceAndNotFromWithin() throws {
    let harness = try ServerHarness()
    var open: ServerCall?
    harness.service.onOpened = { open = $0 }
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    let call = try #require(open)
    call.awaitRoom()
    call.awaitRoom()
    #expect(harness.service.events == ["opened"])
    try harness.pump()
    try harness.pump()
    #expect(harness.service.events == ["opened", "writable"])
  }

  @Test func aCallThatWaitsForItsOwnWindowContinuesWhenThatOpens() throws {
    var client = HTTP2Configuration()
    client.streamWindowBytes = 20_000
    let harness = try ServerHarness(client: client)
    harness.clientConsumes = false
    var open: ServerCall?
    harness.service.onOpened = { open = $0 }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    try harness.pump()
    let call = try #require(open)
    call.send { $0.writeRepeatingByte(1, count: 400_000) }
    try harness.pump()
    call.awaitRoom()
    try harness.pump()
    #expect(harness.service.events == ["opened"])
    harness.clientConsumes = true
    harness.client.consume(stream, .max)
    try harness.pump()
    #expect(harness.service.events == ["opened", "writable"])
  }
}
