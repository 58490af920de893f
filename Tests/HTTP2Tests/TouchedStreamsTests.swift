// The list of touched streams, and what happens to streams that end while they are on it or in use.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct TouchedStreamsTests {
  private let streams = (0..<4).map { _ in HTTP2Stream() }

  private func order(_ list: inout TouchedStreams) -> [Int?] {
    var order: [Int?] = []
    while let stream = list.popFirst()?.takeUnretainedValue() {
      order.append(streams.firstIndex { $0 === stream })
    }
    return order
  }

  @Test func firstComeFirstServed() {
    var list = TouchedStreams()
    for stream in streams { list.append(stream) }
    #expect(streams.allSatisfy { $0.isTouched })
    #expect(order(&list) == [0, 1, 2, 3])
    #expect(streams.allSatisfy { !$0.isTouched && $0.nextTouched == nil })
    list.append(streams[2])
    list.append(streams[0])
    #expect(order(&list) == [2, 0])
  }

  @Test(arguments: 0..<4)
  func oneIsRemovedFromAnyPlace(_ place: Int) {
    var list = TouchedStreams()
    for stream in streams { list.append(stream) }
    list.remove(streams[place])
    #expect(!streams[place].isTouched)
    list.append(streams[place])
    #expect(order(&list) == (0..<4).filter { $0 != place } + [place])
  }

  @Test func aStreamRecycledOnTheListIsNotThereAnyMore() throws {
    let pool = HTTP2StreamPool(streamsMax: 4)
    let wire = try InMemoryWire(pool: pool)
    var seen: [HTTP2Stream] = []
    wire.onServer = { _, stream in seen.append(stream) }
    for _ in 0..<3 { _ = wire.request(body: [1]) }
    wire.pump()
    try #require(seen.count >= 3)
    // All are closed and touched; one of them ends before its turn comes.
    wire.server.connectionLost()
    wire.server.recycle(seen[1])
    #expect(pool.count == 1)
    seen = []
    wire.drain()
    #expect(seen.count == 2)
    // In another session it is touched like any other.
    let other = try InMemoryWire(pool: pool)
    var echoes = 0
    other.onServer = Sample.echo
    other.onClient = { _, stream in echoes += stream.inbound.readableBytes }
    for _ in 0..<3 { _ = other.request(body: [1]) }
    other.pump()
    #expect(echoes == 3)
  }

  @Test func aStreamThatFindsNoPlaceIsFreedAfterItsTurn() throws {
    let pool = HTTP2StreamPool(streamsMax: 0)
    let wire = try InMemoryWire(pool: pool)
    weak var ended: HTTP2Stream?
    var ids: [Int32] = []
    wire.onServer = { session, stream in
      Sample.echo(session, stream)
      guard stream.isClosed else { return }
      ended = stream
      session.recycle(stream)
      // Others end in turns within this one.
      session.forEachTouchedStream { other in if other.isClosed { session.recycle(other) } }
      ids.append(stream.id)
    }
    for _ in 0..<3 { _ = wire.request(body: [1]) }
    wire.pump()
    #expect(ids.allSatisfy { $0 == 0 } && !ids.isEmpty, "it is cleared, and still there")
    #expect(ended == nil && pool.count == 0 && wire.server.liveStreamCount == 0)
  }

  @Test func aPoolEmptiedWithinATurnFreesNothingThatIsUsed() throws {
    let pool = HTTP2StreamPool(streamsMax: 4)
    let wire = try InMemoryWire(pool: pool)
    weak var ended: HTTP2Stream?
    var bytes = -1
    wire.onServer = { session, stream in
      Sample.echo(session, stream)
      guard stream.isClosed else { return }
      ended = stream
      session.recycle(stream)
      pool.empty()
      bytes = stream.outboundBytes
    }
    _ = wire.request(body: [1])
    wire.pump()
    #expect(bytes == 0)
    #expect(ended == nil)
  }
}
