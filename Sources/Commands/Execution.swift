// How a shard executes an encoded command on one key: the request is decoded in place, the key is
// looked up once, the command decides on the entry found, and the reply is written in place. (A
// call from within the process is not encoded: KeyCommand.)

import LargeMemory
import NIOCore
import RingstoreAPI
import Store

/// The result of the execution of a call. Its bytes may belong to the store: valid until the
/// store's next change.
package enum Outcome {
  /// The reply that was filled in place; one in which nothing was set has no bytes.
  case done
  /// A `ListValues` of a range of a list, which it may have lost.
  case list(Store.ListView, isTaken: Bool = false)
  /// A reply that is too large to be written at once.
  case source(any ReplySource)
  /// A reply that its command has encoded.
  case encoded(ByteBuffer)
  /// Nothing yet: there is more to search.
  indirect case unfinished(ListSearch)
  /// Nothing yet: the call waits until one of its lists has a value.
  indirect case waiting(ListWait)
}

/// What remains after an execution that has not written its reply. Indirect, so that "nothing" is
/// one machine word: every call passes it on.
package indirect enum Remainder {
  /// The reply.
  case source(any ReplySource)
  /// The call is executed again, in turns, with its progress; nothing has changed yet.
  case search(ListSearch)
  /// The call is executed again when one of its lists exists, or gets a reply without a value when
  /// its time has passed; nothing has changed yet.
  case wait(ListWait)
  /// A part of a fan-out that the shard replies to when there is a change.
  case part
}

/// What a call continues with that is executed again.
package struct ResumedSearch {
  package let search: ListSearch
  /// How far it may go now.
  package let steps: Int

  package init(_ search: ListSearch, steps: Int) {
    self.search = search
    self.steps = steps
  }
}

/// How a call is to be executed.
struct ExecutionContext {
  /// The value of the execution's caller: a copy would count a reference.
  private let callPointer: UnsafePointer<CallContext>
  /// The block that holds the request, if it may be kept. The caller of an execution retains it
  /// until the end, so it is passed on without reference counting.
  unowned(unsafe) let block: LargeBlock?
  /// A reply longer than this must come from a source.
  let bytesMin: Int

  /// Who calls, and when.
  @inline(__always)
  var call: CallContext { callPointer.pointee }

  /// - Parameter call: valid until the end of the execution.
  init(_ call: UnsafePointer<CallContext>, block: LargeBlock?, bytesMin: Int) {
    callPointer = call
    self.block = block
    self.bytesMin = bytesMin
  }
}

package struct Execution: Sendable {
  /// Executes an encoded request, and appends the reply or returns what is left to do: message,
  /// whether it is a write, keys, context, the block that holds the message, and the length above
  /// which a reply comes from a source. It captures only a function, so that the compiler can merge
  /// both.
  ///
  /// - Throws: the call's error; nothing has changed then, and the response is as it was.
  package typealias Encoded =
    @Sendable (
      UnsafeRawBufferPointer, Bool, Keyspace, CallContext, LargeBlock?, Int, inout ByteBuffer
    ) throws(CallError) -> Remainder?

  package let encoded: Encoded
  package let isWrite: Bool

  /// Of a number that no call has.
  static func refusal(ofMethod method: UInt32) -> Execution {
    Execution(
      encoded: { _, _, _, _, _, _, _ throws(CallError) in throw .unbatchable(method: method) },
      isWrite: false)
  }
}

