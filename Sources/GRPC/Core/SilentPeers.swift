// Socket options for peers that disappear without notice: a host that lost power or its network
// sends no FIN. Values of socket options; any thread.

import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How long a silent peer is believed in by the system, in seconds.
package enum SilentPeers {
  /// Silence on an idle connection after which the system sends a probe.
  package static let idleSeconds: Int = 60
  /// Time between two such questions, and how many stay without a reply.
  package static let probeSeconds: Int = 10
  package static let probes: Int = 3
  /// How long bytes that the system has may stay unacknowledged, or the peer's window shut. Longer
  /// than the limit for replies that wait here.
  package static let unacknowledgedSeconds: Int = 60

  /// The options of a socket. Those of a listening socket are its connections' as well.
  ///
  /// A server checks acknowledged bytes itself (`TakenBytes`): TCP_USER_TIMEOUT would also close a
  /// client that reads slowly into a small buffer, because its window is never fully open.
  static let options: [Option] = [
    (.init(level: .socket, name: .so_keepalive), 1),
    tcp(idleOption, idleSeconds), tcp(TCP_KEEPINTVL, probeSeconds), tcp(TCP_KEEPCNT, probes),
  ]

  /// Those of a client's socket. Without TCP_USER_TIMEOUT, the client's own limits and PINGs must
  /// be enough.
  static var clientOptions: [Option] {
    #if os(Linux)
      options + [tcp(TCP_USER_TIMEOUT, unacknowledgedSeconds * 1_000)]
    #else
      options
    #endif
  }

  typealias Option = (option: ChannelOptions.Types.SocketOption, value: Int)

  private static func tcp(_ name: Int32, _ value: Int) -> Option {
    (.init(level: .tcp, name: .init(rawValue: name)), value)
  }

  private static var idleOption: Int32 {
    #if os(Linux)
      TCP_KEEPIDLE
    #else
      TCP_KEEPALIVE
    #endif
  }

  /// Whether the system has abandoned a peer that replied to no probe.
  package static func isGivenUp(_ error: any Error) -> Bool {
    (error as? IOError)?.errnoCode == ETIMEDOUT
  }

  /// How long ago the system received bytes on this channel's socket, read or not, in nanoseconds;
  /// nil if unknown. On the channel's event loop.
  static func unheardNanos(_ channel: any Channel) -> UInt64? {
    #if os(Linux)
      guard let socket = channel as? any SocketOptionProvider else { return nil }
      var nanos: UInt64?
      socket.getTCPInfo().assumeIsolated().whenSuccess { info in
        nanos = UInt64(info.tcpi_last_data_recv) * 1_000_000
      }
      return nanos
    #else
      return nil
    #endif
  }
}
