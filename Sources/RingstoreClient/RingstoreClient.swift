// The public Swift client: one connection to a router or a shard, used by any number of tasks at
// once. It connects when the first call needs it and again, with growing pauses, after a loss.
//
// Owns its connection; the event loop is NIO's shared one unless a group is given. Safe to use
// from every thread. The calls are in the extensions, grouped as in the documentation.

internal import GRPC
internal import NIOCore
internal import NIOPosix
internal import RingstoreAPI

/// A client of a Ringstore cluster.
///
///     let client = RingstoreClient(host: "127.0.0.1", port: 50051)
///     try await client.set("greeting", to: "hello")
///     let greeting = try await client.getString("greeting")
///     client.close()
///
/// Every call has a deadline and throws `RingstoreError`. A missing key is no error: it is `nil`.
/// The client sends a call again only if it can't have had an effect: reads, and writes that
/// certainly never reached a node. Cancelling a task cancels its call.
public final class RingstoreClient: Sendable {
  /// How a client behaves.
  public struct Configuration: Sendable {
    /// The default time limit of a call, connecting included.
    public var timeout = Duration.seconds(10)
    /// The default database of calls.
    public var database: UInt32 = 0
    /// The longest message, request or reply, in bytes. Nodes have the same limit as a setting,
    /// max_message_bytes; for values above 4 MiB both must be raised.
    public var maxMessageBytes = 4 << 20
    /// The token of the user that calls, for nodes that have users; nil: none. Load it from a file
    /// or a secret store; don't write it into the program.
    public var token: String?
    /// The time within which a connection must be made.
    public var connectTimeout = Duration.seconds(3)
    /// How the connection is encrypted; nil: not at all.
    public var tls: TLS?
    /// How messages are compressed. It costs CPU time on both sides, and helps if the network is
    /// the bottleneck.
    public var compression = Compression.none
    /// The trace that calls belong to, unless their options have another; nil: none.
    public var traceContext: RingstoreTraceContext?

    public init() {}
  }

  /// How messages are compressed.
  public enum Compression: Sendable, Hashable {
    /// Not at all, in neither direction.
    case none
    /// Requests are sent in gzip if that makes them shorter, and replies are accepted in gzip:
    /// nodes compress those from 512 bytes to 256 KiB.
    case gzip
  }

  /// The encryption of a connection, and the authorities that it trusts. All files are in PEM form.
  /// They are read when the client is made, and again for a later connection if they have changed;
  /// if a file can't be used, calls fail with a message that says why.
  public struct TLS: Sendable, Hashable {
    /// The certificate of the authority that has signed the node's; nil: those that the system
    /// trusts.
    public var authorityFile: String?
    /// The client's own certificate and its private key, for nodes that require one; nil: none.
    public var certificateFile: String?
    public var keyFile: String?
    /// The name that the node's certificate must have; nil: the client's host.
    public var serverName: String?

    public init(
      authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
      serverName: String? = nil
    ) {
      self.authorityFile = authorityFile
      self.certificateFile = certificateFile
      self.keyFile = keyFile
      self.serverName = serverName
    }
  }

  public let configuration: Configuration
  let channel: ClientChannel

  /// What a message may be longer than the longest reply by: a node closes a batch of replies when
  /// it has grown past 256 KiB, and the reply that is added last may be the longest.
  private static let batchHeadroomBytes = 512 << 10

  /// Makes a client; nothing is connected before the first call.
  ///
  /// - Parameters:
  ///   - host: a name or an address, of a router or of a single shard. Resolved at every connect.
  ///   - port: 1 to 65535.
  public init(host: String, port: Int, configuration: Configuration = Configuration()) {
    self.configuration = configuration
    var transport = ClientChannelConfiguration()
    transport.connection.maxMessageBytes =
      min(max(configuration.maxMessageBytes, 1), 1 << 30) + Self.batchHeadroomBytes
    transport.connection.token = configuration.token
    transport.connection.acceptsGzip = configuration.compression == .gzip
    transport.connection.connectTimeout = TimeAmount(configuration.connectTimeout)
    // A peer that stopped without closing its connection is noticed while calls wait for it; a bit
    // more than the five minutes that gRPC servers allow at least between two PINGs.
    transport.connection.pingInterval = .seconds(305)
    transport.connection.pingTimeout = .seconds(5)
    var failure: String?
    if let tls = configuration.tls {
      do throws(TLSFileFailure) {
        transport.connection.tls = try tls.transport()
      } catch {
        failure = error.sentence
      }
    }
    channel = ClientChannel(
      host: host, port: port, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
      configuration: transport, cantConnect: failure.map { "TLS: \($0)" })
  }

  /// How requests are sent.
  var encoding: MessageEncoding { configuration.compression == .gzip ? .gzip : .identity }

  /// Closes the connection when the calls in progress are done; later calls fail.
  public func close() {
    channel.close(gracefully: true)
  }
}

/// Settings of one call that differ from the client's configuration.
public struct RingstoreCallOptions: Sendable {
  /// The time the call may take; nil: as configured.
  public var timeout: Duration?
  /// The database it works on; nil: as configured.
  public var database: UInt32?
  /// The trace that the call belongs to; nil: as configured.
  public var traceContext: RingstoreTraceContext?

  public init(
    timeout: Duration? = nil, database: UInt32? = nil, traceContext: RingstoreTraceContext? = nil
  ) {
    self.timeout = timeout
    self.database = database
    self.traceContext = traceContext
  }

  /// As the client is configured.
  public static let standard = RingstoreCallOptions()
}
