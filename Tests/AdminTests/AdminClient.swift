// A client of the admin port in memory: bytes in, bytes out, and a clock that moves when the test
// advances it to. The pages of its server are made elsewhere, so it asks for none.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
import NodeCore

@testable import Admin

final class AdminClient {
  let connections: NodeConnections
  private let loop: AdminLoop
  private let channel: EmbeddedChannel
  private(set) var received = ""

  init(_ limits: AdminLimits = AdminLimits()) throws {
    channel = EmbeddedChannel()
    connections = AdminServer.connections(limits)
    loop = AdminLoop(
      channel.eventLoop, NodeLoops(), [], authorizer: nil, limits: limits, connections: connections,
      counters: AdminCounters(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    guard let place = connections.admit(nil) else { throw NoPlace() }
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    try channel.pipeline.syncOperations.addHandler(
      loop.makeHandler(AcceptedConnection(place: place)))
  }

  private struct NoPlace: Error {}

  deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

  func send(_ text: String) { send(Array(text.utf8)) }

  /// Sends requests and returns what is sent before the event loop polls its sockets again.
  func sendWithinTick(_ text: String) -> String {
    _ = try? channel.writeInbound(ByteBuffer(string: text))
    channel.embeddedEventLoop.run()
    takeOutput()
    return received
  }

  func send(_ bytes: [UInt8]) {
    // A request that is refused closes the channel in the middle.
    _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
    take()
  }

  /// Sends a request, and returns the reply.
  func exchange(_ request: String) -> String {
    received = ""
    send(request)
    return received
  }

  func advance(seconds: Int64) {
    channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
    take()
  }

  func drain() {
    _ = loop.drain()
    take()
  }

  var isClosed: Bool { !channel.isActive }

  private func take() {
    channel.embeddedEventLoop.run()
    takeOutput()
    while loop.scheduler.hasTurns {
      channel.embeddedEventLoop.advanceTime(by: .microseconds(20))
      takeOutput()
    }
  }

  private func takeOutput() {
    while let bytes = try? channel.readOutbound(as: ByteBuffer.self) {
      received += String(buffer: bytes)
    }
  }
}
