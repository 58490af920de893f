// A reply that comes in parts: how much of it was asked for, and how much has come. One event loop.
//
// A shard sends no part that it was not asked for, so what a router holds is bounded by what it
// asks for: a window for a caller that takes the parts as they come, the whole reply for one that
// wants it whole.

import NIOCore
import NodeCore

final class StreamedReply {
  enum Kind {
    /// Pieces of one message, passed on as they come.
    case pieces(total: Int)
    /// Pieces of one message, passed on together.
    case gathered(total: Int)
    /// Whole messages of a stream.
    case messages
  }

  /// What a caller that takes parts as they come is asked for at most.
  static let windowBytes = LinkProtocol.streamCreditBytes

  let kind: Kind
  /// Bytes that were asked for and have not come; below 0 where a shard has sent a little more.
  private(set) var credit = 0
  private(set) var received = 0
  /// What is counted against the link's bound on account of this reply.
  var reserved = 0
  /// Waits among the link's creditWaiters.
  var isAsking = false
  /// Whether the caller was told of the first piece.
  var hasBegun = false
  var bytes = ByteBuffer()

  init(_ kind: Kind) {
    self.kind = kind
  }

  /// How much to ask for now; 0: nothing.
  var wantedBytes: Int {
    switch kind {
    case .gathered(let total): return received == 0 && credit == 0 ? total : 0
    case .pieces(let total): return refill(min(Self.windowBytes, total - received))
    case .messages: return refill(Self.windowBytes)
    }
  }

  /// Asks again when half of the window has come, or all that is left fits.
  private func refill(_ window: Int) -> Int {
    credit > Self.windowBytes / 2 ? 0 : max(window - credit, 0)
  }

  func granted(_ byteCount: Int) {
    credit += byteCount
  }

  /// The call begins anew at another shard, which was asked for nothing.
  func forgetCredit() {
    credit = 0
  }

  /// Notes a part. Returns false where the shard sends more than it has announced.
  func received(_ byteCount: Int) -> Bool {
    credit -= byteCount
    received += byteCount
    switch kind {
    case .pieces(let total), .gathered(let total): return received <= total
    case .messages: return true
    }
  }

  /// Whether all that was announced has come.
  var isComplete: Bool {
    switch kind {
    case .pieces(let total), .gathered(let total): received == total
    case .messages: true
    }
  }
}
