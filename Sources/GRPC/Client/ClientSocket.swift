// A TCP connection for a client of another protocol than gRPC, with optional TLS. On the event loop
// that will own the connection.

import NIOCore
import NIOPosix

package enum ClientSocket {
  /// Connects, and adds `handler` to the channel when bytes can be sent; nothing is read before.
  /// Must be called on `eventLoop`, which must be one of NIOPosix.
  ///
  /// - Parameters:
  ///   - timeout: for TCP; the caller enforces the rest of the time.
  ///   - tls: made without a protocol (`TLSFiles.client(speaksHTTP2: false)`); nil: not encrypted.
  ///   - handler: is added to the channel, and gets its end.
  ///   - failed: called with the reason why `handler` will never be added, as a phrase.
  package static func connect(
    host: String, port: Int, on eventLoop: any EventLoop, timeout: TimeAmount, tls: ClientTLS?,
    handler: any ChannelHandler, failed: @escaping (String) -> Void
  ) {
    let bound = NIOLoopBound((tls: tls, handler: handler, failed: failed), eventLoop: eventLoop)
    SilentPeers.clientOptions.reduce(ClientBootstrap(group: eventLoop)) { bootstrap, next in
      bootstrap.channelOption(next.option, value: next.value)
    }
    .resolver(HostResolver(lookups: .shared, eventLoop: eventLoop))
    .connectTimeout(timeout)
    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    .channelOption(
      .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10)
    )
    .channelOption(.autoRead, value: false)
    .connect(host: host, port: port)
    .whenComplete { result in
      let (tls, handler, failed) = bound.value
      switch result {
      case .success(let channel): join(channel, host: host, tls, handler, failed)
      case .failure(let error): failed("connect failed: \(ConnectFailure.sentence(error))")
      }
    }
  }

  private static func join(
    _ channel: any Channel, host: String, _ tls: ClientTLS?, _ handler: any ChannelHandler,
    _ failed: @escaping (String) -> Void
  ) {
    func fail(_ reason: String) {
      channel.eventLoop.execute { channel.close(promise: nil) }
      failed("connect failed: \(reason)")
    }
    do {
      if let tls {
        try tls.add(to: channel, host: host, protocolName: nil) { result in
          do {
            _ = try result.get()
            try channel.pipeline.syncOperations.addHandler(handler)
          } catch {
            fail("TLS: \(TLSFailure.sentence(error) ?? "\(error)")")
          }
        }
      } else {
        try channel.pipeline.syncOperations.addHandler(handler)
      }
      try channel.syncOptions?.setOption(.autoRead, value: true)
    } catch {
      fail("\(error)")
    }
  }
}
