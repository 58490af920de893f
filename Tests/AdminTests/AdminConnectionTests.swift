// The admin port on clients that are slow, wrong or hostile, in memory and on a clock of the test.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Admin

@Suite struct AdminConnectionTests {
  @Test(
    "What is no HTTP/1 request is refused, and the connection ends",
    arguments: [
      "\r\n\r\n\0\0", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
    ])
  func malformed(request: String) throws {
    let client = try AdminClient()
    client.send(request)
    #expect(client.received.hasPrefix("HTTP/1.1 400") || client.received.isEmpty)
    #expect(client.isClosed)
  }

  @Test(
    "A request that is refused has one reply, and what follows it has none",
    arguments: [
      "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n",
      "GET / HTTP/1.1\r\nA: " + String(repeating: "b", count: 40_000),
      "GET / HTTP/1.1\r\nHost\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
  func refusals(request: String) throws {
    let client = try AdminClient()
    client.send(request)
    #expect(client.received.components(of: "HTTP/1.1 ").count == 1, "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(
    "A request has one Host field, with a name or an address",
    arguments: [
      "", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", "Host: [evil.example\r\n",
      "Host: [evil.example]\r\n", "Host: [::1]evil\r\n", "Host: a:b\r\n", "Host: a b\r\n",
      "Host: a/b\r\n", "Host: u@a\r\n", "Host: ::1\r\n",
    ])
  func hosts(fields: String) throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\n\(fields)\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 400"), "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(
    "Hosts are names and addresses, with a port or without",
    arguments: ["a", "db.example:9464", "127.0.0.1", "127.0.0.1:1", "[::1]", "[fe80::1%25a]:9", ""])
  func goodHosts(host: String) throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 404"), "\(client.received)")
  }

  @Test(
    "The target of a request is a path or an http address",
    arguments: [
      "*", "nothing", "x:config", "ftp://a/nothing", "http:/nothing", "http:///nothing", "http://",
      "http://u@a/nothing", "http://[a]/nothing", "http://a b/nothing",
    ])
  func malformedTargets(target: String) throws {
    let client = try AdminClient()
    client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 400"), "\(client.received)")
    #expect(client.isClosed)
  }

  @Test(
    "An address has the host, the path and the query",
    arguments: [
      ("http://db.example:9464/a/b?c?d", "db.example:9464", "/a/b", "c?d"),
      ("HTTPS://a", "a", "/", ""), ("http://[::1]?c", "[::1]", "/", "c"),
      ("/a?", "field", "/a", ""), ("//a/b", "field", "//a/b", ""), ("/?/", "field", "/", "/"),
    ])
  func targets(uri: String, host: String, path: String, query: String) throws {
    let target = try RequestTarget(
      HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: ["Host": "field"]))
    #expect(target.host?.text == host)
    #expect(target.path == path && target.query == query)
  }

  @Test(
    "A client that would go on in another protocol has a reply, and the connection ends",
    arguments: [
      "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        + "HTTP2-Settings: AAA\r\n\r\n",
    ])
  func otherProtocols(request: String) throws {
    let client = try AdminClient()
    client.send(request + "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(client.received.components(of: "HTTP/1.1 ").count == 1, "\(client.received)")
    #expect(client.received.contains("connection: close"))
    #expect(client.isClosed)
  }

  @Test("A page that there is not is 404, and the connection goes on")
  func missing() throws {
    let client = try AdminClient()
    for _ in 0..<3 {
      #expect(client.exchange("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").hasPrefix("HTTP/1.1 404"))
    }
    #expect(!client.isClosed)
  }

  @Test(
    "Other methods than GET and HEAD are refused and named",
    arguments: ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
  func methods(method: String) throws {
    let client = try AdminClient()
    let answer = client.exchange("\(method) /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 405"))
    #expect(answer.contains("Allow: GET, HEAD"))
  }

  @Test("A request with a body is refused, and its connection ends")
  func bodies() throws {
    let client = try AdminClient()
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    #expect(client.received.hasPrefix("HTTP/1.1 413"))
    #expect(client.isClosed)
  }

  @Test("A client that asks whether to send a body has the reply at once")
  func announcedBodies() throws {
    let client = try AdminClient()
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    #expect(client.received.hasPrefix("HTTP/1.1 413"))
    #expect(client.isClosed)
  }

  @Test("A request's line and fields are bounded")
  func largeRequests() throws {
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

  @Test("A request in pieces of a byte is a request")
  func pieces() throws {
    let client = try AdminClient()
    for byte in "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".utf8 { client.send([byte]) }
    #expect(client.received.hasPrefix("HTTP/1.1 404"))
  }

  @Test("Requests in a row are answered in their order")
  func pipelining() throws {
    let client = try AdminClient()
    client.send(
      "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n"
        + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
    let codes = client.received.components(of: "HTTP/1.1 ").map { String($0.prefix(3)) }
    #expect(codes == ["404", "405", "404"])
  }

  @Test("Between two replies of a connection the event loop polls its sockets")
  func turns() throws {
    let client = try AdminClient()
    let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    let first = client.sendWithinTick(String(repeating: request, count: 100))
    #expect(first.components(of: "HTTP/1.1 404").count == 1)
    client.advance(seconds: 1)
    #expect(client.received.components(of: "HTTP/1.1 404").count == 100)
  }

  @Test("Connection: close and HTTP/1.0 end the connection behind the answer")
  func lastRequests() throws {
    for request in [
      "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n",
    ] {
      let client = try AdminClient()
      let answer = client.exchange(request)
      #expect(answer.contains("connection: close"))
      #expect(client.isClosed)
    }
  }

  @Test("HEAD has the headers of GET, and no body")
  func head() throws {
    let client = try AdminClient()
    let answer = client.exchange("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 404"))
    #expect(!answer.contains("content-length: 0"))
    #expect(answer.hasSuffix("\r\n\r\n"))
  }

  // MARK: - Time

  @Test("A client that doesn't come to the end of its request is cut")
  func slowRequests() throws {
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

  @Test("A request that begins behind another one has as long as others, and no longer")
  func slowRequestsBehindOthers() throws {
    let client = try AdminClient()
    client.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HT")
    #expect(client.received.hasPrefix("HTTP/1.1 404"))
    for _ in 0..<9 { client.advance(seconds: 1) }
    #expect(!client.isClosed)
    client.advance(seconds: 3)
    #expect(client.isClosed)
    #expect(client.connections.count(of: .slowHeaders) == 1)
  }

  @Test("A connection without a request is closed in the end, one with requests is not")
  func idleConnections() throws {
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

  @Test("A drain closes idle connections at once")
  func drains() throws {
    let client = try AdminClient()
    client.drain()
    #expect(client.isClosed)
  }

  @Test("Connections beyond the bound are not taken")
  func connectionBound() {
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
