// A command: one call of the contract, in one place. Every part of the system (dispatch, links,
// lines, the command line, counters, permissions, docs) reads its facts about a call here; a
// shard's execution is here as well. The commands themselves are in the files of this folder, by
// data type; CommandTable lists them. Those on one key have the types of their messages
// (KeyCommand).
//
// Immutable, and shared by all threads.

import NIOCore
import RingstoreAPI
import Users

/// Sendable because it is immutable, and so are its subclasses.
package class Command: @unchecked Sendable {
  /// The permission that a caller needs, and how the command treats unknown fields.
  package enum Access: String, Sendable, Hashable, CaseIterable {
    case read, write, admin

    @inline(__always)
    package var permission: Permissions {
      switch self {
      case .read: .read
      case .write: .write
      case .admin: .admin
      }
    }
  }

  /// Which keys it may use or show, and so how it works for callers with rights on only some keys.
  package enum Reach: Sendable, Hashable {
    /// Those that its request names: each is checked.
    case namedKeys
    /// Of all keys those that its caller may see: others are passed over.
    case allowedKeys
    /// All keys of databases: refused to callers with rights on only some keys.
    case wholeDatabases
    /// All keys, or sums over them: refused to callers who may touch only some.
    case everything
    /// None.
    case node
  }

  /// Which nodes take part in it.
  package enum Routing: String, Sendable, Hashable {
    /// The owner of one key.
    case oneKey = "one key"
    /// The owners of many keys, each with its own outcome.
    case manyKeys = "many keys"
    case everyShard = "every shard"
    /// The node that receives it, alone.
    case thisNode = "this node"
  }

  /// How nodes carry it out.
  package enum Work: Sendable {
    /// The shard that owns the key executes it.
    case onKey(Execution)
    /// The shard that owns the key streams the reply (LRangeStream).
    case streamOfKey
    /// It is an operation made of parts.
    case parts
    /// A stream of calls (Pipeline).
    case pipeline
  }

  /// Finds the further keys in an encoded request; none if it can't be decoded.
  package typealias OtherKeys = @Sendable (UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer]

  package final let id: CommandID
  /// Its data from the .proto file: path, messages, number.
  package final let rpc: RPC
  package final let access: Access
  package final let reach: Reach
  package final let routing: Routing
  package final let work: Work
  /// The further keys of a request that has several; needed to keep the order of calls on a key.
  package final let otherKeys: OtherKeys?
  /// The request's field for how long the call may wait; nil: it never waits.
  package final let waitField: WaitField?
  /// Whether it is refused, or causes evictions, when the memory limit is reached: a write that
  /// doesn't only remove.
  package final let needsMemory: Bool
  /// One sentence, for help.
  package final let summary: String
  /// Its forms in words; the first form has the call's name. None for calls that words can't
  /// express. Set once, by `init`.
  package internal(set) final var forms: [CommandForm]

  init(
    _ id: CommandID, _ rpc: RPC, _ access: Access, _ reach: Reach, _ routing: Routing,
    _ work: Work, _ summary: String, forms: [CommandForm], needsMemory: Bool = true,
    otherKeys: OtherKeys? = nil, waitField: WaitField? = nil
  ) {
    self.otherKeys = otherKeys
    self.waitField = waitField
    self.id = id
    self.rpc = rpc
    self.access = access
    self.reach = reach
    self.routing = routing
    self.work = work
    self.needsMemory = access == .write && needsMemory
    self.summary = summary
    self.forms = forms
  }

  /// A reply of it that arrived encoded.
  package func reply(_ response: UnsafeRawBufferPointer) throws(WireError) -> CallReply {
    .merged(ByteBuffer(bytes: response))
  }

  /// A call of it whose request arrived encoded; nil if it is not on one key.
  package func call(encoded request: UnsafeRawBufferPointer) throws(WireError) -> (any KeyedCall)? {
    nil
  }

  /// The call as the .proto file has it: "Get".
  package final var name: String { rpc.name }

  /// Whether request or reply is a stream of messages.
  package final var isStreaming: Bool { rpc.isStreaming }

  /// The number of the call in a batch, or nil if it can't be batched.
  package final var method: UInt32? { rpc.method.map { UInt32(bitPattern: $0.rawValue) } }
}