extension Command {
  /// A call with one request and one reply on one key.
  ///
  /// - Parameters:
  ///   - usage: its words, beginning with its name; they are the request's fields in order.
  ///   - reply: how the reply is shown.
  ///   - otherReply: the form of the reply to these words, if it differs.
  ///   - many: the call that its words mean if they name several keys.
  ///   - otherKeys: the further keys of a request that has several; all are in one slot.
  ///   - otherCall: the call that its words mean if it is another command's.
  ///   - needsMemory: false for a write that only removes.
  ///   - execute: decides and changes, at the place of the request's key, and fills the reply in.
  ///     What it uses is handed to it one by one: a structure of them would count references for
  ///     each call.
  @inline(__always)
  static func onKey<Request: WordedMessage & KeyedMessage, Reply: ReplyMessage>(
    _ rpc: RPC, _ usage: String, aliases: [String] = [],
    shows reply: ReplyForm,
    _ summary: String, orShows otherReply: @escaping CommandForm.OtherReply = { _ in nil },
    orCall otherCall: @escaping CommandForm.OtherCall = { _, _ in nil },
    orMany many: ManyKeyWords? = nil,
    also forms: [RequestForm<Request>] = [], needsMemory: Bool = true, otherKeys: OtherKeys? = nil,
    execute:
      @escaping @Sendable (Request, KeyPlace, Keyspace, ExecutionContext, inout Reply)
      throws(CallError)
      -> Outcome
  ) -> KeyCommand<Request, Reply> {
    let encoded: Execution.Encoded = {
      message, isWrite, keyspace, call, block, bytesMin, response throws(CallError) in
      let request = try Request(request: message)
      // A condition must never be passed over.
      if isWrite { try keyspace.refuseUnserved(request) }
      let place =
        Request.usesKey
        ? try keyspace.find(request.key, request.database, call)
        : try keyspace.look(request.key, request.database, call)
      var reply = Reply()
      let outcome = try withUnsafePointer(to: call) { call throws(CallError) in
        try execute(
          request, place, keyspace, ExecutionContext(call, block: block, bytesMin: bytesMin),
          &reply)
      }
      switch outcome {
      case .done:
        reply.write(into: &response)
        return nil
      case .list(let view, let isTaken):
        return try view.reply(
          keyspace, largerThan: bytesMin, isTaken: isTaken, into: &response
        ).map { .source($0) }
      case .source(let source): return .source(source)
      case .encoded(let reply):
        if reply.readableBytes > bytesMin { return .source(BytesSource(reply)) }
        response.writeImmutableBuffer(reply)
        return nil
      case .unfinished(let search): return .search(search)
      case .waiting(let wait): return .wait(wait)
      }
    }
    let execution = Execution(encoded: encoded, isWrite: !rpc.isReadOnly)
    let form = RequestForm(
      usage, aliases: aliases, reply, summary, orShows: otherReply, orCall: otherCall, orMany: many
    ) {
      words, database throws(ArgumentError) in
      try Request(words, database: database)
    }
    return KeyCommand(
      rpc, execution, summary, forms: [form] + forms, needsMemory: needsMemory,
      otherKeys: otherKeys,
      execute: execute)
  }
}

extension WireMessage {
  /// Reads a request.
  ///
  /// - Throws: INTERNAL if the bytes are no such message.
  @inline(__always)
  package init(request message: UnsafeRawBufferPointer) throws(CallError) {
    do throws(WireError) {
      try self.init(message)
    } catch {
      throw .undecodable(error)
    }
  }
}

/// A request that words can express.
protocol WordedMessage: WireMessage {
  /// - Parameter words: as many as the usage requires, the command's name first.
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError)
}

extension V1.Key: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], database: database)
  }
}

extension V1.ListInsert: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], values: words.values(from: 2), database: database)
  }
}

extension V1.ListRange: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(
      key: words[1], start: try words.integer(2, "the start"),
      stop: try words.integer(3, "the stop"),
      database: database)
  }
}

extension V1.IncrByRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], delta: try words.integer(2, "the delta"), database: database)
    guard case .after(let millis) = try words.expiry() else { return }
    // 0 would mean none.
    guard millis > 0 else { throw .notAboveZero(what: "the time to live") }
    ttlMillis = millis
  }
}

extension V1.ListIndexRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], database: database, index: try words.integer(2, "the index"))
  }
}

extension V1.ListSetRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(
      key: words[1], database: database, index: try words.integer(2, "the index"), value: words[3])
  }
}
