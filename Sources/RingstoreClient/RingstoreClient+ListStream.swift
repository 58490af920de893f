// LRangeStream: a range of one state of a list, in chunks, as fast as the reader reads them.

internal import NIOCore
internal import RingstoreAPI

/// A range of a list that is read while it arrives: a sequence of its values. Nothing is requested
/// before the first value is; a reader that drops its iterator ends the call.
///
/// All of it shows one state of the list, even if writers change it meanwhile. That state isn't
/// available through another connection: if the connection breaks in the middle, the error is
/// thrown. A reader that takes too long gets VIEW_EXPIRED.
public struct RingstoreListStream: AsyncSequence, Sendable {
  public typealias Element = [UInt8]
  public typealias Failure = RingstoreError

  fileprivate let client: RingstoreClient
  fileprivate let command: RingstoreCommand
  fileprivate let options: RingstoreCallOptions

  /// The range as it is sent: several values at a time, with their position in the list.
  public var chunks: Chunks { Chunks(stream: self) }

  public func makeAsyncIterator() -> Iterator { Iterator(chunks: chunks.makeAsyncIterator()) }

  /// Reads values; for one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    private var chunks: Chunks.Iterator
    private var values: ArraySlice<[UInt8]> = []

    fileprivate init(chunks: Chunks.Iterator) { self.chunks = chunks }

    public mutating func next() async throws(RingstoreError) -> [UInt8]? {
      try await next(isolation: nil)
    }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RingstoreError) -> [UInt8]? {
      while values.isEmpty {
        guard let next = try await chunks.next(isolation: actor) else { return nil }
        values = next.values[...]
      }
      return values.popFirst()
    }
  }

  /// The chunks of a range. For a missing list there is one chunk that says so.
  public struct Chunks: AsyncSequence, Sendable {
    public typealias Element = RingstoreList
    public typealias Failure = RingstoreError

    fileprivate let stream: RingstoreListStream

    public func makeAsyncIterator() -> Iterator { Iterator(stream) }

    /// Reads chunks; for one task at a time.
    public struct Iterator: AsyncIteratorProtocol {
      private let stream: RingstoreListStream
      private var replies: StreamingCall
      private var hasBegun = false

      fileprivate init(_ stream: RingstoreListStream) {
        self.stream = stream
        replies = stream.client.replies(to: V1.KeyStore.lRangeStream, stream.options)
      }

      public mutating func next() async throws(RingstoreError) -> RingstoreList? {
        try await next(isolation: nil)
      }

      public mutating func next(
        isolation actor: isolated (any Actor)?
      ) async throws(RingstoreError) -> RingstoreList? {
        let (stream, hasBegun) = (stream, hasBegun)
        let message = try await replies.next(isolation: actor) {
          hasBegun ? nil : stream.request
        }
        guard let message else { return nil }
        self.hasBegun = true
        do throws(WireError) {
          return try message.withBytes { bytes throws(WireError) in
            RingstoreList(try V1.ListValues(bytes))
          }
        } catch {
          replies.cancel()
          throw .undecodable(V1.KeyStore.lRangeStream)
        }
      }
    }
  }

  fileprivate var request: ByteBuffer {
    var request = ByteBuffer()
    command.writeRequest(database: client.database(options), into: &request)
    return request
  }
}

extension RingstoreClient {
  /// Reads a range of one state of a list of any length. Indices are as for `lRange`.
  ///
  /// - Parameter options: its timeout is for each chunk, from when the reader requests it.
  /// - Throws: from the sequence: WRONG_TYPE; VIEW_EXPIRED if the node had to release that state;
  ///   UNAVAILABLE if the connection broke after the first chunk.
  public func listStream(
    _ key: some RingstoreBytes, _ start: Int64 = 0, _ stop: Int64 = -1,
    options: RingstoreCallOptions = .standard
  ) -> RingstoreListStream {
    RingstoreListStream(client: self, command: .lRange(key, start, stop), options: options)
  }
}
