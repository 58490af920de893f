// A collector that keeps requests and replies as the test says, on a port of its own.

import GRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

final class FakeCollector: Sendable {
  struct Request: Sendable {
    var head: HTTPRequestHead
    var body: String
  }

  /// The reply to a request.
  enum Reply: Sendable, Equatable {
    case reply(Int, retryAfter: Int? = nil, body: String = "{}")
    /// The connection is closed without a reply.
    case close
    /// The connection is closed within the reply.
    case closeHalfway
    case silence
    case garbage
    /// A success whose body doesn't end.
    case endless

    static func status(_ code: Int) -> Reply { .reply(code) }
  }

  private struct State {
    var requests: [Request] = []
    var replies: [Reply] = []
    var waiters: [(count: Int, CheckedContinuation<Void, Never>)] = []
  }

  private let state = NIOLockedValueBox(State())
  private let channel: any Channel
  private let group: MultiThreadedEventLoopGroup

  var port: Int { channel.localAddress?.port ?? 0 }

  init(on port: Int = 0) async throws {
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let state = state
    channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(
            Handler { request in
              let (reply, ready) = state.withLockedValue { state in
                state.requests.append(request)
                let count = state.requests.count
                let ready = state.waiters.filter { $0.count <= count }
                state.waiters.removeAll { $0.count <= count }
                let reply = state.replies.isEmpty ? .status(200) : state.replies.removeFirst()
                return (reply, ready.map { $0.1 })
              }
              for waiter in ready { waiter.resume() }
              return reply
            })
        }
      }
      .bind(host: "127.0.0.1", port: port).get()
  }

  /// The replies to the next requests; later ones get 200.
  func reply(_ replies: [Reply]) { state.withLockedValue { $0.replies = replies } }

  var requests: [Request] { state.withLockedValue { $0.requests } }

  /// Waits until so many requests have arrived.
  func requests(_ count: Int) async -> [Request] {
    await withCheckedContinuation { continuation in
      let isThere = state.withLockedValue { state in
        if state.requests.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
    return requests
  }

  func stop() async {
    try? await channel.close()
    try? await group.shutdownGracefully()
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let chunk = ByteBuffer(repeating: UInt8(ascii: " "), count: 32 << 10)
    private let receive: (Request) -> Reply
    private var request: Request?
    private var isEndless = false

    init(_ receive: @escaping (Request) -> Reply) { self.receive = receive }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head): request = Request(head: head, body: "")
      case .body(let bytes): request?.body += String(buffer: bytes)
      case .end:
        guard let request else { return }
        self.request = nil
        send(receive(request), context)
      }
    }

    private func send(_ reply: Reply, _ context: ChannelHandlerContext) {
      switch reply {
      case .silence: break
      case .close: context.closeSoon()
      case .closeHalfway:
        begin(200, ["Content-Length": "100"], context)
        write("{", context)
        context.flush()
        context.closeSoon()
      case .garbage:
        _ = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
          .writeAndFlush(NIOAny(ByteBuffer(string: "no http at all\r\n\r\n")), promise: nil)
      case .endless:
        begin(200, [:], context)
        isEndless = true
        continueEndless(context)
      case .reply(let code, let retryAfter, let body):
        var headers = ["Content-Length": "\(body.utf8.count)"]
        if let retryAfter { headers["Retry-After"] = "\(retryAfter)" }
        begin(code, headers, context)
        write(body, context)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }

    private func begin(
      _ code: Int, _ headers: [String: String], _ context: ChannelHandlerContext
    ) {
      var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: code))
      for (name, value) in headers { head.headers.add(name: name, value: value) }
      context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func write(_ body: String, _ context: ChannelHandlerContext) {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
      if isEndless { continueEndless(context) }
    }

    private func continueEndless(_ context: ChannelHandlerContext) {
      while context.channel.isActive, context.channel.isWritable {
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(Self.chunk))), promise: nil)
      }
    }
  }
}
