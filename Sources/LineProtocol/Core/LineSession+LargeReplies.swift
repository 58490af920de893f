// Large replies: one is fetched into memory only while it fits beside those that already wait, or
// when its turn has come and the client has read what was before it. Otherwise it waits on its
// shard. On the session's event loop.

import NIOCore
import NodeCore
import RingstoreAPI

extension LineSession {
  /// A reply of more than this is in the node's account until the connection has accepted it.
  static let accountedBytesMin = 256 << 10

  /// A reply kept until its turn; an error instead if all of them hold too much memory.
  func kept(_ reply: ByteBuffer, isLast: Bool) -> LineEntry {
    guard reply.readableBytes > Self.accountedBytesMin else { return LineEntry(reply: reply) }
    let memory = port.replyMemory
    let holding =
      isLast ? memory.hold(reply.readableBytes) : memory.holdIfRoom(reply.readableBytes)
    if let holding { return LineEntry(reply: reply, holding: holding) }
    let refusal = CallError.repliesHoldTooMuch(port.limits)
    port.countError(refusal)
    let error = LineError(refusal)
    return LineEntry(reply: LineCommands.written { $0.writeLine(error: error) })
  }

  package func takesLargeReply(of call: LocalCall) -> Bool {
    if hasRoom(forReplyOf: call) { return true }
    if !creditWaiters.contains(where: { $0 === call }) { creditWaiters.append(call) }
    return false
  }

  package func expectsLargeReply(of call: LocalCall, byteCount: Int) {
    guard let index = entry(of: call) else { return }
    entries[index].expectedBytes += byteCount
    expectedBytes += byteCount
  }

  private func hasRoom(forReplyOf call: LocalCall) -> Bool {
    guard output.readableBytes < Self.outputBytesMax else { return false }
    if entry(of: call) == entries.startIndex { return true }
    return output.readableBytes + waitingBytes + expectedBytes < Self.outputBytesMax
  }

  /// The entry of a call; the last one for a call that is just being made.
  private func entry(of call: LocalCall) -> CircularBuffer<LineEntry>.Index? {
    if let index = entries.firstIndex(where: { $0.call === call }) { return index }
    guard let last = entries.last, last.call == nil, last.reply == nil else { return nil }
    return entries.index(before: entries.endIndex)
  }

  /// Notifies the node of the replies that it may fetch now.
  func askAgain() {
    guard !creditWaiters.isEmpty else { return }
    let waiting = creditWaiters
    creditWaiters.removeAll()
    for call in waiting where !call.isOver {
      if hasRoom(forReplyOf: call) {
        port.callerTakesMore(call)
      } else {
        creditWaiters.append(call)
      }
    }
  }
}
