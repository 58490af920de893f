// The admin port on clients that are slow, wrong or hostile, in memory and on a clock of the test.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Admin

@Suite struct AdminConnectionTests {
  @Test(arguments: [
    "\r\n\r\n\0\0", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
  ])
  func whatIsNoHTTP1RequestIsRefusedAndTheConnectionEnds(request: String) throws {
    let client = try AdminClient()
    client.send(request)
    #expect(client.received.hasPrefix("HTTP/1.1 400") || client.received.isEmpty)
    #expect(client.isClosed)
  }

  @Test(arguments: [
    "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n",
    "GET / HTTP/1.1\r\nA: " + String(repeating: "b", count: 40_000),
    "GET / HTTP/1.1\r\nHost\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
  ])
  func aRequestThatIsRefusedHasOneReplyAndWhatFollowsItHasNone(request: String) throws {
    let client = try AdminClient()
    client.send(request)
    #expect(client.received.components(of: "HTTP/1.1 ").count == 1, "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(arguments: [
    "", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", "Host: [evil.example\r\n",
    "Host: [evil.example]\r\n", "Host: [::1]evil\r\n", "Host: a:b\r\n", "Host: a b\r\n",
    "Host: a/b\r\n", "Host: u@a\r\n", "Host: ::1\r\n",
  ])
  func aRequestHasOneHostFieldWithANameOrAnAddress(fields: String) throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\n\(fields)\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 400"), "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(arguments: [
    "a", "db.example:9464", "127.0.0.1", "127.0.0.1:1", "[::1]", "[fe80::1%25a]:9", "",
  ])
  func hostsAreNamesAndAddressesWithAPortOrWithout(host: String) throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 404"), "\(client.received)")
  }

  @Test(arguments: [
    "*", "nothing", "x:config", "ftp://a/nothing", "http:/nothing", "http:///nothing", "http://",
    "http://u@a/nothing", "http://[a]/nothing", "http://a b/nothing",
  ])
  func theTargetOfARequestIsAPathOrAnHttpAddress(target: String) throws {
    let client = try AdminClient()
    client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 400"), "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(arguments: [
    ("http://db.example:9464/a/b?c?d", "db.example:9464", "/a/b", "c?d"),
    ("HTTPS://a", "a", "/", ""), ("http://[::1]?c", "[::1]", "/", "c"),
    ("/a?", "field", "/a", ""), ("//a/b", "field", "//a/b", ""), ("/?/", "field", "/", "/"),
  ])
  func anAddressHasTheHostThePathAndTheQuery(uri: String, host: String, path: String, query: String)
    throws
  {
    let target = try RequestTarget(
      HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: ["Host": "field"]))
    #expect(target.host?.text == host)
    #expect(target.path == path && target.query == query)
  }

  @Test(arguments: [
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      + "HTTP2-Settings: AAA\r\n\r\n",
  ])
  func aClientThatRequestsAnotherProtocolGetsAReplyAndTheConnectionEnds(request: String) throws {
    let client = try AdminClient()
    client.send(request + "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(client.received.components(of: "HTTP/1.1 ").count == 1, "\(client.received)")
    #expect(client.received.contains("connection: close"))
    #expect(client.isClosed)
  }

  @Test func aPageThatThereIsNotIs404AndTheConnectionContinues() throws {
    let client = try AdminClient()
    for _ in 0..<3 {
      #expect(client.exchange("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").hasPrefix("HTTP/1.1 404"))
    }
    #expect(!client.isClosed)
  }

  @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
  func otherMethodsThanGETAndHEADAreRefusedAndNamed(method: String) throws {
    let client = try AdminClient()
    let reply = client.exchange("\(method) /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 405"))
    #expect(reply.contains("Allow: GET, HEAD"))
  }

  @Test func aRequestWithABodyIsRefusedAndItsConnectionEnds() throws {
    let client = try AdminClient()
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    #expect(client.received.hasPrefix("HTTP/1.1 413"))
    #expect(client.isClosed)
  }

  @Test func aClientThatAsksWhetherToSendABodyHasTheReplyAtOnce() throws {
    let client = try AdminClient()
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 413"))
    #expect(client.isClosed)
  }

  @Test func aRequestsLineAndFieldsAreBounded() throws {
    for request in [
      "GET /" + String(repeating: "a", count: 20_000),
      "GET / HTTP/1.1\r\nA: " + String(repeating: "b", count: 20_000),
      "GET / HTTP/1.1\r\n" + String(repeating: "C: d\r\n", count: 100) + "\r\n",
    ] {
      let client = try AdminClient()
      client.send(request)
      #expect(client.received.hasPrefix("HTTP/1.1 4") || client.received.isEmpty)
      #expect(client.isClosed)
    }
  }

  @Test func aRequestInPiecesOfAByteIsARequest() throws {
    let client = try AdminClient()
    for byte in "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".utf8 { client.send([byte]) }
    #expect(client.received.hasPrefix("HTTP/1.1 404"))
  }

  @Test func requestsInARowGetTheirRepliesInOrder() throws {
    let client = try AdminClient()
    client.send(
      "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n"
        + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
    let codes = client.received.components(of: "HTTP/1.1 ").map { String($0.prefix(3)) }
    #expect(codes == ["404", "405", "404"])
  }

  @Test func betweenTwoRepliesOfAConnectionTheEventLoopPollsItsSockets() throws {
    let client = try AdminClient()
    let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    let first = client.sendWithinTick(String(repeating: request, count: 100))
    #expect(first.components(of: "HTTP/1.1 404").count == 1)
    client.advance(seconds: 1)
    #expect(client.received.components(of: "HTTP/1.1 404").count == 100)
  }

  @Test func connectionCloseAndHTTP10EndTheConnectionBehindTheReply() throws {
    for request in [
      "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n",
    ] {
      let client = try AdminClient()
      let reply = client.exchange(request)
      #expect(reply.contains("connection: close"))
      #expect(client.isClosed)
    }
  }

  @Test func headHasTheHeadersOfGETAndNoBody() throws {
    let client = try AdminClient()
    let reply = client.exchange("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 404"))
    #expect(!reply.contains("content-length: 0"))
    #expect(reply.hasSuffix("\r\n\r\n"))
  }

  // MARK: - Time

  @Test func aClientThatDoesNotComeToTheEndOfItsRequestIsCut() throws {
    let client = try AdminClient()
    client.send("GET /metrics HTTP/1.1\r\n")
    for _ in 0..<9 {
      client.advance(seconds: 1)
      client.send("X: y\r\n")
    }
    #expect(!client.isClosed)
    client.advance(seconds: 3)
    #expect(client.isClosed)
    #expect(client.connections.count(of: .slowHeaders) == 1)
  }

  @Test func aRequestThatBeginsBehindAnotherOneHasAsLongAsOthersAndNoLonger() throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HT")
    #expect(client.received.hasPrefix("HTTP/1.1 404"))
    for _ in 0..<9 { client.advance(seconds: 1) }
    #expect(!client.isClosed)
    client.advance(seconds: 3)
    #expect(client.isClosed)
    #expect(client.connections.count(of: .slowHeaders) == 1)
  }

  @Test func aConnectionWithoutARequestIsClosedInTheEndOneWithRequestsIsNot() throws {
    let (idle, busy) = (try AdminClient(), try AdminClient())
    for _ in 0..<3 {
      idle.advance(seconds: 61)
      busy.advance(seconds: 61)
      _ = busy.exchange("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    }
    #expect(idle.isClosed)
    #expect(!busy.isClosed)
    #expect(idle.connections.count(of: .idle) == 1)
  }

  @Test func aDrainClosesIdleConnectionsAtOnce() throws {
    let client = try AdminClient()
    client.drain()
    #expect(client.isClosed)
  }

  @Test func connectionsBeyondTheBoundAreNotTaken() {
    var limits = AdminLimits()
    limits.connectionsMax = 2
    let connections = AdminServer.connections(limits)
    let places = (0..<3).map { _ in connections.admit(nil) }
    #expect(places.map { $0 != nil } == [true, true, false])
    places[0]?.close()
    #expect(connections.admit(nil) != nil)
  }
}

extension String {
  fileprivate func components(of mark: String) -> [Substring] {
    var rest = self[...]
    var found: [Substring] = []
    while let start = rest.firstRange(of: mark) {
      rest = rest[start.upperBound...]
      found.append(rest)
    }
    return found
  }
}
