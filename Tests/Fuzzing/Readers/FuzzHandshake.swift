// A TLS handshake as a node's port sees it, in any pieces: the first two bytes say how, the third
// what comes. Either the rest is what the client sends, or a real client shakes hands and the rest
// says which of its bytes are changed on their way (two bytes of place, one that is added to it by
// exclusive or). Nothing may trap; a client whose bytes arrive as they were is served whatever the
// pieces; when the connection is gone nothing may be left of it.

import Foundation
import GRPC
import Logging
import NIOCore
import NIOEmbedded
import NIOSSL
import NodeCore
import TestCertificates

extension FuzzReader {
  package static let handshake = FuzzReader(
    name: "handshake", seeds: handshakeSeeds, triesInTests: 20
  ) { input in
    guard input.count > 3 else { return }
    let rest = Array(input[3...])
    if input[2] & 1 == 0 {
      var ends: [[ConnectionEnd: Int]] = []
      let pieces = Splits.pieces(
        of: UnsafeRawBufferPointer(rebasing: input[3...]), seed: input[0], at: input[1])
      for pieces in [[UnsafeRawBufferPointer(rebasing: input[3...])]] + pieces {
        let meeting = try HandshakeMeeting(version: nil)
        for piece in pieces { meeting.receive(ByteBuffer(bytes: piece)) }
        ends.append(meeting.ends)
        try meeting.end()
      }
      if Set(ends).count > 1 { throw Finding("it depends on the pieces: \(ends)") }
    } else {
      let meeting = try HandshakeMeeting(version: input[2] & 2 == 0 ? .tlsv13 : .tlsv12)
      let isChanged = meeting.meet(seed: UInt64(input[0]) << 8 | UInt64(input[1]), changes: rest)
      if !isChanged, !meeting.wasServed { throw Finding("an honest client is not served") }
      try meeting.end()
    }
  }

  private static let handshakeSeeds: [[UInt8]] = {
    let honest: [[UInt8]] = [
      [1, 0, 1, 0], [6, 7, 3, 0], [3, 9, 1, 0, 5, 1], [2, 2, 3, 0, 60, 0x80, 1, 0, 1],
    ]
    let records: [[UInt8]] = [
      [22, 3, 1, 0, 0], [22, 3, 1, 0, 4, 1, 0, 0, 0], [22, 3, 3, 0xff, 0xff, 1],
      Array("GET / HTTP/1.1\r\n".utf8), [21, 3, 3, 0, 2, 2, 40],
      [22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 1],
    ]
    let hello = try? HandshakeMeeting.clientHello()
    return honest + (records + [hello ?? []]).map { [1, 40, 0] + $0 }
  }()
}

/// A node's port and a client, without sockets between them.
private final class HandshakeMeeting {
  private struct Setup {
    let server: TLSContexts
    let client: TLSConfiguration
  }

  private static let words = ByteBuffer(string: "what the client says once it may")
  private static let setup = Result {
    // A program under libFuzzer can start no others.
    let ready = ProcessInfo.processInfo.environment["RINGSTORE_FUZZ_CERTIFICATES"]
    let made = ready == nil ? try TestCertificates() : nil
    let folder = ready ?? made?.folder ?? ""
    var client = TLSConfiguration.makeClientConfiguration()
    client.trustRoots = .certificates(
      try NIOSSLCertificate.fromPEMFile("\(folder)/ca/certificate.pem"))
    client.applicationProtocols = ["h2"]
    let files = TLSFiles.server(
      certificate: "\(folder)/router/certificate.pem", key: "\(folder)/router/key.pem")
    // All is read by the time at which the files go.
    return try withExtendedLifetime(made) {
      Setup(server: try TLSContexts(files), client: client)
    }
  }

  private let loop = EmbeddedEventLoop()
  private let connections = NodeConnections()
  private let handshakes: TLSHandshakes
  private let scheduler: LoopScheduler
  private let port: EmbeddedChannel
  private let client: EmbeddedChannel
  private let taker = Taker()

