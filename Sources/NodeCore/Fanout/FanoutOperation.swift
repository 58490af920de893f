// A call that concerns many keys or every shard, split into sub-requests.
//
// The router and the shard serve the same public API, so they share the code that splits such a
// call and merges the outcomes: a router sends the sub-requests over links, a shard executes them
// itself. An operation is a small state machine: it takes events and returns actions, which its
// `Fanout` performs. It owns its request's bytes and the reply that it builds, and is on the event
// loop of the node that started it.
//
// Each sub-request is limited work (a single key, or a limited number of visited keys), so no
// operation blocks a shard's loop for long, and an operation whose caller disconnected stops by not
// sending the next one.

import Commands
import LargeMemory
import NIOCore
import RingstoreAPI

/// One sub-request of an operation.
package struct SubRequest {
  /// The operation's own number for it.
  package let tag: Int
  /// The number of the method to run: a `Method`, or an `InternalMethod`.
  package let method: UInt32
  /// The index of the shard in the slot map; nil: the owner of the key that the request names.
  package let shard: Int?
  /// The lane of the link that carries it to a shard.
  package let lane: LinkLane
  package let request: OwnedBytes

  package init(
    tag: Int, method: UInt32, shard: Int?, lane: LinkLane = .calls, request: OwnedBytes
  ) {
    self.tag = tag
    self.method = method
    self.shard = shard
    self.lane = lane
    self.request = request
  }

  /// - Parameter tag: nil: the number of the shard.
  package init(
    tag: Int? = nil, _ part: InternalMethod, shard: Int, lane: LinkLane = .calls,
    request: ByteBuffer
  ) {
    self.init(
      tag: tag ?? shard, method: part.rawValue, shard: shard, lane: lane,
      request: request.withUnsafeReadableBytes { OwnedBytes(copying: $0) })
  }

  /// Whether its outcome is unknown if its reply is lost.
  package var isWrite: Bool { Self.isWrite(method: method) }

  /// Whether a call changes anything: one of clients, or a sub-request.
  package static func isWrite(method: UInt32) -> Bool {
    if CommandTable.isWrite(method: method) || method == InternalMethod.resetPart.rawValue {
      return true
    }
    guard let id = CommandID(rawValue: Int(method)) else { return false }
    return CommandTable.command(id)?.rpc.isReadOnly != true
  }
}

/// How a reply ends.
package enum ReplyEnd {
  /// The whole response, or the last message of a stream.
  case response(ByteBuffer)
  /// What was sent is all.
  case complete
  case failed(CallError)
}

/// An action of an operation.
package enum FanoutAction {
  case send(SubRequest)
  /// One message of a reply that is a stream.
  case emit(ByteBuffer)
  /// The node itself stops, after the reply to the call that requested it.
  case endNode
  /// The last action of an operation.
  case end(ReplyEnd)
}

/// The operations' view of their node.
package protocol FanoutCluster: AnyObject {
  /// The ids of the cluster's shards, in the slot map's order.
  var shardIDs: [String] { get }
  /// Of the slot map; 0 for a shard without a router.
  var mapEpoch: UInt64 { get }
  /// Whether `shardIDs` are the whole cluster: true for a router, false for a shard.
  var servesCluster: Bool { get }
  /// The node's own counters, by name, if they are not those of one of its shards.
  var nodeCounters: [String: Int64] { get }
  /// A random number.
  func randomNumber() -> UInt64
}

extension FanoutCluster {
  /// Whether a call about a node is about this one.
  package func isThisNode(_ node: String) -> Bool {
    if node.isEmpty { return true }
    return servesCluster ? node == NodeDescription.routerID : shardIDs == [node]
  }
}

/// A call in progress that is made of sub-requests. One `.end` ends it, and none of its methods is
/// called afterwards.
package protocol FanoutOperation: AnyObject {
  /// Bytes that the operation holds for its request and its reply, as limited by the node: an
  /// operation that may hold more is ended when too many of them do.
  var heldBytes: Int { get }
  /// Whether the reply is a stream of messages, which `advance` sends.
  var isStream: Bool { get }
  /// Whether it uses the slot map at the time of its queries, not that of its start.
  var followsMap: Bool { get }
  /// Called once.
  func start(on cluster: any FanoutCluster) -> [FanoutAction]
  /// A sub-request was executed; `response` is valid during the call only.
  func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction]
  /// A sub-request has failed.
  func failed(_ tag: Int, _ error: CallError) -> [FanoutAction]
  /// For a stream whose caller accepts more: at most the next message, or the sub-requests that it
  /// needs first. Called again until there is nothing to do or the caller accepts no more.
  func advance() -> [FanoutAction]
}

extension FanoutOperation {
  package var heldBytes: Int { 0 }
  package var isStream: Bool { false }
  package var followsMap: Bool { false }
  package func advance() -> [FanoutAction] { [] }
}
