// What a node gives to the gRPC server: its methods and what to do with a call. One instance per
// event loop; every method is called on that loop and must not block.

import NIOCore

/// A method as the server needs to know it.
package struct ServerMethod: Sendable, Hashable {
  /// How messages travel.
  package enum Kind: Sendable {
    /// One message in, one out.
    case unary
    /// Any number either way.
    case streaming
  }

  /// The service's own number for the method; see `ServerCall.methodID`.
  package let id: Int
  package let kind: Kind
  /// Whether a connection above the node's bounds may carry it: links and administration.
  package let isReserved: Bool

  package init(id: Int, kind: Kind, isReserved: Bool = false) {
    self.id = id
    self.kind = kind
    self.isReserved = isReserved
  }
}

/// Why a call ended before the service answered it.
package enum CallEnd: Sendable, Hashable {
  /// The client reset it, or its connection is gone.
  case cancelled
  /// Its deadline passed. The client is told DEADLINE_EXCEEDED by the server.
  case deadline
}

/// A gRPC service, or several behind one dispatch.
///
/// A call must be answered in the end (`respond`, `fail`, `finish`) unless `callEnded` came first.
/// Every method of `ServerCall` may be called from within any of these.
package protocol ServerService: AnyObject {
  /// The loop's flusher, if the service has made one: the server then shares it, and with it the
  /// turns of all that takes long (`LoopScheduler.yieldThenRun`). Two on one loop could starve its
  /// sockets between them. Asked once; nil if not implemented.
  var loopFlusher: FlushCoalescer? { get }

  /// The method behind `:path`, or nil if there is none (the client gets UNIMPLEMENTED). Answers
  /// are cached for the loop.
  func method(path: UnsafeRawBufferPointer) -> ServerMethod?

  /// The page behind `:path` for a plain GET, or nil if there is none (the client gets 405). A text
  /// of a moment; asked for each request. Nil if not implemented.
  func page(path: UnsafeRawBufferPointer) -> ServerPage?

  /// Why a unary call ends before its message is inflated, or nil: a compressed message of a client
  /// that may not call at all should cost nothing. Nil if not implemented.
  func refusal(of call: ServerCall) -> RPCStatus?

  /// The one whole message of a unary call. The pointer is valid during this call only.
  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer)

  /// A streaming call began; its metadata can be read.
  func streamOpened(_ call: ServerCall)

  /// One message of a streaming call. The pointer is valid during this call only.
  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer)

  /// The client sends no more messages on this call.
  func streamHalfClosed(_ call: ServerCall)

  /// Outbound bytes fell below the low water mark after `isWritable` had become false, or what
  /// `ServerCall.awaitRoom` asked for has come. For unary calls only if they are answered in
  /// pieces.
  func streamWritable(_ call: ServerCall)

  /// The call ended before it was answered. The object must not be used any more afterwards.
  func callEnded(_ call: ServerCall, _ reason: CallEnd)
}

extension ServerService {
  package var loopFlusher: FlushCoalescer? { nil }
  package func page(path: UnsafeRawBufferPointer) -> ServerPage? { nil }
  package func refusal(of call: ServerCall) -> RPCStatus? { nil }
}

/// The client connection a call came in on. Event loop only.
package protocol ServerConnection: AnyObject {
  /// Whether answers that wait to be sent on this connection, with those that calls have reserved
  /// room for, are below the bound: if not, large replies should wait. `ServerCall.awaitRoom` tells
  /// when to continue. O(1).
  var hasOutboundRoom: Bool { get }

  /// Lets this client send keep-alive PINGs as often as this, with or without open calls.
  func permitPings(everyNanos: UInt64)

  /// Bytes that have come from the client. They only grow.
  var bytesReceived: Int { get }

  /// Closes the connection at once, whatever is in progress on it.
  ///
  /// - Parameter reason: nil where that is noted already.
  func closeNow(_ reason: ConnectionEnd?)

  /// The connection is another node's from here on, and counts no more as a client's.
  func becomeLink()

  /// The client's address, for logs.
  var remoteAddress: String { get }

  /// What TLS has proven of the client. It stays the same for the connection's life.
  var peer: PeerIdentity { get }
}
