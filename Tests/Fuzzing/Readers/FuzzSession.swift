// HTTP/2 of both roles: the first two bytes say how the rest is split, the third which side reads
// it and how. An owner does what ours do: replies to requests that are complete, credits or parks
// what came, and gives closed streams back. Nothing may trap, what is written must be whole frames,
// and when the connection is gone nothing may be left of it.

import HTTP2
import NIOCore

extension FuzzReader {
  package static let session = FuzzReader(
    name: "session", seeds: HTTP2Seeds.sessions, triesInTests: 300
  ) { input in
    guard input.count > 3 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    for pieces in [[rest]] + Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      try SessionCheck(role: input[2] & 1 == 0 ? .server : .client, parks: input[2] & 2 == 2)
        .run(pieces)
    }
  }
}

private struct SessionCheck {
  let session: HTTP2Session
  let parks: Bool
  private let isClient: Bool

  init(role: HTTP2Session.Role, parks: Bool) throws {
    var configuration = HTTP2Configuration()
    configuration.maxHeaderFields = 20
    configuration.maxHeaderListBytes = 2 << 10
    configuration.maxParkedBytes = 4 << 10
    session = try HTTP2Session(role: role, configuration: configuration)
    self.parks = parks
    isClient = role == .client
    guard isClient else { return }
    for number in 0..<4 {
      let stream = session.submitRequest(HTTP2Seeds.request("/f/\(number)"))
      guard let stream else { throw Finding("no stream can be opened") }
      stream.outbound.writeRepeatingByte(7, count: 10)
      session.bodyChanged(stream)
      if number > 0 { session.finish(stream) }
    }
  }

  func run(_ pieces: [UnsafeRawBufferPointer]) throws {
    try write(isFirst: true)
    for piece in pieces {
      session.receive(piece)
      try drain()
      try write()
    }
    session.connectionLost()
    try drain()
    for stream in session.liveStreams where stream.isClosed { session.recycle(stream) }
    guard session.liveStreamCount == 0, session.outboundBytes == 0, session.parkedBytes == 0,
      session.largeHeaderBytes == 0
    else { throw Finding("something is left when the connection is gone") }
  }

  private func write(isFirst: Bool = false) throws {
    var output = ByteBuffer()
    while session.writePending(into: &output, limit: output.readableBytes + 1_000) {}
    try drain()
    if isFirst, isClient { output.moveReaderIndex(forwardBy: HTTP2Seeds.preface.count) }
    try FrameCheck.areWhole(output)
  }

  private func drain() throws {
    var isTooLong = false
    session.forEachTouchedStream { stream in
      for block in [stream.headers, stream.trailers] {
        if block.count > session.configuration.maxHeaderFields
          || block.listBytes > session.configuration.maxHeaderListBytes
        {
          isTooLong = true
        }
      }
      if parks, !stream.remoteEnded {
        session.park(stream)
      } else {
        session.consume(stream, stream.unconsumed)
        if !isClient { reply(to: stream) }
        stream.inbound.clear()
      }
      if stream.isClosed { session.recycle(stream) }
    }
    if isTooLong { throw Finding("a header list is longer than it may be") }
    while session.nextConnectionEvent() != nil {}
  }

  private func reply(to stream: HTTP2Stream) {
    guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
    stream.outbound.writeBuffer(&stream.inbound)
    session.submitResponse(stream, headers: HTTP2Seeds.response)
    session.bodyChanged(stream)
    session.finish(stream, trailers: HTTP2Seeds.trailers)
  }
}

enum FrameCheck {
  /// Whether bytes are whole frames (RFC 9113 section 4.1), one behind the other.
  static func areWhole(_ bytes: ByteBuffer) throws {
    var rest = bytes
    while rest.readableBytes > 0 {
      guard let head: UInt32 = rest.getInteger(at: rest.readerIndex),
        rest.readSlice(length: 9 + Int(head >> 8)) != nil
      else { throw Finding("what is written are no whole frames") }
    }
  }
}
