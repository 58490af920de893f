// Calls whose messages are in gzip, either way.

import NIOCore
import TestSeeds
import Testing

@testable import GRPC

@Suite struct CompressionTests {
  static let text = Array(repeating: UInt8(ascii: "a"), count: 5_000)
  static let hello = ServerHarness.frame(Array("hello".utf8))
  static let says = ["grpc-encoding": "gzip"]
  static let accepts = ["grpc-accept-encoding": "identity,deflate, gzip"]

  /// A message in gzip behind its prefix.
  static func frame(_ message: [UInt8]) -> [UInt8] {
    var buffer = ByteBuffer()
    let mark = MessageFrame.begin(&buffer)
    buffer.writeBytes(message)
    MessageFrame.end(mark, &buffer)
    MessageFrame.compress(mark, &buffer, GzipCodec())
    return Array(buffer.readableBytesView)
  }

  /// The messages of a body, inflated where they are flagged.
  static func messages(_ body: [UInt8]) throws -> [(isCompressed: Bool, bytes: [UInt8])] {
    var found: [(Bool, [UInt8])] = []
    try body.withUnsafeBytes { bytes in
      var rest = bytes
      while let message = try MessageFrame.next(
        in: &rest, limit: 1 << 30, acceptsCompressed: true)
      {
        let isCompressed = MessageFrame.isCompressed(message)
        let plain =
          isCompressed
          ? Array(try GzipCodec().inflate(message, limit: 1 << 30).readableBytesView)
          : Array(message)
        found.append((isCompressed, plain))
      }
    }
    return found
  }

  private func call(
    _ harness: ServerHarness, _ fields: [[String: String]], body: [UInt8],
    path: String = ScriptedService.unaryPath
  ) throws -> SeenCall {
    try harness.call(path, fields.reduce(into: [:]) { $0.merge($1) { $1 } }, body: body)
  }

  // MARK: - Requests

  @Test func aRequestInGzipIsInflated() throws {
    let harness = try ServerHarness()
    var wasCompressed = false
    harness.service.onUnary = { call, message in
      wasCompressed = call.wasMessageCompressed
      #expect(message == Self.text)
      call.respond { $0.writeString("x") }
    }
    #expect(try call(harness, [Self.says], body: Self.frame(Self.text)).status == "0")
    #expect(wasCompressed)
    #expect(harness.service.events == ["unary 5000"])
  }

