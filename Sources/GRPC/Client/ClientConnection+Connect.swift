// Making a connection: name resolution, TCP, optional TLS, and the peer's first SETTINGS, all
// within one timeout. On the event loop that will own the connection.

import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension ClientConnection {
  /// Connects to a peer. The name is resolved again each time: containers change their addresses.
  ///
  /// - Parameters:
  ///   - flusher: the loop's; nil: a separate one.
  ///   - delegate: called only for a connection that was made.
  ///   - completion: called once, on the loop, never inside this function. On success the peer's
  ///     SETTINGS have arrived, so it uses HTTP/2 and its stream limit is known.
  /// Must be called on `eventLoop`, which must be one of NIOPosix.
  package static func connect(
    host: String, port: Int, on eventLoop: any EventLoop, configuration: ClientConfiguration,
    flusher: FlushCoalescer? = nil, delegate: (any ClientConnectionDelegate)?,
    completion: @escaping (Result<ClientConnection, ConnectionLoss>) -> Void
  ) {
    let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    let connection: ClientConnection
    do throws(ConnectionLoss) {
      connection = try ClientConnection(
        eventLoop: eventLoop, authority: authority, configuration: configuration, flusher: flusher,
        delegate: nil)
    } catch {
      eventLoop.assumeIsolated().execute { completion(.failure(error)) }
      return
    }
    let attempt = ConnectAttempt(connection, delegate: delegate, completion: completion)
    attempt.start(host: host, port: port)
  }

  /// Makes the socket close with RST instead of FIN. If this fails, the close is an ordinary one.
  func resetWhenClosed() {
    let socket = context?.channel as? any SocketOptionProvider
    _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
  }
}

/// One attempt; its callbacks keep it alive.
private final class ConnectAttempt {
  private let connection: ClientConnection
  private let delegate: (any ClientConnectionDelegate)?
  private var completion: ((Result<ClientConnection, ConnectionLoss>) -> Void)?
  private var timer: Scheduled<Void>?
  /// The channel during its TLS handshake.
  private var channel: (any Channel)?

  init(
    _ connection: ClientConnection, delegate: (any ClientConnectionDelegate)?,
    completion: @escaping (Result<ClientConnection, ConnectionLoss>) -> Void
  ) {
    self.connection = connection
    self.delegate = delegate
    self.completion = completion
  }

  func start(host: String, port: Int) {
    let loop = connection.eventLoop
    let timeout = connection.configuration.connectTimeout
    let bound = NIOLoopBound(self, eventLoop: loop)
    connection.onReady = { loss in bound.value.finish(loss) }
    timer = loop.scheduleTask(in: timeout) {
      bound.value.giveUp("no HTTP/2 SETTINGS within \(timeout.nanoseconds / 1_000_000) ms")
    }
    SilentPeers.clientOptions.reduce(ClientBootstrap(group: loop)) { bootstrap, next in
      bootstrap.channelOption(next.option, value: next.value)
    }
    .resolver(HostResolver(lookups: .shared, eventLoop: loop))
    .connectTimeout(timeout)
    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    .channelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 512 << 10))
    .channelOption(
      .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10)
    )
    // No reads before the handler is added. It is added only now, because one attempt may try
    // several addresses, each with a separate channel.
    .channelOption(.autoRead, value: false)
    .connect(host: host, port: port)
    .whenComplete { result in
      switch result {
      case .success(let channel): bound.value.connected(channel, host: host)
      case .failure(let error): bound.value.giveUp(ConnectFailure.sentence(error))
      }
    }
  }

  private func connected(_ channel: any Channel, host: String) {
    guard completion != nil, channel.isActive else {
      channel.close(promise: nil)
      return giveUp("the peer closed the connection")
    }
    do {
      if let tls = connection.configuration.tls {
        self.channel = channel
        try tls.add(to: channel, host: host) { self.encrypted($0, channel) }
      } else {
        try channel.pipeline.syncOperations.addHandler(connection.makeHandler())
      }
      try channel.syncOptions?.setOption(.autoRead, value: true)
    } catch {
      channel.close(promise: nil)
      giveUp("\(error)")
    }
  }

  /// The handshake has ended.
  private func encrypted(_ result: Result<SocketWriter, any Error>, _ channel: any Channel) {
    self.channel = nil
    guard completion != nil else {
      return channel.eventLoop.execute { channel.close(promise: nil) }
    }
    do {
      connection.writer = try result.get()
      try channel.pipeline.syncOperations.addHandler(connection.makeHandler())
    } catch {
      channel.eventLoop.execute { channel.close(promise: nil) }
      giveUp("TLS: \(TLSFailure.sentence(error) ?? "\(error)")")
    }
  }

  private func giveUp(_ reason: String) {
    guard completion != nil else { return }
    if let channel { channel.eventLoop.execute { channel.close(promise: nil) } }
    channel = nil
    finish(.connectFailed(reason))
    connection.close(reason: .connectFailed(reason))
  }

  private func finish(_ loss: ConnectionLoss?) {
    timer?.cancel()
    timer = nil
    guard let completion else { return }
    self.completion = nil
    connection.onReady = nil
    guard let loss else {
      connection.delegate = delegate
      return completion(.success(connection))
    }
    if case .connectFailed = loss { return completion(.failure(loss)) }
    completion(.failure(.connectFailed(loss.description)))
  }
}
