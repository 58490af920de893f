// A streaming call of a ClientChannel as async code sees it. Sendable; when the last reference to
// it and its messages goes, the call is cancelled.

import NIOCore

/// The metadata of a stream.
package struct StreamNotes: Sendable, Hashable {
  package internal(set) var initialMetadata = Metadata()
  package internal(set) var trailingMetadata = Metadata()
  /// The number of compressed messages received.
  package internal(set) var compressedMessages = 0
}

/// A stream of messages both ways.
package final class ClientStream: Sendable {
  private let exchange: StreamExchange

  init(_ exchange: StreamExchange) { self.exchange = exchange }

  deinit { exchange.cancel() }

  /// Sends one message; `write` appends it. Suspends while the peer doesn't read the sent messages.
  /// Cancelling the task cancels the call.
  ///
  /// - Parameter isPlain: not compressed, whatever the call's encoding.
  /// - Throws: the call's status if it has ended.
  package func send(
    isPlain: Bool = false, isolation: isolated (any Actor)? = #isolation,
    _ write: (inout ByteBuffer) -> Void
  ) async throws(RPCStatus) {
    var message = ByteBuffer()
    write(&message)
    try await exchange.send(message, isPlain: isPlain)
  }

  /// No more messages will be sent.
  package func halfClose() { exchange.halfClose() }

  /// Ends the call; `messages` ends with CANCELLED unless it has ended before.
  package func cancel() { exchange.cancel() }

  /// Whether the peer may have executed the call; nil until it has ended.
  package var processed: Processed? { exchange.processed }

  /// The peer's metadata so far; empty unless the call keeps it.
  package var notes: StreamNotes { exchange.notes }

  /// The messages of the peer; ends when the call ended with OK and throws any other status. While
  /// they are not read, a limited number of bytes is kept, then the peer must wait.
  package var messages: Messages { Messages(stream: self) }

  /// The peer's messages, for one task.
  package struct Messages: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    package typealias Failure = RPCStatus
    fileprivate let stream: ClientStream

    package func makeAsyncIterator() -> Iterator { Iterator(stream: stream) }

    package struct Iterator: AsyncIteratorProtocol {
      fileprivate let stream: ClientStream

      package mutating func next() async throws(RPCStatus) -> ByteBuffer? {
        try await stream.exchange.next()
      }

      package mutating func next(
        isolation actor: isolated (any Actor)?
      ) async throws(RPCStatus) -> ByteBuffer? {
        try await stream.exchange.next()
      }
    }
  }
}
