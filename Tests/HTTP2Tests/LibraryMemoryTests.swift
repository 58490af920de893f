// What the library's sessions of a loop share: frames of several must not meet in it.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct LibraryMemoryTests {
  /// Sessions that share, each with a client of its own.
  private struct Crowd {
    let pool = HTTP2StreamPool(streamsMax: 16)
    var wires: [InMemoryWire] = []

    init(count: Int) throws {
      var client = HTTP2Configuration()
      client.maxHeaderListBytes = 64 << 10
      for _ in 0..<count { wires.append(try InMemoryWire(client: client, pool: pool)) }
      for wire in wires {
        wire.onServer = Sample.echo
        wire.onClient = { session, stream in session.consume(stream, stream.unconsumed) }
      }
    }
  }

  @Test func sessionsThatWriteInTurnsKeepTheirFrames() throws {
    let crowd = try Crowd(count: 3)
    // Long enough for CONTINUATION frames, which lie in buffers of the session's own.
    let trailers = HeaderBlock()
    for index in 0..<60 { trailers.append("x-\(index)", String(repeating: "v", count: 500)) }
    var replied = 0
    for (index, wire) in crowd.wires.enumerated() {
      wire.onServer = { session, stream in
        guard stream.remoteEnded, !stream.localEnded else { return }
        stream.outbound.writeBytes([UInt8](repeating: UInt8(index), count: 40_000))
        session.submitResponse(stream, headers: Sample.response)
        session.finish(stream, trailers: trailers)
      }
      wire.onClient = { _, stream in
        guard stream.isClosed else { return }
        replied += 1
        #expect(stream.headers.status == 200)
        #expect(stream.inbound.readableBytes == 40_000)
        #expect(stream.inbound.readableBytesView.allSatisfy { $0 == UInt8(index) })
        #expect(stream.trailers.count == 60)
      }
      _ = try #require(wire.request("/s/\(index)", body: [1]))
      wire.feed(wire.server, wire.output(of: wire.client))
    }
    // A frame each in turn.
    var output = crowd.wires.map { _ in ByteBuffer() }
    for _ in 0..<40 {
      for (index, wire) in crowd.wires.enumerated() {
        let bytes = output[index].readableBytes
        wire.server.writePending(into: &output[index], limit: bytes + 1)
      }
    }
    for (index, wire) in crowd.wires.enumerated() {
      #expect(!wire.server.wantsWrite)
      wire.feed(wire.client, Array(output[index].readableBytesView))
      #expect(wire.client.failure == nil)
    }
    #expect(replied == 3)
  }

  @Test func sessionsCallAfterTheirMemoryWasGivenBack() throws {
    let crowd = try Crowd(count: 4)
    for round in 0..<3 {
      for wire in crowd.wires {
        for index in 0..<20 {
          _ = try #require(wire.request("/s/\(index)", body: [UInt8(index), UInt8(round)]))
        }
        // Streams are open on one side at least: their table stays.
        wire.server.releaseIdleMemory()
        wire.pump()
        #expect(wire.server.liveStreamCount == 0)
        wire.server.releaseIdleMemory()
      }
    }
    for wire in crowd.wires {
      #expect(wire.clientCloses.count == 60)
      #expect(wire.clientCloses.values.allSatisfy { $0 == .noError })
    }
  }

  @Test func memoryIsGivenBackOnlyWithoutStreams() throws {
    let crowd = try Crowd(count: 1)
    let wire = crowd.wires[0]
    wire.onServer = { session, stream in session.consume(stream, stream.unconsumed) }
    let stream = try #require(wire.request(body: [1]))
    wire.pump()
    wire.server.releaseIdleMemory()
    #expect(wire.server.liveStreamCount == 1)
    // It is known afterwards.
    wire.client.reset(stream, code: .cancel)
    wire.pump()
    #expect(wire.serverCloses[1] == .cancel)
  }

  @Test func pagesAreZeroWhenTheyAreTaken() {
    let pages = ZeroPages()
    guard let first = pages.take() else { return }
    #expect(ZeroPages.isZero(first))
    first.storeBytes(of: 7, toByteOffset: 4095, as: UInt8.self)
    #expect(!ZeroPages.isZero(first))
    pages.give(first)
    // More than a block of them, the one that was given back among them.
    var taken: Set<UnsafeMutableRawPointer> = []
    for _ in 0..<600 {
      guard let page = pages.take() else { break }
      #expect(ZeroPages.isZero(page))
      taken.insert(page)
    }
    #expect(taken.count == 600)
    #expect(taken.contains(first))
    for page in taken { pages.give(page) }
  }
}
