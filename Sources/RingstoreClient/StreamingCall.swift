// A call whose reply is a stream, as scans and list streams read it: one message at a time, each
// within the call's timeout, and begun again after a broken connection if its reader permits.
//
// Owned by one iterator. Dropping it cancels the call. Nothing is read ahead beyond the window that
// the connection gives each stream.

internal import GRPC
internal import NIOCore
internal import RingstoreAPI

struct StreamingCall {
  /// Most times a call is begun without progress in between, the first included.
  static let attemptsMax = 4

  private let channel: ClientChannel
  private let rpc: RPC
  private let metadata: Metadata
  let timeout: Duration
  private var stream: ClientStream?
  private var attempts = 0
  private var hasReplied = false
  private var isOver = false

  /// - Parameter timeout: how long the reader may wait for the next message.
  init(_ channel: ClientChannel, _ rpc: RPC, _ metadata: Metadata, timeout: Duration) {
    self.channel = channel
    self.rpc = rpc
    self.metadata = metadata
    self.timeout = timeout
  }

  /// The last message was progress: the count of attempts begins again.
  mutating func madeProgress() { attempts = 0 }

  /// Ends the call before its end.
  mutating func cancel() {
    isOver = true
    stream = nil
  }

  /// The next message; nil at the end, and always after an error.
  ///
  /// - Parameter request: the request that begins the call; nil if it may not be begun again.
  mutating func next(
    isolation: isolated (any Actor)? = #isolation, request: () -> ByteBuffer?
  ) async throws(RingstoreError) -> ByteBuffer? {
    if isOver { return nil }
    let deadline = ContinuousClock.now.advanced(by: timeout)
    while true {
      let stream = await open(request)
      do throws(RPCStatus) {
        if let message = try await Self.message(of: stream, until: deadline) {
          hasReplied = true
          return message
        }
        cancel()
        return nil
      } catch {
        self.stream = nil
        let mayBeginAgain = request() != nil && attempts < Self.attemptsMax
        guard Self.isLoss(error, stream.processed), mayBeginAgain else {
          cancel()
          throw RingstoreError(error, of: rpc)
        }
      }
    }
  }

  /// The call in progress, or a new one. Only a call that had a reply before waits for a
  /// connection: if no server listens, the reader gets the error at once.
  private mutating func open(
    isolation: isolated (any Actor)? = #isolation, _ request: () -> ByteBuffer?
  ) async -> ClientStream {
    if let stream { return stream }
    attempts += 1
    let stream = channel.stream(
      path: rpc.path, metadata: metadata, waitForReady: hasReplied)
    self.stream = stream
    let message = request() ?? ByteBuffer()
    do throws(RPCStatus) {
      try await stream.send { $0.writeImmutableBuffer(message) }
    } catch {
      // The reader of the messages gets the same status.
    }
    stream.halfClose()
    return stream
  }

  /// The retry rule for reads: sent again if no node has replied.
  private static func isLoss(_ status: RPCStatus, _ processed: Processed?) -> Bool {
    status.code == .unavailable && processed != .yes
  }

  private static func message(
    isolation: isolated (any Actor)? = #isolation, of stream: ClientStream,
    until deadline: ContinuousClock.Instant
  ) async throws(RPCStatus) -> ByteBuffer? {
    let watchdog = Watchdog(deadline) { stream.cancel() }
    defer { watchdog.stop() }
    do throws(RPCStatus) {
      var messages = stream.messages.makeAsyncIterator()
      return try await messages.next()
    } catch {
      guard error.code == .cancelled, watchdog.hasBarked else { throw error }
      throw RPCStatus(.deadlineExceeded, "Nothing arrived within the call's timeout.")
    }
  }
}
