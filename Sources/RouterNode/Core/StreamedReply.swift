// A reply that comes in parts: how much of it was asked for, how much has come, and what is to be
// done with each part. Pure; part of a router's core.
//
//   asks --granted--> parts come --half of the window, or all, has come--> asks ... --the last
//   part--> ended
//
// A shard sends no part that it was not asked for, so what a router holds is bounded by what it
// asks for: a window for a caller that takes the parts as they come, the whole reply for one that
// wants it whole.

import NIOCore
import NodeCore

struct StreamedReply {
  enum Kind: Equatable {
    /// Pieces of one message, passed on as they come.
    case pieces(total: Int)
    /// Pieces of one message, passed on together.
    case gathered(total: Int)
    /// Whole messages of a stream.
    case messages
  }

  /// What is to be done with a part that has come.
  enum Part: Equatable {
    /// Nothing: it is kept until the reply is whole.
    case keep
    /// It is passed on as a piece. Before the first one the caller is told how many bytes will
    /// come.
    case piece(beginning: Int?)
    /// It is passed on as a message.
    case message
    /// The shard sends another number of bytes than it has announced.
    case refuse
  }

  /// What a caller that takes parts as they come is asked for at most.
  static let windowBytes = LinkProtocol.streamCreditBytes

  let kind: Kind
  /// Bytes that were asked for and have not come; below 0 where a shard has sent a little more.
  private var credit = 0
  private var received = 0
  /// What is counted against the link's bound on account of this reply.
  private(set) var reserved = 0
  /// Whether the caller was told of the first piece.
  private(set) var hasBegun = false
  /// What was gathered.
  private(set) var bytes = ByteBuffer()
  /// Waits for its part of the link's bound.
  var isAsking = false

  /// Bytes of the reply: those that have come.
  var byteCount: Int { received }

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

  mutating func granted(_ byteCount: Int) {
    credit += byteCount
    reserved += byteCount
  }

  /// A part has come.
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

  /// The call begins anew at another shard, which was asked for nothing.
  mutating func forgetCredit() {
    credit = 0
  }
}
