// Streams and calls end with what they were made for: after any shape of load a connection keeps a
// bounded number of objects for reuse, and none when it is over. On both sides.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

/// Remembers objects without keeping them.
private final class Census {
  private struct Entry {
    weak var object: AnyObject?
  }

  private var seen: [ObjectIdentifier: Entry] = [:]
  /// Objects ever seen at the same time.
  private(set) var peak = 0

  func note(_ session: HTTP2Session) {
    for stream in session.liveStreams {
      note(stream)
      if let context = stream.context { note(context) }
    }
  }

  func note(_ object: AnyObject) {
    seen[ObjectIdentifier(object)] = Entry(object: object)
  }

  /// Objects of those that still exist.
  func alive() -> Int {
    seen = seen.filter { $0.value.object != nil }
    peak = max(peak, seen.count)
    return seen.count
  }
}

@Suite struct LiveObjectsTests {
  /// A shape of load; the census is taken meanwhile.
  enum Shape: String, CaseIterable {
    case manyStreams, halfMessages, cancels, serverResets, unread
  }

  static let calls = 400
  /// What the server's loop keeps for reuse, streams and their calls.
  static let keptMax = 100

  private static func path(_ shape: Shape) -> String {
    switch shape {
    case .manyStreams: "/t/Echo"
    case .halfMessages, .cancels: "/t/Never"
    case .serverResets: "/t/Unknown"
    case .unread: "/t/Count"
    }
  }

  private func load(_ pair: InMemoryPair, _ shape: Shape, _ census: Census) {
    pair.onRound = { [unowned pair] in
      census.note(pair.connection.session)
      census.note(pair.handler.session)
    }
    defer { pair.onRound = {} }
    let handlers = (0..<Self.calls).map { _ in RecordingHandler() }
    let calls = handlers.map { pair.start(Self.path(shape), $0) }
    for call in calls {
      switch shape {
      case .manyStreams, .cancels:
        call.send { $0.writeRepeatingByte(1, count: 100) }
        call.halfClose()
      case .halfMessages:
        guard let stream = call.stream else { continue }
        stream.outbound.writeBytes([0, 0, 0, 1, 0] + [UInt8](repeating: 1, count: 100))
        pair.connection.bodyChanged(stream)
      case .serverResets:
        call.send { $0.writeRepeatingByte(1, count: 100) }
      case .unread:
        call.send { $0.writeRepeatingByte(1, count: 200) }
        call.pauseReading()
      }
    }
    pair.exchange()
    _ = census.alive()
    if shape == .cancels { for call in calls { call.cancel() } }
    pair.exchange()
    if shape == .manyStreams { #expect(handlers.allSatisfy { $0.status == .ok }) }
    if shape == .serverResets {
      #expect(handlers.allSatisfy { $0.status?.code == .unimplemented })
    }
    if shape == .halfMessages || shape == .unread { for call in calls { call.cancel() } }
    pair.exchange()
  }

  @Test(arguments: Shape.allCases)
  func whatAConnectionKeepsAfterALoadIsBounded(_ shape: Shape) throws {
    let census = Census()
    let pair = try InMemoryPair(streams: HTTP2StreamPool(streamsMax: Self.keptMax))
    load(pair, shape, census)
    #expect(census.peak >= Self.calls)
    #expect(!pair.connection.isClosed)
    #expect(pair.connection.session.liveStreamCount == 0)
    #expect(pair.handler.session.liveStreamCount == 0)
    // The server's streams and calls, and the client's streams.
    #expect(census.alive() <= 2 * Self.keptMax + HTTP2StreamPool.sessionStreamsMax)
    #expect(pair.server.streams.count <= Self.keptMax)
    #expect(pair.server.streams.bytes <= HTTP2StreamPool.bytesMax)
  }

  @Test(arguments: Shape.allCases)
  func nothingIsLeftOfAConnectionThatIsClosed(_ shape: Shape) throws {
    let census = Census()
    do {
      let pair = try InMemoryPair()
      load(pair, shape, census)
      census.note(pair.connection)
      census.note(pair.handler)
      pair.clientChannel.close(promise: nil)
      pair.serverChannel.close(promise: nil)
      pair.exchange()
    }
    #expect(census.alive() == 0)
  }

  @Test(arguments: Shape.allCases, [true, false])
  func nothingIsLeftOfAConnectionThatIsDroppedInTheMiddle(
    _ shape: Shape, byServer: Bool
  ) throws {
    let census = Census()
    do {
      let pair = try InMemoryPair()
      let handlers = (0..<Self.calls).map { _ in RecordingHandler() }
      let calls = handlers.map { pair.start(Self.path(shape), $0) }
      for call in calls {
        call.send { $0.writeRepeatingByte(1, count: 100) }
        if shape == .cancels { call.halfClose() }
        if shape == .unread { call.pauseReading() }
      }
      for _ in 0..<3 {
        pair.loop.run()
        census.note(pair.connection.session)
        census.note(pair.handler.session)
        if let bytes = try pair.clientChannel.readOutbound(as: ByteBuffer.self) {
          try pair.serverChannel.writeInbound(bytes)
        }
      }
      census.note(pair.connection)
      census.note(pair.handler)
      _ = census.alive()
      #expect(census.peak >= Self.calls)
      let channel = byServer ? pair.serverChannel : pair.clientChannel
      channel.close(promise: nil)
      pair.exchange()
      pair.serverChannel.close(promise: nil)
      pair.exchange()
      #expect(handlers.allSatisfy { $0.endCount == 1 })
    }
    #expect(census.alive() == 0)
  }
}
