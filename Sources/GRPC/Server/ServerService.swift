// What a node provides to the gRPC server: its methods and the handling of a call. One instance per
// event loop; every method is called on that loop and must not block.

import NIOCore

/// A method, as described to the server.
package struct ServerMethod: Sendable, Hashable {
  /// How messages travel.
  package enum Kind: Sendable {
    /// One message in, one out.
    case unary
    /// Any number of messages in either direction.
    case streaming
  }

  /// The service's own number for the method; see `ServerCall.methodID`.
  package let id: Int
  package let kind: Kind
  /// Whether a connection above the node's limits may carry it: links and administration.
  package let isReserved: Bool

  package init(id: Int, kind: Kind, isReserved: Bool = false) {
    self.id = id
    self.kind = kind
    self.isReserved = isReserved
  }
}

/// Why a call ended before the service replied to it.
package enum CallEnd: Sendable, Hashable {
  /// The client reset it, or its connection is gone.
  case cancelled
  /// Its deadline passed. The server sends DEADLINE_EXCEEDED to the client.
  case deadline
}

/// A gRPC service, or several behind one dispatch.
///
/// Each call must get its reply (`respond`, `fail`, `finish`) unless `callEnded` came first. Every
/// method of `ServerCall` may be called from within any of these.
package protocol ServerService: AnyObject {
  /// The loop's flusher, if the service has made one: the server then shares it, and with it the
  /// turns of all long work (`LoopScheduler.yieldThenRun`). Two flushers on one loop could together
  /// starve its sockets. Read once; nil if not implemented.
  var loopFlusher: FlushCoalescer? { get }

  /// The method behind `:path`, or nil if there is none (the client gets UNIMPLEMENTED). Results
  /// are cached for the loop.
  func method(path: UnsafeRawBufferPointer) -> ServerMethod?

  /// The page behind `:path` for a plain GET, or nil if there is none (the client gets 405). The
  /// text may change; this is called for each request. Nil if not implemented.
  func page(path: UnsafeRawBufferPointer) -> ServerPage?

  /// Why a call ends before its message is inflated, or nil: a compressed message of a client that
  /// has no permission should cost nothing. A streaming call was opened before. Nil if not
  /// implemented.
  func refusal(of call: ServerCall) -> RPCStatus?

  /// The one whole message of a unary call. The pointer is valid during this call only.
  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer)

  /// A streaming call began; its metadata can be read.
  func streamOpened(_ call: ServerCall)

  /// One message of a streaming call. The pointer is valid during this call only.
  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer)

  /// The client sends no more messages on this call.
  func streamHalfClosed(_ call: ServerCall)

  /// Outbound bytes fell below the low water mark after `isWritable` had become false, or the room
  /// requested by `ServerCall.awaitRoom` is available. For unary calls only if their replies are in
  /// pieces.
  func streamWritable(_ call: ServerCall)

  /// The call ended before its reply. The object must not be used afterwards.
  func callEnded(_ call: ServerCall, _ reason: CallEnd)
}

extension ServerService {
  package var loopFlusher: FlushCoalescer? { nil }
  package func page(path: UnsafeRawBufferPointer) -> ServerPage? { nil }
  package func refusal(of call: ServerCall) -> RPCStatus? { nil }
}

/// The client connection that a call arrived on. Event loop only.
package protocol ServerConnection: AnyObject {
  /// Whether the replies that wait to be sent on this connection, plus what calls have reserved,
  /// are below the limit: if not, large replies should wait. `ServerCall.awaitRoom` reports when to
  /// continue. O(1).
  var hasOutboundRoom: Bool { get }

  /// Lets this client send keep-alive PINGs as often as this, with or without open calls.
  func permitPings(everyNanos: UInt64)

  /// Bytes received from the client. The number only grows.
  var bytesReceived: Int { get }

  /// Closes the connection at once, even if calls are in progress on it.
  ///
  /// - Parameter reason: nil if that is noted already.
  func closeNow(_ reason: ConnectionEnd?)

  /// The connection is another node's from here on, and counts no more as a client's.
  func becomeLink()

  /// The client's address, for logs.
  var remoteAddress: String { get }

  /// What TLS has proven of the client. It stays the same for the connection's life.
  var peer: PeerIdentity { get }
}
