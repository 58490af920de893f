// A command on one key in the types of its messages, and its calls. Rooms of one process pass such
// a call on without encoding: the line protocol and the legacy services make it, a shard executes
// it, a router encodes it when it leaves the process.
//
// Commands are immutable and shared by all threads. A call is its maker's.

import NIOCore
import RingstoreAPI
import Store

/// A call on one key, with any message types. It points into its maker's memory, so a function that
/// takes it must not keep it.
package protocol KeyedCall {
  var command: Command { get }
  var key: UnsafeRawBufferPointer { get }
  var database: UInt32 { get }
  /// Bytes of the encoded request.
  var byteCount: Int { get }
  /// How long the call may wait for a value, in milliseconds.
  var waitMillis: UInt32 { get }

  /// Appends the encoded request.
  func write(into request: inout ByteBuffer)

  /// Executes the call. `respond` is called once with the reply, unless something is returned or an
  /// error thrown. The reply may point into the store's memory: `respond` must read it before it
  /// makes another call.
  ///
  /// - Parameter bytesMin: a reply longer than this comes from a source.
  /// - Returns: what is left to do if there is no reply yet.
  /// - Throws: the call's error; nothing has changed then.
  func execute(
    on keyspace: Keyspace, _ context: CallContext, largerThan bytesMin: Int,
    _ respond: (CallReply) -> Void
  ) throws(CallError) -> Remainder?
}

/// Sendable because it is immutable, and its closures are Sendable. (A subclass must say so again.)
package final class KeyCommand<Request: KeyedMessage, Reply: ReplyMessage>: Command,
  @unchecked Sendable
{
  typealias Execute =
    @Sendable (Request, KeyPlace, Keyspace, ExecutionContext, inout Reply) throws(CallError) ->
    Outcome

  fileprivate let execute: Execute

  init(
    _ rpc: RPC, _ execution: Execution, _ summary: String, forms: [RequestForm<Request>],
    needsMemory: Bool, otherKeys: OtherKeys?, execute: @escaping Execute
  ) {
    self.execute = execute
    super.init(
      CommandID(rpc), rpc, rpc.isReadOnly ? .read : .write, .namedKeys, .oneKey,
      .onKey(execution), summary, forms: [], needsMemory: needsMemory, otherKeys: otherKeys,
      waitField: Request.waitField)
    self.forms = forms.map { $0.form(of: self) }
  }

  package func call(_ request: Request) -> any KeyedCall {
    TypedCall(definition: self, request: request)
  }

  package override func call(
    encoded request: UnsafeRawBufferPointer
  ) throws(WireError) -> (any KeyedCall)? {
    call(try Request(request))
  }

  package override func reply(
    _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> CallReply {
    try Reply(response).reply
  }
}

/// A call whose request is encoded where it is made, because not all of it is in its maker's
/// memory.
struct EncodedCall: KeyedCall {
  let command: Command
  let key: UnsafeRawBufferPointer
  let database: UInt32
  let request: ByteBuffer

  var byteCount: Int { request.readableBytes }
  var waitMillis: UInt32 { 0 }

  func write(into buffer: inout ByteBuffer) { buffer.writeImmutableBuffer(request) }

  func execute(
    on keyspace: Keyspace, _ context: CallContext, largerThan bytesMin: Int,
    _ respond: (CallReply) -> Void
  ) throws(CallError) -> Remainder? {
    try request.withUnsafeReadableBytes { bytes throws(CallError) -> Remainder? in
      let call: (any KeyedCall)?
      do throws(WireError) {
        call = try command.call(encoded: bytes)
      } catch {
        throw .undecodable(error)
      }
      return try call?.execute(on: keyspace, context, largerThan: bytesMin, respond)
    }
  }
}

private struct TypedCall<Request: KeyedMessage, Reply: ReplyMessage>: KeyedCall {
  let definition: KeyCommand<Request, Reply>
  let request: Request

  var command: Command { definition }
  var key: UnsafeRawBufferPointer { request.key }
  var database: UInt32 { request.database }
  var byteCount: Int { request.byteCount }
  var waitMillis: UInt32 { request.waitMillis }

  func write(into buffer: inout ByteBuffer) { request.write(into: &buffer) }

  /// As `Execution.encoded`, except for the coding.
  func execute(
    on keyspace: Keyspace, _ call: CallContext, largerThan bytesMin: Int,
    _ respond: (CallReply) -> Void
  ) throws(CallError) -> Remainder? {
    if definition.access == .write { try keyspace.refuseUnserved(request) }
    let place =
      Request.usesKey
      ? try keyspace.find(request.key, request.database, call)
      : try keyspace.look(request.key, request.database, call)
    var reply = Reply()
    let outcome = try withUnsafePointer(to: call) { call throws(CallError) in
      try definition.execute(
        request, place, keyspace, ExecutionContext(call, block: nil, bytesMin: bytesMin), &reply)
    }
    switch outcome {
    case .done: respond(reply.reply)
    case .list(let view, let isTaken):
      return try view.reply(keyspace, largerThan: bytesMin, isTaken: isTaken, respond).map {
        .source($0)
      }
    case .source(let source): return .source(source)
    case .encoded(let encoded):
      if encoded.readableBytes > bytesMin { return .source(BytesSource(encoded)) }
      try encoded.withUnsafeReadableBytes { bytes throws(CallError) in
        respond(try Reply(request: bytes).reply)
      }
    case .unfinished(let search): return .search(search)
    case .waiting(let wait): return .wait(wait)
    }
    return nil
  }
}
