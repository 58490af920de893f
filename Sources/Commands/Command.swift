// A command: one call of the contract, in one place. What any part of the system knows of a call
// (dispatch, links, lines, the command line, counters, permissions, docs) it reads here; a shard's
// execution is here as well. The commands themselves are in the files of this folder that are named
// after what they work on; CommandTable lists them.
//
// Immutable, and shared by all threads.

import RingstoreAPI

package final class Command: Sendable {
  /// Who may be kept from it, and how it treats fields that it does not know.
  package enum Access: String, Sendable, Hashable { case read, write, admin }

  /// Which nodes take part in it.
  package enum Routing: String, Sendable, Hashable {
    /// The owner of one key.
    case oneKey = "one key"
    /// The owners of many keys, each with its own outcome.
    case manyKeys = "many keys"
    case everyShard = "every shard"
    /// Whichever node is asked, by itself.
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

  package let id: CommandID
  /// What the .proto file says of it: path, messages, number.
  package let rpc: RPC
  package let access: Access
  package let routing: Routing
  package let work: Work
  /// One sentence, for help.
  package let summary: String
  /// How it is said in words; the first form bears the call's name. None for calls that words can't
  /// express.
  package let forms: [CommandForm]

  init(
    _ id: CommandID, _ rpc: RPC, _ access: Access, _ routing: Routing, _ work: Work,
    _ summary: String, forms: [CommandForm]
  ) {
    self.id = id
    self.rpc = rpc
    self.access = access
    self.routing = routing
    self.work = work
    self.summary = summary
    self.forms = forms
  }

  /// The call as the .proto file has it: "Get".
  package var name: String { rpc.name }

  /// Whether request or reply is a stream of messages.
  package var isStreaming: Bool { rpc.isStreaming }

  /// The number of the call in a batch, or nil where it can't travel in one.
  package var method: UInt32? { rpc.method.map { UInt32(bitPattern: $0.rawValue) } }
}
