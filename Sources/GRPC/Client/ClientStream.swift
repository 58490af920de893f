// A streaming call of a ClientChannel as async code sees it. Sendable; when the last reference to
// it and its messages goes, the call is cancelled.

import NIOCore

/// A stream of messages both ways.
package final class ClientStream: Sendable {
  private let exchange: StreamExchange

  init(_ exchange: StreamExchange) { self.exchange = exchange }

  deinit { exchange.cancel() }

  /// Sends one message; `write` appends it. Suspends while the peer doesn't take what was sent.
  /// Cancelling the task cancels the call.
  ///
  /// - Throws: the call's status if it has ended.
  package func send(
    isolation: isolated (any Actor)? = #isolation, _ write: (inout ByteBuffer) -> Void
  ) async throws(RPCStatus) {
    var message = ByteBuffer()
    write(&message)
    try await exchange.send(message)
  }

  /// No more messages will be sent.
  package func halfClose() { exchange.halfClose() }

  /// Ends the call; `messages` ends with CANCELLED unless it has ended before.
  package func cancel() { exchange.cancel() }

  /// Whether the peer can have executed the call; nil until it has ended.
  package var processed: Processed? { exchange.processed }

  /// The messages of the peer; ends when the call ended with OK and throws any other status. While
  /// they are not read, a bounded number of bytes is kept, then the peer is made to wait.
  package var messages: Messages { Messages(stream: self) }

  /// The peer's messages, to be read by one task.
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
