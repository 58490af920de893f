// The chunked replies of a router's loop, by the ids of their calls, and the bytes requested for
// them from each shard. Pure; part of a router's core.
//
// A link's share limits the bytes that were requested and not forwarded; a reply that doesn't fit
// waits for its part. A reply that is larger than the share is requested alone.

import NIOCore
import Users

struct StreamedReplies {
  private struct Account {
    var requestedBytes = 0
    /// Replies that wait for their part. Abandoned replies leave their ids in the queue.
    var waiters = CircularBuffer<UInt64>()
  }

  private var replies: [UInt64: StreamedReply] = [:]
  /// By the places of links.
  private var accounts: [Account] = []

  var count: Int { replies.count }
  /// Bytes that were requested from shards and not forwarded.
  var requestedBytes: Int { accounts.reduce(0) { $0 + $1.requestedBytes } }

  func contains(_ id: UInt64) -> Bool { replies[id] != nil }

  /// Whether the reply's first chunk was announced to the caller.
  func hasBegun(_ id: UInt64) -> Bool { replies[id]?.hasBegun == true }

  /// - Parameter principal: whose stream it is; nil: the reply is completed whatever becomes of its
  ///   user's permissions.
  mutating func begin(
    _ id: UInt64, _ kind: StreamedReply.Kind, of principal: Principal? = nil
  ) {
    replies[id] = StreamedReply(kind, of: principal)
  }

  // MARK: - Users

  /// The streams whose users may have lost their permissions, in the order in which they were
  /// submitted.
  var revoked: [(id: UInt64, principal: Principal)] {
    replies.compactMap { id, reply in
      reply.principal.flatMap { $0.isRevoked ? (id, $0) : nil }
    }.sorted { CallOrder.isBefore($0.id, $1.id) }
  }

  /// The user of a stream still has the same permissions.
  mutating func isFrom(_ principal: Principal, _ id: UInt64) { replies[id]?.principal = principal }

  // MARK: - Asking

  /// Whether a reply is there that doesn't wait for its part already.
  func mayAsk(_ id: UInt64) -> Bool { replies[id]?.isRequesting == false }

  func hasWaiters(_ link: Int) -> Bool {
    link < accounts.count && !accounts[link].waiters.isEmpty
  }

  /// A reply's caller accepts more. Returns how much to request from its shard now; 0 for nothing,
  /// or if it must wait for its part.
  mutating func ask(_ id: UInt64, of link: Int, share: Int) -> Int {
    guard let bytes = replies[id]?.wantedBytes, bytes > 0 else { return 0 }
    while accounts.count <= link { accounts.append(Account()) }
    if accounts[link].waiters.isEmpty, hasRoom(link, bytes, share) {
      grant(id, bytes, link)
      return bytes
    }
    replies[id]?.isRequesting = true
    accounts[link].waiters.append(id)
    if accounts[link].waiters.count > 2 * replies.count + 1_024 {
      accounts[link].waiters.removeAll { replies[$0]?.isRequesting != true }
    }
    return 0
  }

  /// The reply that has waited longest for its part, if it fits, and how much to request from its
  /// shard. It no longer waits, even if its caller accepts no more (`grant`).
  mutating func nextWaiter(_ link: Int, share: Int) -> (id: UInt64, bytes: Int)? {
    while hasWaiters(link), let id = accounts[link].waiters.first {
      let bytes = replies[id]?.isRequesting == true ? replies[id]?.wantedBytes ?? 0 : 0
      guard bytes == 0 || hasRoom(link, bytes, share) else { return nil }
      accounts[link].waiters.removeFirst()
      guard replies[id]?.isRequesting == true else { continue }
      replies[id]?.isRequesting = false
      if bytes > 0 { return (id, bytes) }
    }
    return nil
  }

  mutating func grant(_ id: UInt64, _ byteCount: Int, _ link: Int) {
    replies[id]?.granted(byteCount)
    accounts[link].requestedBytes += byteCount
  }

  private func hasRoom(_ link: Int, _ byteCount: Int, _ share: Int) -> Bool {
    let asked = accounts[link].requestedBytes
    return asked == 0 || asked + byteCount <= share
  }

  // MARK: - Parts

  /// A part has arrived. Returns the action for it, and how many bytes no longer count; nil if
  /// there is no such reply any more.
  mutating func take(
    _ part: UnsafeRawBufferPointer, of id: UInt64, from link: Int, isLast: Bool
  ) -> (part: StreamedReply.Part, released: Int)? {
    guard let step = replies[id]?.take(part, isLast: isLast) else { return nil }
    switch step {
    case .keep, .refuse: return (step, 0)
    case .piece, .message: return (step, release(id, part.count, link))
    }
  }

  /// The call starts again at another shard: the bytes requested from the old one won't arrive.
  /// Returns how many bytes no longer count.
  mutating func returned(_ id: UInt64, by link: Int) -> Int {
    let released = release(id, .max, link)
    replies[id]?.forgetCredit()
    return released
  }

  /// Removes a reply. Returns its last state, with the bytes that no longer count (`reserved`).
  mutating func end(_ id: UInt64, at link: Int) -> StreamedReply? {
    guard let reply = replies.removeValue(forKey: id) else { return nil }
    if reply.reserved > 0 { accounts[link].requestedBytes -= reply.reserved }
    return reply
  }

  /// A link is lost: replies that wait for a part of it won't get one.
  mutating func lost(_ link: Int) {
    if link < accounts.count { accounts[link].waiters.removeAll() }
  }

  private mutating func release(_ id: UInt64, _ byteCount: Int, _ link: Int) -> Int {
    guard let released = replies[id]?.release(byteCount), released > 0 else { return 0 }
    accounts[link].requestedBytes -= released
    return released
  }
}