  @Test func aCallThatNamesGzipMaySendPlainMessages() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, message in
      #expect(!call.wasMessageCompressed)
      call.respond { $0.writeBytes(message) }
    }
    #expect(try call(harness, [Self.says], body: Self.hello).body == Self.hello)
  }

  @Test(arguments: [[:], ["grpc-encoding": "identity"]])
  func aCompressedMessageWithoutAnEncodingIsInternal(_ fields: [String: String]) throws {
    let harness = try ServerHarness()
    #expect(try call(harness, [fields], body: Self.frame(Self.text)).status == "13")
    #expect(harness.service.events.isEmpty)
  }

  @Test(arguments: ["snappy", "deflate", "", "gzip,gzip"])
  func anyOtherEncodingIsUnimplementedAndOursAreNamed(_ encoding: String) throws {
    guard !encoding.isEmpty else { return }
    let harness = try ServerHarness()
    let seen = try call(
      harness, [["grpc-encoding": encoding]], body: Self.frame(Self.text))
    #expect(seen.isTrailersOnly)
    #expect(seen.status == "12")
    #expect(seen.fields["grpc-accept-encoding"] == "identity,gzip")
  }

  @Test func aMessageThatInflatesPastTheLimitIsResourceExhausted() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 4_999
    let harness = try ServerHarness(configuration)
    #expect(try call(harness, [Self.says], body: Self.frame(Self.text)).status == "8")
    #expect(harness.service.events.isEmpty)
    #expect(harness.handler.tally.open == 0)
  }

  @Test func brokenGzipIsInternal() throws {
    let harness = try ServerHarness()
    let broken: [UInt8] = [1, 0, 0, 0, 3, 9, 9, 9]
    #expect(try call(harness, [Self.says], body: broken).status == "13")
    let streamed = try call(
      harness, [Self.says], body: broken, path: ScriptedService.streamPath)
    #expect(streamed.status == "13")
    #expect(!harness.service.events.contains { $0.hasPrefix("message") })
  }

  /// Shown by messages that can't be inflated, and plain ones that need not be.
  @Test func aCallThatIsRefusedBeforeItsMessageIsInflatedEndsWithThatStatus() throws {
    let harness = try ServerHarness()
    harness.service.refusal = RPCStatus(.permissionDenied, "no")
    let broken: [UInt8] = [1, 0, 0, 0, 3, 9, 9, 9]
    for path in [ScriptedService.unaryPath, ScriptedService.streamPath] {
      let seen = try call(harness, [Self.says], body: broken, path: path)
      #expect(seen.status == "7", "\(path)")
    }
    #expect(harness.service.events == ["opened", "ended cancelled"])
    harness.service.events = []
    for path in [ScriptedService.unaryPath, ScriptedService.streamPath] {
      #expect(try call(harness, [Self.says], body: Self.hello, path: path).status == "0")
    }
    #expect(harness.service.events == ["unary 5", "opened", "message 5", "half-closed"])
  }

  @Test func aMessageBehindARefusedOneIsNotDelivered() throws {
    let harness = try ServerHarness()
    harness.service.refusal = RPCStatus(.permissionDenied, "no")
    let body = Self.hello + Self.frame(Self.text) + Self.hello
    let seen = try call(harness, [Self.says], body: body, path: ScriptedService.streamPath)
    #expect(seen.status == "7")
    #expect(harness.service.events == ["opened", "message 5", "ended cancelled"])
  }

  @Test func anUnknownFlagIsInternalInGzipToo() throws {
    let harness = try ServerHarness()
    #expect(try call(harness, [Self.says], body: [2, 0, 0, 0, 0]).status == "13")
  }

  @Test func messagesOfAStreamAreCompressedOrNotEachByItself() throws {
    let harness = try ServerHarness()
    var flags: [Bool] = []
    harness.service.onMessage = { call, _ in flags.append(call.wasMessageCompressed) }
    let body = Self.frame(Self.text) + Self.hello + Self.frame(Self.text)
    let stream = try #require(
      harness.open(ScriptedService.streamPath, Self.says))
    let id = stream.id
    // In pieces, so that one is gathered.
    for byte in body.prefix(40) {
      harness.send(stream, [byte])
      try harness.pump()
    }
    harness.send(stream, Array(body.dropFirst(40)), isLast: true)
    try harness.pump()
    #expect(flags == [true, false, true])
    #expect(
      harness.service.events
        == ["opened", "message 5000", "message 5", "message 5000", "half-closed"])
    #expect(harness.seen[id]?.status == "0")
  }

  @Test func aLargeMessageIsInflatedAndItsBlockIsNotHandedOut() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 8 << 20
    let harness = try ServerHarness(configuration)
    var random = SeededRandom(seed: 3)
    // Half of it gets shorter, so that its gzip is large as well.
    let large = (0..<(3 << 20)).map {
      UInt8($0 % 2 == 0 ? 0 : .random(in: 0...255, using: &random))
    }
    harness.service.onUnary = { call, message in
      #expect(message == large)
      #expect(call.messageBlock == nil)
      call.respond { $0.writeString("x") }
    }
    #expect(try call(harness, [Self.says], body: Self.frame(large)).status == "0")
  }

  @Test func callObjectsAreReusedWithoutTheirEncoding() throws {
    let harness = try ServerHarness()
    #expect(try call(harness, [Self.says], body: Self.frame(Self.text)).status == "0")
    #expect(try call(harness, [], body: Self.frame(Self.text)).status == "13")
    #expect(try call(harness, [], body: Self.hello).fields["grpc-encoding"] == nil)
  }

  // MARK: - Replies

  @Test func aRequestInGzipGetsAReplyInGzipIfTheClientAcceptsIt() throws {
    let harness = try ServerHarness()
    for (fields, isCompressed) in [([Self.says, Self.accepts], true), ([Self.says], false)] {
      let seen = try call(harness, fields, body: Self.frame(Self.text))
      #expect(seen.fields["grpc-encoding"] == (isCompressed ? "gzip" : nil))
      let messages = try Self.messages(seen.body)
      #expect(messages.map(\.isCompressed) == [isCompressed])
      #expect(messages.map(\.bytes) == [Self.text])
      #expect(seen.trailers == ["grpc-status": "0"])
    }
  }

  @Test func aShortReplyStaysAsItIs() throws {
    let harness = try ServerHarness()
    let seen = try call(harness, [Self.says, Self.accepts], body: Self.hello)
    #expect(seen.body == Self.hello)
  }

  @Test func nothingIsCompressedWithoutARequest() throws {
    let harness = try ServerHarness()
    let frame = ServerHarness.frame(Self.text)
    let seen = try call(harness, [Self.accepts], body: frame)
    #expect(seen.body == frame)
    #expect(seen.fields["grpc-encoding"] == nil)
  }

  @Test func aServiceMayCompressSomeMessagesAndNotOthers() throws {
    let harness = try ServerHarness()
    harness.service.onOpened = { call in
      #expect(call.offerGzip())
      call.send(compressed: true) { $0.writeBytes(Self.text) }
      call.send(compressed: false) { $0.writeBytes(Self.text) }
      call.send { $0.writeBytes(Self.text) }
      #expect(call.offerGzip(), "it is on offer already")
    }
    let seen = try call(harness, [Self.accepts], body: [], path: ScriptedService.streamPath)
    #expect(try Self.messages(seen.body).map(\.isCompressed) == [true, false, false])
    #expect(seen.fields["grpc-encoding"] == "gzip")
  }

  @Test(arguments: ["", "identity", "identity,deflate", "gzipped", "x-gzip"])
  func gzipIsNotOfferedToAClientThatDoesNotTakeIt(_ accepted: String) throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, message in
      #expect(!call.offerGzip())
      call.respond(compressed: true) { $0.writeBytes(message) }
    }
    let frame = ServerHarness.frame(Self.text)
    #expect(
      try call(harness, [["grpc-accept-encoding": accepted]], body: frame).body == frame)
  }

  @Test func theEncodingsAreNamedInTheFirstResponseOfAConnection() throws {
    let harness = try ServerHarness()
    let named = try (0..<3).map { _ in
      try harness.call(body: Self.hello).fields["grpc-accept-encoding"]
    }
    #expect(named == ["identity,gzip", nil, nil])
  }

  // MARK: - Metadata of the service's

  @Test func metadataGoesWithTheHeadersAndTheStatus() throws {
    let harness = try ServerHarness()
    var initial = Metadata()
    initial.add("x-first", "one")
    var trailing = Metadata()
    trailing.addBinary("x-last-bin", [0xab, 0xab, 0xab])
    harness.service.onUnary = { call, message in
      call.setTrailingMetadata(trailing)
      #expect(call.setInitialMetadata(initial))
      call.respond { $0.writeBytes(message) }
    }
    let seen = try harness.call(body: Self.hello)
    #expect(seen.fields["x-first"] == "one")
    #expect(seen.trailers == ["grpc-status": "0", "x-last-bin": "q6ur"])
    harness.service.onUnary = { call, _ in
      call.setInitialMetadata(initial)
      call.setTrailingMetadata(trailing)
      call.fail(RPCStatus(.notFound, "gone"))
    }
    let failed = try harness.call(body: Self.hello)
    #expect(failed.isTrailersOnly)
    #expect(failed.fields["x-first"] == "one")
    #expect(failed.fields["x-last-bin"] == "q6ur")
    #expect(failed.status == "5")
  }

  @Test func initialMetadataIsRefusedOnceHeadersAreOnTheirWay() throws {
    let harness = try ServerHarness()
    harness.service.onOpened = { call in
      call.send { $0.writeString("x") }
      #expect(!call.setInitialMetadata(Metadata()))
      #expect(!call.offerGzip())
    }
    let seen = try harness.call(ScriptedService.streamPath, Self.accepts, body: [])
    #expect(seen.status == "0")
  }
}
