// A client's connection: what the server says to four calls, of which two are compressed. The first
// two bytes say how it is split. Nothing may trap, a message is never longer than the limit, and
// each call ends exactly once.

import GRPC
import NIOCore
import NIOEmbedded

extension FuzzReader {
  package static let replies = FuzzReader(
    name: "replies", seeds: HTTP2Seeds.heads([1, 40, 0], [6, 200, 1], before: HTTP2Seeds.replies),
    triesInTests: 150
  ) { input in
    guard input.count > 3 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    for pieces in [[rest]] + Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      try CallingConnection().run(pieces, timePasses: input[2] & 1 == 1)
    }
  }
}

private final class CallingConnection: ClientConnectionDelegate {
  private let loop = EmbeddedEventLoop()
  private let channel: EmbeddedChannel
  private var connection: ClientConnection?
  private var calls: [RecordedCall] = []
  private var ends = 0

  init() throws {
    channel = EmbeddedChannel(loop: loop)
    var configuration = ClientConfiguration()
    configuration.maxMessageBytes = RecordedCall.messageBytesMax
    configuration.maxHeaderListBytes = 2 << 10
    let connection = try ClientConnection(
      eventLoop: loop, authority: "test", configuration: configuration, delegate: self)
    try channel.pipeline.syncOperations.addHandler(connection.makeHandler())
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    for number in 0..<4 {
      let call = RecordedCall()
      calls.append(call)
      let started = connection.startCall(
        path: HTTP2Seeds.unary, timeoutNanos: number == 3 ? 2_000_000_000 : nil,
        encoding: number % 2 == 0 ? .identity : .gzip, handler: call)
      started.send { $0.writeRepeatingByte(1, count: 100) }
      started.halfClose()
    }
    self.connection = connection
  }

  func run(_ pieces: [UnsafeRawBufferPointer], timePasses: Bool) throws {
    settle()
    for piece in pieces where channel.isActive {
      _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
      if timePasses { loop.advanceTime(by: .milliseconds(700)) }
      settle()
    }
    connection?.close()
    if channel.isActive { channel.close(promise: nil) }
    settle()
    connection = nil
    guard calls.allSatisfy({ $0.ends == 1 }) else { throw Finding("a call has not one end") }
    guard ends == 1 else { throw Finding("the connection has \(ends) ends") }
    if calls.contains(where: \.isTooLong) { throw Finding("a message is longer than the limit") }
  }

  private func settle() {
    loop.run()
    for _ in 0..<20 {
      loop.advanceTime(by: .microseconds(20))
      while (try? channel.readOutbound(as: ByteBuffer.self)) != nil {}
    }
  }

  func connectionGoingAway(_ connection: ClientConnection) {}
  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) { ends += 1 }
}

private final class RecordedCall: ClientCallHandler {
  static let messageBytesMax = 1_000

  private(set) var ends = 0
  private(set) var isTooLong = false

  var wantsMetadata: Bool { true }

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    if message.count > Self.messageBytesMax { isTooLong = true }
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) { ends += 1 }
}
