// Scan: every key of a database, page by page, as fast as the reader reads them. If its connection
// breaks, a scan continues automatically after its last page.

internal import NIOCore
internal import RingstoreAPI

/// A part of a scan.
public struct RingstoreScanPage: Sendable {
  /// In no particular order; may be empty.
  public let keys: [[UInt8]]
  /// A token with which a later scan with the same pattern, type and database continues after this
  /// page, through any router and after any restart. Opaque.
  public let resumeToken: [UInt8]
  /// How many of the 16384 slots are done.
  public let slotsDone: Int
  /// One for each shard that can't be reached, naming it and why. Only of a partial scan.
  public let unreachable: [RingstoreError]

  /// The progress of the scan, from 0 to 1.
  public var progress: Double { Double(slotsDone) / 16_384 }
}

/// A scan: a sequence of pages. Nothing is requested before the first page is; a reader that stops
/// reading stops the shards, and one that drops its iterator ends the scan.
public struct RingstoreScan: AsyncSequence, Sendable {
  public typealias Element = RingstoreScanPage
  public typealias Failure = RingstoreError

  fileprivate let client: RingstoreClient
  fileprivate let pattern: RingstorePattern
  fileprivate let type: RingstoreType?
  fileprivate let pageSize: Int
  fileprivate let resumeToken: [UInt8]
  fileprivate let allowPartial: Bool
  fileprivate let options: RingstoreCallOptions

  /// Only the keys. After an error it can't be continued: that needs a page's token.
  public var keys: Keys { Keys(pages: self) }

  public func makeAsyncIterator() -> Iterator { Iterator(self) }

  /// Reads pages; for one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    private let scan: RingstoreScan
    private var replies: StreamingCall
    private var token: [UInt8]

    fileprivate init(_ scan: RingstoreScan) {
      self.scan = scan
      token = scan.resumeToken
      replies = scan.client.replies(to: V1.KeyStore.scan, scan.options)
    }

    public mutating func next() async throws(RingstoreError) -> RingstoreScanPage? {
      try await next(isolation: nil)
    }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RingstoreError) -> RingstoreScanPage? {
      let (scan, token) = (scan, token)
      let message = try await replies.next(isolation: actor) { scan.request(from: token) }
      guard let message else { return nil }
      let page: RingstoreScanPage
      do throws(WireError) {
        page = try message.withBytes { bytes throws(WireError) in try RingstoreScanPage(bytes) }
      } catch {
        replies.cancel()
        throw .undecodable(V1.KeyStore.scan)
      }
      if page.resumeToken != token, !page.resumeToken.isEmpty {
        self.token = page.resumeToken
        replies.madeProgress()
      }
      return page
    }
  }

  /// The keys of a scan one by one.
  public struct Keys: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    public typealias Failure = RingstoreError

    fileprivate let pages: RingstoreScan

    public func makeAsyncIterator() -> Iterator { Iterator(pages: pages.makeAsyncIterator()) }

    /// Reads keys; for one task at a time.
    public struct Iterator: AsyncIteratorProtocol {
      fileprivate var pages: RingstoreScan.Iterator
      private var page: ArraySlice<[UInt8]> = []

      fileprivate init(pages: RingstoreScan.Iterator) { self.pages = pages }

      public mutating func next() async throws(RingstoreError) -> [UInt8]? {
        try await next(isolation: nil)
      }

      public mutating func next(
        isolation actor: isolated (any Actor)?
      ) async throws(RingstoreError) -> [UInt8]? {
        while page.isEmpty {
          guard let next = try await pages.next(isolation: actor) else { return nil }
          page = next.keys[...]
        }
        return page.popFirst()
      }
    }
  }

  fileprivate func request(from token: [UInt8]) -> ByteBuffer {
    ByteBuffer.of { request in
      pattern.withMessage { pattern in
        token.withUnsafeBytes { token in
          V1.ScanRequest(
            pattern: pattern, database: client.database(options),
            pageSize: UInt32(clamping: pageSize), resumeToken: token, allowPartial: allowPartial,
            type: type?.valueType ?? .none
          ).write(into: &request)
        }
      }
    }
  }
}

extension RingstoreClient {
  /// Every key that matches, in pages. A key that exists during the whole scan is returned at least
  /// once; one written or deleted meanwhile may be returned or not.
  ///
  /// A scan that loses its connection continues automatically after its last page, through a new
  /// connection; keys of one page may then be returned again. If that fails too, the error is
  /// thrown, and a later scan can continue with `resumeToken` of the last page.
  ///
  /// - Parameters:
  ///   - type: only keys that hold this; nil: any.
  ///   - pageSize: about how many keys a page should have; 0: the node decides.
  ///   - resumeToken: of any page of an earlier scan with the same pattern, type and database.
  ///   - allowPartial: continue without shards that can't be reached; pages then list them.
  ///   - options: its timeout is for each page, from when the reader requests it.
  /// - Throws: from the sequence: BAD_PATTERN, BAD_PAGE_TOKEN, SHARD_UNAVAILABLE.
  public func scan(
    matching pattern: RingstorePattern = .all, type: RingstoreType? = nil, pageSize: Int = 0,
    resumeToken: [UInt8] = [], allowPartial: Bool = false,
    options: RingstoreCallOptions = .standard
  ) -> RingstoreScan {
    RingstoreScan(
      client: self, pattern: pattern, type: type, pageSize: pageSize, resumeToken: resumeToken,
      allowPartial: allowPartial, options: options)
  }

  func replies(to rpc: RPC, _ options: RingstoreCallOptions) -> StreamingCall {
    StreamingCall(
      channel, rpc, metadata(options), timeout: options.timeout ?? configuration.timeout)
  }
}

extension RingstoreScanPage {
  init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    let page = try V1.ScanPage(message)
    self.init(
      keys: page.keys.map { Array($0) }, resumeToken: Array(page.resumeToken),
      slotsDone: Int(page.slotsDone),
      unreachable: page.unreachable.map {
        RingstoreError(CallError($0), of: V1.KeyStore.scan)
      })
  }
}
