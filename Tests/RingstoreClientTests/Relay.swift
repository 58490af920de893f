// A TCP relay in front of a node: it counts connections and cuts them when a test says so, as a
// network does. Safe to use from every thread.

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

final class Relay: Sendable {
  private struct State {
    var accepted = 0
    var open: [any Channel] = []
    var bytes = 0
  }

  private let state: SharedBox<State>
  private let channel: any Channel

  /// Where clients connect.
  let port: Int

  private init(state: SharedBox<State>, channel: any Channel) {
    self.state = state
    self.channel = channel
    port = channel.localAddress?.port ?? 0
  }

  /// Connections that clients have made.
  var accepted: Int { state.withLock { $0.accepted } }

  /// Bytes that have passed, both ways.
  var bytes: Int { state.withLock { $0.bytes } }

  /// Ends every connection at once, both ways. New ones are accepted.
  func cut() {
    let open = state.withLock { state in
      defer { state.open = [] }
      return state.open
    }
    for channel in open { channel.close(promise: nil) }
  }

  func close() async {
    try? await channel.close()
    cut()
  }

  static func start(to port: Int) async throws -> Relay {
    let state = SharedBox(State())
    let group = MultiThreadedEventLoopGroup.singleton
    let count: @Sendable (Int) -> Void = { bytes in state.withLock { $0.bytes += bytes } }
    let channel = try await ServerBootstrap(group: group)
      .childChannelOption(.autoRead, value: false)
      .childChannelInitializer { client in
        state.withLock {
          $0.accepted += 1
          $0.open.append(client)
        }
        return ClientBootstrap(group: client.eventLoop)
          .channelInitializer { $0.pipeline.addHandler(Forwarder(to: client, count)) }
          .connect(host: "127.0.0.1", port: port)
          .flatMap { node in
            state.withLock { $0.open.append(node) }
            return client.pipeline.addHandler(Forwarder(to: node, count))
          }
          .flatMap { client.setOption(.autoRead, value: true) }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return Relay(state: state, channel: channel)
  }
}

/// Writes all that it reads to the other side. Reads on only as the other side takes it.
private final class Forwarder: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  private let other: any Channel

  private let count: @Sendable (Int) -> Void

  init(to other: any Channel, _ count: @escaping @Sendable (Int) -> Void) {
    self.other = other
    self.count = count
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = unwrapInboundIn(data)
    count(bytes.readableBytes)
    other.writeAndFlush(bytes, promise: nil)
    guard !other.isWritable else { return }
    let channel = context.channel
    _ = channel.setOption(.autoRead, value: false)
    // Told when all that was written so far has left.
    let emptied = other.eventLoop.makePromise(of: Void.self)
    other.writeAndFlush(ByteBuffer(), promise: emptied)
    emptied.futureResult.whenComplete { _ in
      _ = channel.setOption(.autoRead, value: true)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    other.close(promise: nil)
  }
}

/// A value behind a lock that several owners share.
final class SharedBox<Value: Sendable>: Sendable {
  private let value: NIOLockedValueBox<Value>

  init(_ value: Value) { self.value = NIOLockedValueBox(value) }

  func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    value.withLockedValue { body(&$0) }
  }
}
