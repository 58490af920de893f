// Every command from every callback of an owner, in both roles. nghttp2 crashes when it is
// re-entered from its callbacks; these show that an owner can't make it happen.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct ReentrancyTests {
  /// One thing an owner may do in the middle of an event.
  enum Deed: CaseIterable {
    case reply, replyAndFinish, reset, consumeAll, recycle, ping, announce, shutDown, terminate
    case connectionLost, openAnother, writeNow, receiveGarbage, nestedDrain, releaseContexts
  }

  static func perform(_ deed: Deed, _ session: HTTP2Session, _ stream: HTTP2Stream) {
    switch deed {
    case .reply:
      session.submitResponse(stream, headers: Sample.response)
      stream.outbound.writeString("x")
      session.bodyChanged(stream)
    case .replyAndFinish:
      session.submitResponse(stream, headers: Sample.response)
      stream.outbound.writeString("x")
      session.finish(stream, trailers: Sample.trailers)
      session.finish(stream)
    case .reset: session.reset(stream, code: .cancel)
    case .consumeAll: session.consume(stream, .max)
    case .recycle: session.recycle(stream)
    case .ping: session.ping(payload: 1)
    case .announce: session.announceShutdown()
    case .shutDown: session.shutDown()
    case .terminate: session.terminate(code: .enhanceYourCalm, debug: "enough")
    case .connectionLost: session.connectionLost()
    case .openAnother: _ = session.submitRequest(InMemoryWire.requestHeaders())
    case .writeNow:
      var buffer = ByteBuffer()
      session.writePending(into: &buffer)
    case .receiveGarbage:
      [UInt8](repeating: 0xff, count: 40).withUnsafeBytes { session.receive($0) }
    case .nestedDrain:
      session.forEachTouchedStream { _ in }
      while session.nextConnectionEvent() != nil {}
    case .releaseContexts: session.releaseContexts()
    }
  }

  @Test(arguments: Deed.allCases, Deed.allCases)
  func anyTwoDeedsAtAnyEventAreSafe(_ first: Deed, _ second: Deed) throws {
    let wire = try InMemoryWire()
    var budget = 200
    let act: (HTTP2Session, HTTP2Stream) -> Void = { session, stream in
      guard budget > 0 else { return }
      budget -= 1
      Self.perform(first, session, stream)
      Self.perform(second, session, stream)
    }
    wire.onServer = act
    wire.onClient = act
    for _ in 0..<3 {
      let stream = wire.request(body: Array(repeating: 1, count: 20_000))
      if let stream { wire.client.reset(stream, code: .cancel) }
      _ = wire.request(body: [1, 2, 3])
      _ = wire.request()
    }
    wire.pump()
    wire.server.connectionLost()
    wire.client.connectionLost()
    wire.drain()
    #expect(wire.server.liveStreamCount == 0 || first == .nestedDrain || second == .nestedDrain)
  }

  @Test func commandsOnARecycledStreamDoNothing() throws {
    let wire = try InMemoryWire()
    var kept: HTTP2Stream?
    wire.onServer = { session, stream in
      kept = stream
      Sample.echo(session, stream)
    }
    _ = wire.request(body: [1])
    wire.pump()
    let stale = try #require(kept)
    #expect(stale.id == 0)
    for deed in Deed.allCases where deed != .connectionLost && deed != .terminate {
      Self.perform(deed, wire.server, stale)
    }
  }
}