  /// - Parameter version: of the client's TLS; nil: there is no client.
  init(version: TLSVersion?) throws {
    let setup = try Self.setup.get()
    scheduler = LoopScheduler(eventLoop: loop)
    handshakes = TLSHandshakes(
      ListenerTLS(setup.server, protocolName: "h2"), loopCount: 1, scheduler: scheduler,
      connections: connections, logger: .silent)
    port = EmbeddedChannel(loop: loop)
    client = EmbeddedChannel(loop: loop)
    guard let place = connections.admit(nil) else { throw Finding("there is no place") }
    let taker = taker
    try port.pipeline.syncOperations.addHandler(
      handshakes.begin(place, receiveBuffer: SharedReceiveBuffer()) { connection in
        taker.place = connection.place
        return taker
      })
    let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
    port.connect(to: address, promise: nil)
    guard let version else { return }
    try client.pipeline.syncOperations.addHandler(
      NIOSSLClientHandler(
        context: try Self.clientContext(version, setup), serverHostname: "localhost"))
    client.connect(to: address, promise: nil)
    client.writeAndFlush(Self.words, promise: nil)
  }

  private static func clientContext(
    _ version: TLSVersion, _ setup: Setup
  ) throws -> NIOSSLContext {
    var configuration = setup.client
    configuration.minimumTLSVersion = version
    configuration.maximumTLSVersion = version
    return try NIOSSLContext(configuration: configuration)
  }

  static func clientHello() throws -> [UInt8] {
    let meeting = try HandshakeMeeting(version: .tlsv13)
    var hello = ByteBuffer()
    while var part = try meeting.client.readOutbound(as: ByteBuffer.self) {
      hello.writeBuffer(&part)
    }
    try meeting.end()
    return Array(hello.readableBytesView)
  }

  /// Why the node has ended connections.
  var ends: [ConnectionEnd: Int] {
    var ends: [ConnectionEnd: Int] = [:]
    for reason in ConnectionEnd.allCases where connections.count(of: reason) > 0 {
      ends[reason] = connections.count(of: reason)
    }
    return ends
  }

  var wasServed: Bool { connections.handshakes.completed == 1 && taker.received == Self.words }

  func receive(_ bytes: ByteBuffer) {
    guard port.isActive else { return }
    _ = try? port.writeInbound(bytes)
    settle()
  }

  /// Carries bytes both ways until both are silent, the client's in pieces.
  ///
  /// - Returns: whether any byte was changed on its way.
  func meet(seed: UInt64, changes: [UInt8]) -> Bool {
    var random = SplitMix64(seed: seed)
    let most = [2, 40, 400, 40_000][Int(seed % 4)]
    var differences: [Int: UInt8] = [:]
    for at in stride(from: 0, to: changes.count - 2, by: 3) where changes[at + 2] != 0 {
      differences[Int(changes[at]) << 8 | Int(changes[at + 1]), default: 0] ^= changes[at + 2]
    }
    var (sent, isChanged) = (0, false)
    for _ in 0..<100 {
      var toPort = taken(client)
      let toClient = taken(port)
      if toPort.readableBytes == 0, toClient.readableBytes == 0 { break }
      for place in toPort.readerIndex..<toPort.writerIndex {
        guard let other = differences[sent + place], other != 0,
          let byte: UInt8 = toPort.getInteger(at: place)
        else { continue }
        toPort.setInteger(byte ^ other, at: place)
        isChanged = true
      }
      sent += toPort.readableBytes
      while toPort.readableBytes > 0 {
        let length = min(toPort.readableBytes, Int.random(in: 1...most, using: &random))
        if let piece = toPort.readSlice(length: length) { receive(piece) }
      }
      if toClient.readableBytes > 0, client.isActive { _ = try? client.writeInbound(toClient) }
      settle()
    }
    return isChanged
  }

  private func taken(_ channel: EmbeddedChannel) -> ByteBuffer {
    var bytes = ByteBuffer()
    while var part = try? channel.readOutbound(as: ByteBuffer.self) { bytes.writeBuffer(&part) }
    return bytes
  }

  private func settle() {
    repeat {
      loop.run()
      loop.advanceTime(by: .microseconds(20))
    } while scheduler.hasTurns
  }

  func end() throws {
    // TLS closes when the loop runs next, a client's when its goodbye had a reply or in time.
    for channel in [port, client] where channel.isActive { channel.close(promise: nil) }
    settle()
    loop.advanceTime(by: .seconds(10))
    settle()
    guard connections.open == 0, handshakes.count == 0 else {
      throw Finding("something is left when the connection is gone")
    }
  }
}

/// The protocol behind the handshake: keeps what comes.
private final class Taker: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  var place: ConnectionPlace?
  private(set) var received = ByteBuffer()

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    received.writeBuffer(&bytes)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) { place?.close() }
}
