// Large replies: one is brought into memory only while it fits beside those that wait already, or
// when its turn has come and the client has read what was before it. Otherwise it waits on its
// shard. On the session's event loop.

import NIOCore
import NodeCore

extension LineSession {
  package func takesLargeReply(of call: PortCall) -> Bool {
    if hasRoom(forReplyOf: call) { return true }
    if !askers.contains(where: { $0 === call }) { askers.append(call) }
    return false
  }

  package func expectsLargeReply(of call: PortCall, byteCount: Int) {
    guard let index = entry(of: call) else { return }
    entries[index].expectedBytes += byteCount
    expectedBytes += byteCount
  }

  private func hasRoom(forReplyOf call: PortCall) -> Bool {
    guard output.readableBytes < Self.outputBytesMax else { return false }
    if entry(of: call) == entries.startIndex { return true }
    return output.readableBytes + waitingBytes + expectedBytes < Self.outputBytesMax
  }

  /// The entry of a call; the last one for a call that is just being made.
  private func entry(of call: PortCall) -> CircularBuffer<LineEntry>.Index? {
    if let index = entries.firstIndex(where: { $0.call === call }) { return index }
    guard let last = entries.last, last.call == nil, last.reply == nil else { return nil }
    return entries.index(before: entries.endIndex)
  }

  /// Tells the node of the replies that it may bring now.
  func askAgain() {
    guard !askers.isEmpty else { return }
    let waiting = askers
    askers.removeAll()
    for call in waiting where !call.isOver {
      if hasRoom(forReplyOf: call) {
        port.callerTakesMore(call)
      } else {
        askers.append(call)
      }
    }
  }
}
