// A call that concerns many keys or every shard, split into parts.
//
// The router and the shard serve the same public API, so they share the code that splits such a
// call and merges the outcomes: for a router the parts travel over links, for a shard they run on
// itself. An operation is a small state machine; it owns its request's bytes and the answer that
// it builds, and lives on the event loop of the node that started it.
//
// Why parts: each one is bounded work (a single key, or a bounded number of visited keys), so no
// operation holds a shard's loop for long, and one whose caller went away stops by not sending its
// next part.

import Commands
import LargeMemory
import NIOCore
import RingstoreAPI

/// One part of an operation, on its way to a shard.
package struct Part {
  /// The operation that will be told the outcome.
  package let operation: any FanoutOperation
  /// The operation's own name for the part.
  package let tag: Int
  /// The number of the method to run: a `Method`, or an `InternalMethod`.
  package let method: UInt32
  /// The index of the shard in the slot map.
  package let shard: Int
  /// The lane of the link that carries it to a shard.
  package let lane: LinkLane

  package init(
    operation: any FanoutOperation, tag: Int, method: UInt32, shard: Int, lane: LinkLane = .calls
  ) {
    self.operation = operation
    self.tag = tag
    self.method = method
    self.shard = shard
    self.lane = lane
  }

  /// Whether it is unknown what has become of the part when its answer is lost.
  package var isWrite: Bool { Self.isWrite(method: method) }

  /// Whether a call changes anything: one of clients, or a part of one.
  package static func isWrite(method: UInt32) -> Bool {
    if CommandTable.isWrite(method: method) || method == InternalMethod.resetPart.rawValue {
      return true
    }
    guard let id = CommandID(rawValue: Int(method)) else { return false }
    return CommandTable.command(id)?.access != .read
  }
}

/// What an operation needs of the node it runs on.
package protocol PartPort: AnyObject {
  var limits: Limits { get }
  /// The ids of the cluster's shards, in the slot map's order.
  var shardIDs: [String] { get }
  /// The index of the shard that owns a key.
  func owner(of key: UnsafeRawBufferPointer) -> Int
  /// Sends a part. The outcome comes later, never from inside this call.
  ///
  /// - Parameter block: what the request lies in, where it may be kept.
  func send(_ part: Part, request: UnsafeRawBufferPointer, in block: LargeBlock?)
  /// Whether `shardIDs` are the whole cluster's: true for a router, false for a shard on its own.
  var servesCluster: Bool { get }
  /// The node's own counters, by name, where they are not those of one of its shards.
  var nodeCounters: [String: Int64] { get }
  /// Ends the node itself, once the call that asked for it is answered.
  func endNode()
  /// Sends one message of an operation whose reply is a stream.
  func emit(_ operation: any FanoutOperation, message: ByteBuffer)
  /// Whether the caller takes more messages; where not, `callerWritable` tells when it does again.
  func isWritable(_ operation: any FanoutOperation) -> Bool
  /// Ends an operation whose reply is a stream, after the messages sent.
  func finishStream(_ operation: any FanoutOperation)
  /// Ends the operation with its answer.
  func finish(_ operation: any FanoutOperation, response: ByteBuffer)
  /// Ends the operation with an error.
  func finish(_ operation: any FanoutOperation, error: CallError)
}

extension PartPort {
  package func send(_ part: Part, request: UnsafeRawBufferPointer) {
    send(part, request: request, in: nil)
  }
}

/// A call in progress that is made of parts. Exactly one `finish` ends it, unless the node drops it
/// because its caller went away.
package protocol FanoutOperation: AnyObject {
  /// The node's own name for the operation.
  var handle: UInt64 { get set }
  /// Bytes that it holds for its request and its answer. It may be ended when they grow (see
  /// `AnswerMemory`), so a write's must not grow once parts have been sent.
  var heldBytes: Int { get }
  /// Sends the first parts.
  func start(on port: any PartPort)
  /// A part was executed; `response` is valid during the call only.
  func part(_ tag: Int, answered response: UnsafeRawBufferPointer, on port: any PartPort)
  /// A part has failed.
  func part(_ tag: Int, failed error: CallError, on port: any PartPort)
  /// The caller of a streamed reply takes more messages again. Never called for other operations.
  func callerWritable(on port: any PartPort)
}

extension FanoutOperation {
  package var heldBytes: Int { 0 }
  package func callerWritable(on port: any PartPort) {}
}
