// A chunked reply: how much of it was requested, how much has arrived, and the action for each
// part. Pure; part of a router's core.
//
//   requested --granted--> parts arrive --half of the window, or all, has arrived--> requested ...
//   --the last part--> ended
//
// A shard sends only requested parts, so a router's memory is bounded by its requests: a window for
// a caller that reads parts as they arrive, the whole reply for one that needs it complete.

import NIOCore
import NodeCore
import Users

struct StreamedReply {
  enum Kind: Equatable {
    /// Chunks of one message, forwarded as they arrive.
    case pieces(total: Int)
    /// Pieces of one message, passed on together.
    case gathered(total: Int)
    /// Whole messages of a stream.
    case messages
  }

  /// The action for a part that has arrived.
  enum Part: Equatable {
    /// Nothing: it is kept until the reply is complete.
    case keep
    /// It is forwarded as a chunk. Before the first one the caller gets the total number of bytes.
    case piece(beginning: Int?)
    /// It is passed on as a message.
    case message
    /// The shard sends another number of bytes than it has announced.
    case refuse
  }

  /// The maximum number of requested bytes for a caller that reads parts as they arrive.
  static let windowBytes = LinkProtocol.streamCreditBytes

  let kind: Kind
  /// Bytes that were requested and have not arrived; below 0 if a shard has sent a little more.
  private var credit = 0
  private var received = 0
  /// The bytes of this reply that count against the link's limit.
  private(set) var reserved = 0
  /// Whether the first chunk was announced to the caller.
  private(set) var hasBegun = false
  /// The collected bytes.
  private(set) var bytes = ByteBuffer()
  /// Waits for its part of the link's limit.
  var isRequesting = false
  /// Whose stream it is, if it ends with the user's permissions; nil for a reply that is completed.
  var principal: Principal?

  /// Bytes of the reply that have arrived.
  var byteCount: Int { received }

  init(_ kind: Kind, of principal: Principal? = nil) {
    self.kind = kind
    self.principal = principal
  }

  /// How much to request now; 0: nothing.
  var wantedBytes: Int {
    switch kind {
    case .gathered(let total): return received == 0 && credit == 0 ? total : 0
    case .pieces(let total): return refill(min(Self.windowBytes, total - received))
    case .messages: return refill(Self.windowBytes)
    }
  }

  /// Requests again when half of the window has arrived, or the whole rest fits.
  private func refill(_ window: Int) -> Int {
    credit > Self.windowBytes / 2 ? 0 : max(window - credit, 0)
  }

  mutating func granted(_ byteCount: Int) {
    credit += byteCount
    reserved += byteCount
  }

  /// A part has arrived.
  mutating func take(_ part: UnsafeRawBufferPointer, isLast: Bool) -> Part {
    credit -= part.count
    received += part.count
    switch kind {
    case .messages: return .message
    case .pieces(let total):
      guard isLast ? received == total : received <= total else { return .refuse }
      guard !hasBegun else { return .piece(beginning: nil) }
      hasBegun = true
      return .piece(beginning: total)
    case .gathered(let total):
      guard isLast ? received == total : received <= total else { return .refuse }
      if bytes.capacity == 0 { bytes.reserveCapacity(total) }
      bytes.writeBytes(part)
      return .keep
    }
  }

  /// Bytes are counted no longer. Returns how many of them were.
  mutating func release(_ byteCount: Int) -> Int {
    let released = min(byteCount, reserved)
    reserved -= released
    return released
  }

  /// The call starts again at another shard, from which nothing was requested.
  mutating func forgetCredit() {
    credit = 0
  }
}
