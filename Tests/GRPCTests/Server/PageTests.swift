// Pages for probes without gRPC, beside calls.

import NIOCore
import Testing

@testable import GRPC

@Suite struct PageTests {
  static let hello = ServerHarness.frame(Array("hello".utf8))
  static let get = [":method": "GET", "content-type": "", "te": ""]

  @Test func aPageIsALineOfText() throws {
    let harness = try ServerHarness()
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    harness.service.pages["/other"] = ServerPage(isOK: false, line: "not yet")
    let page = try harness.call("/page", Self.get, body: [])
    #expect(page.httpStatus == 200)
    #expect(String(decoding: page.body, as: UTF8.self) == "all is well\n")
    #expect(page.fields["content-length"] == "12")
    #expect(page.fields["content-type"] == "text/plain; charset=utf-8")
    #expect(page.trailers.isEmpty)
    #expect(page.closeCode == .noError)
    let other = try harness.call("/other", Self.get, body: [])
    #expect(other.httpStatus == 503)
    #expect(harness.handler.tally.open == 0)
    #expect(harness.handler.session.liveStreamCount == 0)
    #expect(harness.service.events.isEmpty)
  }

  @Test func headGetsTheHeadersAlone() throws {
    let harness = try ServerHarness()
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    let page = try harness.call(
      "/page", Self.get.merging([":method": "HEAD"]) { $1 }, body: [])
    #expect(page.httpStatus == 200)
    #expect(page.fields["content-length"] == "12")
    #expect(page.body.isEmpty)
    #expect(page.isTrailersOnly)
  }

  @Test(arguments: ["PUT", "DELETE", "OPTIONS", "GETS", "get"])
  func anyOtherMethodIs405(_ method: String) throws {
    let harness = try ServerHarness()
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    let page = try harness.call("/page", [":method": method], body: [])
    #expect(page.httpStatus == 405)
    #expect(page.fields["allow"] == "POST")
  }

  @Test func aPathWithoutAPageIs405() throws {
    let harness = try ServerHarness()
    #expect(try harness.call("/page", Self.get, body: []).httpStatus == 405)
    #expect(try harness.call(ScriptedService.unaryPath, Self.get, body: []).httpStatus == 405)
  }

  @Test func aRequestWithABodyGetsItsReplyBeforeItsEnd() throws {
    let harness = try ServerHarness()
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    let stream = try #require(harness.open("/page", Self.get))
    let id = stream.id
    harness.send(stream, Array(repeating: 1, count: 1_000))
    try harness.pump()
    #expect(harness.seen[id]?.httpStatus == 200)
    #expect(harness.seen[id]?.closeCode == .noError)
    #expect(try harness.call(body: Self.hello).status == "0")
  }

  @Test func aPageIsServedOnAConnectionAboveTheBounds() throws {
    var limits = ConnectionLimits()
    limits.maxConnections = 0
    let harness = try ServerHarness(limits: limits)
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    #expect(try harness.call("/page", Self.get, body: []).httpStatus == 200)
    #expect(try harness.call(body: Self.hello).status == "8")
  }

  @Test func whoRequestsPagesAllTheTimeIsNoFlood() throws {
    var configuration = ServerConfiguration()
    configuration.maxExcessResets = 0
    let harness = try ServerHarness(configuration)
    harness.service.pages["/page"] = ServerPage(isOK: true, line: "all is well")
    for _ in 0..<50 {
      #expect(try harness.call("/page", Self.get, body: []).httpStatus == 200)
    }
    #expect(harness.channel.isActive)
  }

  @Test func countsAreKeptForChannelz() throws {
    let harness = try ServerHarness(limits: ConnectionLimits())
    for _ in 0..<3 { try harness.call(body: Self.hello) }
    harness.service.onUnary = { call, _ in call.fail(RPCStatus(.notFound)) }
    try harness.call(body: Self.hello)
    let open = try #require(harness.open(ScriptedService.streamPath))
    harness.send(open, Self.hello + Self.hello)
    try harness.pump()
    let report = harness.handler.report
    #expect(report.calls == CallCounts(started: 5, succeeded: 3, failed: 1))
    #expect(report.messagesReceived == 6)
    #expect(report.messagesSent == 3)
    #expect(report.id == 1)
    try harness.channel.close().wait()
    harness.eventLoop.run()
    #expect(
      harness.loop.connections.goneCalls == CallCounts(started: 5, succeeded: 3, failed: 2))
  }
}
