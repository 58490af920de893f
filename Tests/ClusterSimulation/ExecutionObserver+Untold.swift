// Calls of which no reply tells whether they were executed, and when that was if it was.
//
// Owns nothing.

import NIOCore
import RingstoreAPI

extension ExecutionObserver {
  /// The calls of which a frame to a router says that they were not executed.
  func callsRefused(in frame: ByteBuffer) -> Set<UInt64> {
    frame.withUnsafeReadableBytes { bytes in
      var refused: Set<UInt64> = []
      var parts = LinkV1.ShardFrame.Parts(bytes)
      while let part = try? parts.next() {
        guard case .replies(let message) = part, let reply = try? LinkV1.LinkReply(message) else {
          continue
        }
        if !wasExecuted(reply) { refused.insert(reply.id) }
      }
      return refused
    }
  }

  /// Whether a call of whose execution nothing was seen may have been executed all the same.
  func mayHaveHappened(_ item: SimulatedCall.Item, of call: SimulatedCall) -> Bool {
    if case .oneKey = call.kind {
    } else if item.valueSet == nil, !item.call.isRead {
      return partWindow(item, of: call) != nil
    }
    // A search may have been completed by another call on its key, and its caller be gone before
    // the next turn, in which it would have had its reply.
    if case .oneKey = call.kind, item.call.searches, arrival(of: call) != nil { return true }
    guard commitsLate else { return timesExecuted(item, of: call) != 0 }
    if case .oneKey = call.kind {
      return arrival(of: call) != nil
    }
    return item.valueSet.map(receivedParts.contains) ?? true
  }

  /// Between which moments a call without a reply was executed; nil if that isn't
  /// known.
  func whenExecuted(
    _ item: SimulatedCall.Item, of call: SimulatedCall
  ) -> (from: UInt64, to: UInt64)? {
    if case .oneKey = call.kind {
      return call.id.flatMap { heldCalls[CallKey(router: call.client.router.number, id: $0)] }
    }
    return item.valueSet.flatMap { heldParts[$0] }
  }

  /// Between which moments a call was executed if it was. The process that has received it last
  /// executes it while it lives and has the connection over which it came; what an earlier process
  /// may have done is noted when that is gone.
  func whenPerhapsExecuted(
    _ item: SimulatedCall.Item, of call: SimulatedCall
  ) -> (from: UInt64, to: UInt64?) {
    guard case .oneKey = call.kind else {
      let part = item.valueSet == nil ? partWindow(item, of: call) : nil
      return part ?? (item.invoked, nil)
    }
    guard let arrival = arrival(of: call) else { return (item.invoked, nil) }
    // What is cancelled, and has been executed all the same, has a reply that doesn't tell.
    let ends = [crashes[arrival.run], lefts[arrival.connection], arrival.replied]
      .compactMap(\.self)
    // One that waits may have been executed by a process before, whose reply was large.
    return (call.wasParked ? item.invoked : arrival.moment, ends.min())
  }

  /// When parts of a call on many keys, or of a Reset, were executed that concern an item.
  func partWindow(
    _ item: SimulatedCall.Item, of call: SimulatedCall
  ) -> (from: UInt64, to: UInt64?)? {
    let isReset = if case .everyShard = call.kind { true } else { false }
    return otherParts.window(
      of: isReset ? .reset : .delete(item.key), router: call.client.router.number,
      shard: context.configuration.changesMap ? nil : cluster.owner(of: item.key),
      since: item.invoked)
  }
}
