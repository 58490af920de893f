// The async API of the gRPC client: calls to one address over one connection, which reconnects.
// Sendable; ClientChannelCore does the work on one event loop.

import NIOCore

/// A channel to one address. Connects when the first call needs it; call `close` when done.
package final class ClientChannel: Sendable {
  private let eventLoop: any EventLoop
  private let configuration: ClientChannelConfiguration
  private let core: NIOLoopBoundBox<ClientChannelCore>

  /// - Parameters:
  ///   - eventLoop: a loop of NIOPosix; everything happens there.
  ///   - cantConnect: why no connection can be made, which every call then fails with; nil: one
  ///     can.
  ///   - random: for the jitter of the backoff.
  package convenience init(
    host: String, port: Int, eventLoop: any EventLoop,
    configuration: ClientChannelConfiguration = ClientChannelConfiguration(),
    cantConnect: String? = nil,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.init(eventLoop: eventLoop, configuration: configuration, random: random) {
      delegate, completion in
      if let cantConnect {
        return eventLoop.assumeIsolated().execute {
          completion(.failure(.connectFailed(cantConnect)))
        }
      }
      ClientConnection.connect(
        host: host, port: port, on: eventLoop, configuration: configuration.connection,
        delegate: delegate, completion: completion)
    }
  }

  init(
    eventLoop: any EventLoop, configuration: ClientChannelConfiguration,
    random: any RandomNumberGenerator & Sendable,
    connector:
      @escaping @Sendable (
        any ClientConnectionDelegate, @escaping (Result<ClientConnection, ConnectionLoss>) -> Void
      ) -> Void
  ) {
    self.eventLoop = eventLoop
    self.configuration = configuration
    core = .makeBoxSendingValue(
      ClientChannelCore(
        eventLoop: eventLoop, configuration: configuration, random: random, connector: connector),
      eventLoop: eventLoop)
  }

  /// One request, one reply.
  ///
  /// - Parameters:
  ///   - timeout: from now to the reply, retries included; nil: none.
  ///   - encoding: the request's encoding, if that makes it shorter. The server must support it.
  ///   - retrySafe: the call changes nothing, so it may be sent again even if its outcome is
  ///     unknown. Otherwise it is sent again only if it provably did not run.
  ///   - waitForReady: wait for a connection instead of failing when the last attempt just failed.
  ///   - write: appends the request message; called once, before anything else.
  /// - Returns: the reply's message.
  /// - Throws: the status. UNAVAILABLE with pushback -1: sent, and the outcome is unknown.
  package func unary(
    path: String, metadata: Metadata = Metadata(), timeout: TimeAmount? = nil,
    encoding: MessageEncoding = .identity, retrySafe: Bool = false, waitForReady: Bool = false,
    isolation: isolated (any Actor)? = #isolation, write: (inout ByteBuffer) -> Void
  ) async throws(RPCStatus) -> ByteBuffer {
    var request = ByteBuffer()
    write(&request)
    let exchange = UnaryExchange(
      path: path, metadata: metadata, timeout: timeout, encoding: encoding, retrySafe: retrySafe,
      waitsForReady: waitForReady, request: request)
    let core = self.core
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        eventLoop.execute { exchange.start(core.value) { continuation.resume(returning: $0) } }
      }
    } onCancel: {
      eventLoop.execute { exchange.cancel() }
    }
    return try result.get()
  }

  /// Opens a bidirectional stream. It is available at once; `send` and `messages` throw errors.
  ///
  /// - Parameters:
  ///   - encoding: the encoding of messages, if that makes them shorter.
  ///   - keepsNotes: also keeps the peer's metadata; see `ClientStream.notes`.
  package func stream(
    path: String, metadata: Metadata = Metadata(), timeout: TimeAmount? = nil,
    encoding: MessageEncoding = .identity, waitForReady: Bool = false, keepsNotes: Bool = false
  ) -> ClientStream {
    let exchange = StreamExchange(
      eventLoop: eventLoop, path: path, metadata: metadata, timeout: timeout, encoding: encoding,
      waitsForReady: waitForReady, keepsNotes: keepsNotes, limits: configuration)
    let core = self.core
    eventLoop.execute { exchange.start(core.value) }
    return ClientStream(exchange)
  }

  /// One request, many replies. The call is cancelled when the sequence is dropped.
  package func serverStreaming(
    path: String, metadata: Metadata = Metadata(), timeout: TimeAmount? = nil,
    waitForReady: Bool = false, isolation: isolated (any Actor)? = #isolation,
    write: (inout ByteBuffer) -> Void
  ) async throws(RPCStatus) -> ClientStream.Messages {
    let stream = stream(
      path: path, metadata: metadata, timeout: timeout, waitForReady: waitForReady)
    try await stream.send(write)
    stream.halfClose()
    return stream.messages
  }

  /// Takes no more calls and closes the connection, at once or when the calls in progress are done.
  package func close(gracefully: Bool = false) {
    let core = self.core
    eventLoop.execute { core.value.close(gracefully: gracefully) }
  }
}
