// What one call is. Every part of the system that needs to know something about a call (dispatch,
// links, line protocol, command line, permissions, docs) reads it here. Values; any thread.

package struct Command: Sendable {
  /// Who may be kept from it, and how it treats fields it does not know.
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

  package let commandID: CommandID
  /// What the .proto file says of it.
  package let rpc: RPC
  /// The first word of the line protocol, in capitals; nil for calls that a line can't express.
  package let lineName: String?
  /// Other first words for the same call.
  package let lineAliases: [String]
  /// Words on a line with the name among them; negative: at least that many. 0 without lineName.
  package let arity: Int
  package let access: Access
  package let routing: Routing
  /// One line, for help pages.
  package let summary: String
  /// The line protocol's form, or for other calls what is sent.
  package let usage: String

  init(
    _ id: CommandID, _ rpc: RPC, line: String?, aliases: [String] = [], arity: Int,
    _ access: Access, _ routing: Routing, summary: String, usage: String
  ) {
    self.commandID = id
    self.rpc = rpc
    self.lineName = line
    self.lineAliases = aliases
    self.arity = arity
    self.access = access
    self.routing = routing
    self.summary = summary
    self.usage = usage
  }

  /// The call as the .proto file has it: "Get".
  package var name: String { rpc.name }
  /// Path of the call in HTTP/2: "/ringstore.v1.KeyStore/Get".
  package var path: String { rpc.path }
  /// Whether request or reply is a stream of messages.
  package var isStreaming: Bool { rpc.isStreaming }

  /// The number of the call, as `CommandID` numbers them.
  package var id: Int { commandID.rawValue }

  /// The number of the call in a batch (enum Method), or nil where it can't travel in one.
  package var method: UInt32? {
    id < CommandID.firstWithoutMethod ? UInt32(truncatingIfNeeded: id) : nil
  }

  /// Whether a request with a field that this version does not know is refused.
  package var refusesUnknownFields: Bool { access != .read }
}
