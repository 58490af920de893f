// The admin port on clients that are slow, wrong or hostile, in memory and on a clock of the test.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
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

  @Test func aPageThatThereIsNotIs404AndTheConnectionGoesOn() throws {
    let client = try AdminClient()
    for _ in 0..<3 {
      #expect(client.exchange("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").hasPrefix("HTTP/1.1 404"))
    }
    #expect(!client.isClosed)
  }

  @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
  func otherMethodsThanGETAndHEADAreRefusedAndNamed(method: String) throws {
    let client = try AdminClient()
    let answer = client.exchange("\(method) /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 405"))
    #expect(answer.contains("Allow: GET, HEAD"))
  }

  @Test func aRequestWithABodyIsRefusedAndItsConnectionEnds() throws {
    let client = try AdminClient()
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
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

  @Test func requestsInARowAreAnsweredInTheirOrder() throws {
    let client = try AdminClient()
    client.send(
      "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n"
        + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
    let codes = client.received.components(of: "HTTP/1.1 ").map { String($0.prefix(3)) }
    #expect(codes == ["404", "405", "404"])
  }

  @Test func connectionCloseAndHTTP1To0EndTheConnectionBehindTheAnswer() throws {
    for request in [
      "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n",
    ] {
      let client = try AdminClient()
      let answer = client.exchange(request)
      #expect(answer.contains("connection: close"))
      #expect(client.isClosed)
    }
  }

  @Test func headHasTheHeadersOfGETAndNoBody() throws {
    let client = try AdminClient()
    let answer = client.exchange("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 404"))
    #expect(!answer.contains("content-length: 0"))
    #expect(answer.hasSuffix("\r\n\r\n"))
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
