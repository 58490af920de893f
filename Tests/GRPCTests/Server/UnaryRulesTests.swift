// What a server owes a unary call.

import NIOCore
import Testing

@testable import GRPC

@Suite struct UnaryRulesTests {
  static let hello = ServerHarness.frame(Array("hello".utf8))

  @Test func aReplyHasAMessageAndAStatus() throws {
    let harness = try ServerHarness()
    let call = try harness.call(body: Self.hello)
    #expect(call.httpStatus == 200)
    #expect(call.fields["content-type"] == "application/grpc")
    #expect(call.body == Self.hello)
    #expect(call.trailers == ["grpc-status": "0"])
    #expect(call.closeCode == .noError)
    #expect(harness.handler.tally.open == 0)
    #expect(harness.handler.session.liveStreamCount == 0)
  }

  @Test func aReplyThatIsHeldIsWrittenAfterTheRelease() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      harness.loop.flusher.hold()
      call.respond { $0.writeString("x") }
    }
    let held = try harness.call(body: Self.hello)
    #expect(held.httpStatus == nil)
    harness.loop.flusher.release()
    try harness.pump()
    #expect(harness.seen.values.map(\.status) == ["0"])
  }

  @Test func anEmptyMessageIsAMessage() throws {
    let harness = try ServerHarness()
    let call = try harness.call(body: ServerHarness.frame([]))
    #expect(call.body == ServerHarness.frame([]))
    #expect(call.status == "0")
  }

  @Test func theServiceResolvesAPathOnce() throws {
    let harness = try ServerHarness()
    for _ in 0..<5 { try harness.call(body: Self.hello) }
    #expect(harness.service.lookUps == 1)
  }

  @Test func callObjectsAreReusedWithoutLeftovers() throws {
    let harness = try ServerHarness()
    var objects: Set<ObjectIdentifier> = []
    harness.service.onUnary = { call, _ in
      #expect(call.context == nil)
      #expect(call.tag == 0)
      #expect(call.deadlineNanos == nil || objects.count == 0)
      objects.insert(ObjectIdentifier(call))
      call.context = harness.service
      call.tag = 7
      call.respond { $0.writeString("x") }
    }
    try harness.call(ScriptedService.unaryPath, ["grpc-timeout": "5S"], body: Self.hello)
    for _ in 0..<5 { try harness.call(body: Self.hello) }
    #expect(objects.count == 1)
  }

  @Test func anUnknownPathIsUnimplementedInTrailersOnly() throws {
    let harness = try ServerHarness()
    let call = try harness.call("/no/such", body: Self.hello)
    #expect(call.httpStatus == 200)
    #expect(call.isTrailersOnly)
    #expect(call.status == "12")
    #expect(call.message?.contains("/no/such") == true)
  }

  @Test(arguments: ["application/json", "application/grpc-web", "application/grpcx", ""])
  func anotherContentTypeIs415(_ type: String) throws {
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["content-type": type], body: Self.hello)
    #expect(call.httpStatus == 415)
    #expect(harness.service.events.isEmpty)
  }

  @Test(arguments: ["application/grpc+proto", "application/grpc;charset=utf-8"])
  func grpcSubtypesAreTaken(_ type: String) throws {
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["content-type": type], body: Self.hello)
    #expect(call.status == "0")
  }

  @Test func anotherMethodIs405() throws {
    let harness = try ServerHarness()
    let call = try harness.call(ScriptedService.unaryPath, [":method": "GET"], body: [])
    #expect(call.httpStatus == 405)
  }

  @Test func noMessageIsUnimplemented() throws {
    let harness = try ServerHarness()
    #expect(try harness.call(body: []).status == "12")
    #expect(harness.service.events.isEmpty)
  }

  @Test func twoMessagesAreUnimplemented() throws {
    let harness = try ServerHarness()
    #expect(try harness.call(body: Self.hello + Self.hello).status == "12")
    #expect(harness.service.events.isEmpty)
  }

  @Test(arguments: [1, 4, 5, 9])
  func aTruncatedMessageIsInternal(_ count: Int) throws {
    let harness = try ServerHarness()
    #expect(try harness.call(body: Array(Self.hello.prefix(count))).status == "13")
    #expect(harness.service.events.isEmpty)
  }

  @Test(arguments: [UInt8(1), 2, 0xff])
  func aFlagThatIsNotZeroIsInternal(_ flag: UInt8) throws {
    let harness = try ServerHarness()
    #expect(try harness.call(body: [flag] + Self.hello.dropFirst()).status == "13")
  }

  @Test func anUnknownEncodingIsUnimplementedAndNamesOurs() throws {
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["grpc-encoding": "snappy"], body: Self.hello)
    #expect(call.status == "12")
    #expect(call.fields["grpc-accept-encoding"] == "identity,gzip")
  }

  @Test func anOverlongMessageIsRefusedBeforeItIsThere() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 1_000
    let harness = try ServerHarness(configuration)
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, [0, 0, 0, 0x03, 0xe9])
    try harness.pump()
    let call = try #require(harness.seen[1])
    #expect(call.status == "8")
    #expect(call.isTrailersOnly)
    #expect(call.closeCode == .noError, "a NO_ERROR reset follows, the client had not ended")
  }

  @Test func aMessageAtTheLimitIsTaken() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 300_000
    configuration.streamWindowBytes = 70_000
    let harness = try ServerHarness(configuration)
    let body = ServerHarness.frame(Array(repeating: 3, count: 300_000))
    #expect(try harness.call(body: body).body == body)
  }

  @Test func unfinishedMessagesAreBoundedForAConnection() throws {
    var configuration = ServerConfiguration()
    configuration.maxBufferedBytes = 100_000
    let harness = try ServerHarness(configuration)
    let part = Array(ServerHarness.frame(Array(repeating: 3, count: 90_000)).prefix(60_000))
    for _ in 0..<2 { harness.send(try #require(harness.open(ScriptedService.unaryPath)), part) }
    try harness.pump()
    // Their frames take turns, so either may be the one that goes too far.
    #expect([1, 3].compactMap { harness.seen[$0]?.status } == ["8"])
    #expect(harness.handler.callBytes.unfinished == 60_000)
  }

  @Test func errorsCarryMessageDetailsAndPushback() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      call.fail(
        RPCStatus(.unavailable, "shard 3 ist müde", details: [1, 2, 3], pushbackMillis: -1))
    }
    let call = try harness.call(body: Self.hello)
    #expect(call.isTrailersOnly)
    #expect(call.status == "14")
    #expect(call.message == "shard 3 ist m%C3%BCde")
    #expect(call.fields["grpc-status-details-bin"] == "AQID")
    #expect(call.fields["grpc-retry-pushback-ms"] == "-1")
  }

  @Test func aCallGetsOneReply() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { call, _ in
      call.respond { $0.writeString("first") }
      call.respond { $0.writeString("second") }
      call.fail(RPCStatus(.internal))
    }
    let call = try harness.call(body: Self.hello)
    #expect(call.body == ServerHarness.frame(Array("first".utf8)))
    #expect(call.status == "0")
  }

  @Test func aReplyMayComeInALaterTick() throws {
    let harness = try ServerHarness()
    var waiting: ServerCall?
    harness.service.onUnary = { call, _ in waiting = call }
    _ = try harness.call(body: Self.hello)
    #expect(harness.seen[1] == nil)
    try #require(waiting).respond { $0.writeString("late") }
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame(Array("late".utf8)))
  }

  @Test func metadataIsReadOnDemand() throws {
    let harness = try ServerHarness()
    var text: String?
    harness.service.onUnary = { call, _ in
      text = call.metadata.firstText("x-who")
      call.respond { _ in }
    }
    try harness.call(ScriptedService.unaryPath, ["x-who": "me"], body: Self.hello)
    #expect(text == "me")
  }

  @Test func tooManyHeadersAreResourceExhausted() throws {
    let harness = try ServerHarness()
    var fields: [String: String] = [:]
    for index in 0..<120 { fields["x-\(index)"] = "v" }
    #expect(try harness.call(ScriptedService.unaryPath, fields, body: Self.hello).status == "8")
  }
}
