// What hostile peers are known to send, in raw frames. Each is stopped by a bound: the connection
// ends with one GOAWAY that says why, and others are served.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct AttackTests {
  static let hello = ServerHarness.frame([1])
  private static let end: UInt8 = 1
  private static let endHeaders: UInt8 = 4
  private static let padded: UInt8 = 8

  /// Frames that carry nothing of a call. Stream 1 is closed, stream 3 open, 5 not there yet.
  private static let floods: [String: [UInt8]] = [
    "PRIORITY": rawFrame(2, stream: 3, [0, 0, 0, 0, 16]),
    "PRIORITY, idle stream": rawFrame(2, stream: 5, [0, 0, 0, 0, 16]),
    "PRIORITY_UPDATE": rawFrame(0x10, stream: 0, [0, 0, 0, 3] + Array("u=1".utf8)),
    "ALTSVC": rawFrame(0xA, stream: 3, [0, 0, 1]),
    "unknown type": rawFrame(0xFA, stream: 3, [1, 2, 3]),
    "unknown type, no stream": rawFrame(0xFB, 0xFF, stream: 0),
    "empty DATA": rawFrame(0, stream: 3),
    "padded DATA": rawFrame(0, padded, stream: 3, [200] + [UInt8](repeating: 0, count: 200)),
    "DATA, closed stream": rawFrame(0, stream: 1, [0]),
    "HEADERS, closed stream": rawFrame(1, endHeaders | end, stream: 1, [0x83]),
    "RST_STREAM, closed stream": rawFrame(3, stream: 1, [0, 0, 0, 8]),
    "WINDOW_UPDATE": rawFrame(8, stream: 0, [0, 0, 0, 1]),
    "WINDOW_UPDATE, closed stream": rawFrame(8, stream: 1, [0, 0, 0, 1]),
    "PING, acknowledged": rawFrame(6, 1, stream: 0, [1, 2, 3, 4, 5, 6, 7, 8]),
  ]

  private func goAways(_ harness: ServerHarness) -> [String] {
    harness.clientEvents.compactMap { event in
      guard case .goAway(_, let code, let debug) = event else { return nil }
      return "\(code) \(debug)"
    }
  }

  private func send(_ harness: ServerHarness, _ bytes: [UInt8]) throws {
    guard harness.channel.isActive else { return }
    try harness.channel.writeInbound(ByteBuffer(bytes: bytes))
    try harness.pump()
  }

  /// The same for streams that the harness's client doesn't know of: what the server writes is
  /// returned, as the types of its frames.
  @discardableResult
  private func sendUnseen(_ harness: ServerHarness, _ bytes: [UInt8]) throws -> [UInt8] {
    guard harness.channel.isActive else { return [] }
    try harness.channel.writeInbound(ByteBuffer(bytes: bytes))
    harness.eventLoop.run()
    var written = ByteBuffer()
    while var part = try harness.channel.readOutbound(as: ByteBuffer.self) {
      written.writeBuffer(&part)
    }
    var types: [UInt8] = []
    while let head = written.readInteger(as: UInt32.self) {
      types.append(UInt8(truncatingIfNeeded: head))
      written.moveReaderIndex(forwardBy: 5 + Int(head >> 8))
    }
    return types
  }

  @Test(arguments: floods.keys.sorted())
  func framesThatCarryNothingAreBounded(_ name: String) throws {
    let frame = try #require(Self.floods[name])
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    _ = harness.open(ScriptedService.unaryPath)
    try harness.pump()
    let many = Array(repeating: frame, count: 500).flatMap { $0 }
    var sent = 0
    while sent < 40_000, harness.channel.isActive {
      try send(harness, many)
      sent += 500
    }
    #expect(sent > 9_000 && sent < 12_000)
    #expect(!harness.channel.isActive)
    #expect(goAways(harness) == ["ENHANCE_YOUR_CALM too_many_control_frames"])
    let other = try ServerHarness(sharing: harness)
    #expect(try other.call(body: Self.hello).status == "0")
  }

  @Test func settingsAreBounded() throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    // Fewer at a time than the library allows replies to wait.
    let many = Array(repeating: rawFrame(4, stream: 0), count: 50).flatMap { $0 }
    var types: [UInt8] = []
    var sent = 0
    while sent < 40_000, harness.channel.isActive {
      types += try sendUnseen(harness, many)
      sent += 50
    }
    #expect(sent > 9_000 && sent < 12_000)
    #expect(types.filter { $0 == 7 }.count == 1)
  }

  @Test func framesOfCallsAreNotTakenForAFlood() throws {
    var configuration = ServerConfiguration()
    configuration.maxControlFrames = 200
    let harness = try ServerHarness(configuration)
    // A message a byte at a time, with a reply; and uploads that are refused on their way.
    for _ in 0..<20 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      for byte in ServerHarness.frame([UInt8](repeating: 1, count: 50)) {
        harness.send(stream, [byte])
        try harness.pump()
      }
      harness.client.finish(stream)
      try harness.pump()
      #expect(harness.channel.isActive)
    }
    for number in 0..<20 {
      let id = UInt32(41 + 2 * number)
      let headers = rawFrame(1, Self.endHeaders, stream: id, rawHeaders("/t/unknown"))
      let data = rawFrame(0, stream: id, [UInt8](repeating: 1, count: 16_000))
      try sendUnseen(harness, headers + Array(repeating: data, count: 10).flatMap { $0 })
      #expect(harness.channel.isActive)
    }
  }

  @Test func resetsByOurOwnErrorsAreBounded() throws {
    var configuration = ServerConfiguration()
    configuration.maxErrorResets = 20
    let harness = try ServerHarness(configuration)
    try harness.call(body: Self.hello)
    // MadeYouReset: a name in upper case makes the server reset the stream.
    var types: [UInt8] = []
    for number in 0..<60 where harness.channel.isActive {
      let id = UInt32(3 + 2 * number)
      types += try sendUnseen(
        harness,
        rawFrame(
          1, Self.endHeaders, stream: id,
          rawHeaders(ScriptedService.unaryPath) + rawField("Upper", "x")))
    }
    #expect(!harness.channel.isActive)
    // RST_STREAM for each until then, and one GOAWAY.
    #expect(types.filter { $0 == 3 }.count > 20 && types.filter { $0 == 3 }.count < 25)
    #expect(types.filter { $0 == 7 }.count == 1)
  }

  @Test func cancelsOfRepliesThatWereReadInPartAreNoAbuse() throws {
    var configuration = ServerConfiguration()
    configuration.maxExcessResets = 20
    let harness = try ServerHarness(configuration)
    harness.service.onMessage = { call, _ in call.send { $0.writeRepeatingByte(1, count: 100) } }
    for _ in 0..<3_000 {
      let stream = try #require(harness.open(ScriptedService.streamPath))
      harness.send(stream, Self.hello)
      try harness.pump()
      #expect(harness.seen[stream.id]?.bodyBytes == 105)
      harness.client.reset(stream, code: .cancel)
      try harness.pump()
    }
    #expect(goAways(harness) == [])
    #expect(try harness.call(body: Self.hello).status == "0")
  }

  @Test func aFloodOfContinuationsEndsTheConnection() throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    let begin = rawFrame(1, stream: 3, rawHeaders(ScriptedService.unaryPath))
    let more = rawFrame(9, stream: 3, rawField("a", "b"))
    try send(harness, begin + Array(repeating: more, count: 100).flatMap { $0 })
    #expect(!harness.channel.isActive)
    #expect(harness.service.events == ["unary 1"])
  }

  @Test(arguments: [105, 900, 12_000])
  func headersOverTheLimitGetAStatusThatSaysSo(fields: Int) throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    // The first adds a field to the table, the others are one byte each.
    let block =
      rawHeaders(ScriptedService.unaryPath) + [0x40, 1, 0x61, 1, 0x62]
      + [UInt8](repeating: 0xBE, count: fields)
    let types = try sendUnseen(
      harness,
      rawFrame(1, Self.endHeaders, stream: 3, block) + rawFrame(0, Self.end, stream: 3, Self.hello))
    #expect(types.filter { $0 == 1 }.count == 1)
    #expect(harness.channel.isActive)
    #expect(harness.service.events == ["unary 1"])
    #expect(harness.handler.tally.replied == 2)
    #expect(harness.handler.session.counters.resetsForPeerErrors == 0)
  }

  /// Trailers that come in the same read as the request, and later, when the call has begun.
  @Test(arguments: [ScriptedService.unaryPath, ScriptedService.streamPath], [false, true])
  func trailersOverTheLimitGetTheSameStatus(path: String, areLater: Bool) throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    let request =
      rawFrame(1, Self.endHeaders, stream: 3, rawHeaders(path))
      + rawFrame(0, stream: 3, Array(Self.hello.dropLast()))
    let bomb: [UInt8] = [0x40, 1, 0x61, 1, 0x62] + [UInt8](repeating: 0xBE, count: 400)
    let rest =
      rawFrame(0, stream: 3, Array(Self.hello.suffix(1)))
      + rawFrame(1, Self.endHeaders | Self.end, stream: 3, bomb)
    var types: [UInt8] = []
    if areLater {
      types = try sendUnseen(harness, request) + sendUnseen(harness, rest)
    } else {
      types = try sendUnseen(harness, request + rest)
    }
    #expect(types.filter { $0 == 1 }.count == 1, "one status")
    #expect(!types.contains(0), "no reply")
    #expect(harness.channel.isActive)
    #expect(harness.handler.tally.open == 0)
    #expect(!harness.service.events.contains("half-closed"))
    #expect(harness.service.events.filter { $0 == "unary 1" }.count == 1, "the first call's")
    #expect(harness.loop.connections.entries(prefix: "")["refused_calls_total"] == 1)
  }

  @Test func theStatusOfTooManyHeadersNamesTheLimits() throws {
    let harness = try ServerHarness()
    var fields: [String: String] = [:]
    for number in 0..<900 { fields["f\(number)"] = "v" }
    let seen = try harness.call(ScriptedService.unaryPath, fields, body: Self.hello)
    #expect(seen.status == "8")
    #expect(seen.message == "the header list is over the limit of 100 fields or 16384 bytes")
    #expect(try harness.call(body: Self.hello).status == "0")
  }
}
