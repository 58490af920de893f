// A node for sessions to make calls on: it keeps them until the test replies to them, in any order,
// or executes them on a small store of its own, late, but in order per key, as nodes do.

import Commands
import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI

final class FakeNode: LocalDispatcher {
  struct Waiting {
    let call: LocalCall
    let request: ByteBuffer
    let deadlineNanos: UInt64?
  }

  var limits = Limits()
  private(set) var waiting: [Waiting] = []
  private(set) var cancelled: [CommandID] = []
  private(set) var endedWaits: [CommandID] = []
  /// What the session was told about its large replies.
  private(set) var wokenCalls = 0
  private(set) var errors = 0
  let replyMemory = MemoryBudget(bytesMax: 1 << 20)
  /// Values by database and key.
  var store: [String: [UInt8]] = [:]
  /// Whether calls are executed at once, as a shard does.
  var repliesAtOnce = false

  func call(
    _ call: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall? {
    var request = ByteBuffer()
    call.write(into: &request)
    return take(LocalCall(call.command, for: caller, reply: reply), request, context)
  }

  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall? {
    take(LocalCall(command, for: caller, reply: reply), request, context)
  }

  private func take(
    _ call: LocalCall, _ request: ByteBuffer, _ context: CallContext
  ) -> LocalCall? {
    waiting.append(
      Waiting(
        call: call, request: request,
        deadlineNanos: context.hasDeadline ? context.deadlineNanos : nil))
    if repliesAtOnce { execute(waiting.count - 1) }
    return call.isOver ? nil : call
  }

  func cancel(_ call: LocalCall) {
    guard !call.isOver else { return }
    cancelled.append(call.command.id)
    waiting.removeAll { $0.call === call }
    call.drop()
  }

  func endWait(_ call: LocalCall) {
    endedWaits.append(call.command.id)
  }

  func countError(_ error: CallError) {
    errors += 1
  }

  func callerTakesMore(_ call: LocalCall) {
    wokenCalls += 1
  }

  /// Replies to a call, the first unless another is named.
  func reply(at index: Int = 0, _ write: (inout ByteBuffer) -> Void) {
    var response = ByteBuffer()
    write(&response)
    waiting.remove(at: index).call.respond(response)
  }

  func fail(at index: Int = 0, _ error: CallError) {
    waiting.remove(at: index).call.end(.failure(error))
  }

  // MARK: - A store

  /// The calls that may be executed next: on each key the first, and calls on no one key.
  var executable: [Int] {
    waiting.indices.filter { index in
      guard let key = key(of: waiting[index]) else { return true }
      return !waiting[..<index].contains { self.key(of: $0) == key }
    }
  }

  private func key(of call: Waiting) -> String? {
    let method = UInt32(call.call.command.id.rawValue)
    guard let keyFields = CommandTable.keyFields(ofMethod: method) else { return nil }
    return call.request.withUnsafeReadableBytes { message in
      (try? keyFields.find(in: message)).map { Self.place($0.key, $0.database) }
    }
  }

  private static func place(_ key: UnsafeRawBufferPointer, _ database: UInt32) -> String {
    "\(database)/" + String(decoding: key, as: UTF8.self)
  }

  /// Executes a call on the store and replies.
  func execute(_ index: Int) {
    let call = waiting[index]
    let outcome: Result<ByteBuffer, CallError> = call.request.withUnsafeReadableBytes { message in
      var response = ByteBuffer()
      do {
        try execute(call.call.command.id, message, into: &response)
        return .success(response)
      } catch {
        return .failure(error as? CallError ?? .internalError("\(error)"))
      }
    }
    let done = waiting.remove(at: index).call
    switch outcome {
    case .success(let response): done.respond(response)
    case .failure(let error): done.end(.failure(error))
    }
  }

  private func execute(
    _ command: CommandID, _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws {
    switch command {
    case .set:
      let view = try V1.KeyValue(message)
      store[Self.place(view.key, view.database)] = Array(view.value)
      V1.Status(ok: true).write(into: &response)
    case .get:
      let view = try V1.Key(message)
      write(store[Self.place(view.key, view.database)], into: &response)
    case .delete:
      let view = try V1.Key(message)
      let removed = store.removeValue(forKey: Self.place(view.key, view.database))
      V1.Status(ok: true, count: removed == nil ? 0 : 1).write(into: &response)
    case .incrBy:
      let view = try V1.IncrByRequest(message)
      let place = Self.place(view.key, view.database)
      let text = String(decoding: store[place] ?? [0x30], as: UTF8.self)
      guard let number = Int64(text) else { throw CallError.notAnInteger }
      store[place] = Array(String(number + view.delta).utf8)
      V1.IncrByResponse(value: number + view.delta, version: 1).write(into: &response)
    case .mGet:
      for key in try V1.MGetRequest(message).keys {
        let value = store[Self.place(key.key, key.database)]
        (value ?? []).withUnsafeBytes {
          let reply = V1.Value(value: $0, found: value != nil)
          response.append(
            V1.MGetResponse.Field.items, V1.MGetResponse.Item(outcome: .value(reply)))
        }
      }
    case .dbSize:
      let database = try V1.DbSizeRequest(message).database
      let keys = store.keys.filter { $0.hasPrefix("\(database)/") }.count
      V1.DbSizeResponse(keys: Int64(keys)).write(into: &response)
    case .reset:
      let database = try V1.ResetRequest(message).database
      store = store.filter { !$0.key.hasPrefix("\(database)/") }
    default: throw CallError.internalError("the fake node doesn't know \(command)")
    }
  }

  private func write(_ value: [UInt8]?, into response: inout ByteBuffer) {
    value?.withUnsafeBytes { V1.Value(value: $0, found: true, version: 1).write(into: &response) }
  }
}

/// A session on a fake node, and what a connection would do with it.
final class Conversation {
  let node = FakeNode()
  private(set) var session: LineSession!
  private(set) var output = ""
  private var hasWork = false
  var nowNanos: UInt64 = 5

  init(_ limits: LineLimits = LineLimits(Limits())) {
    session = LineSession(
      port: node, limits: limits, clock: { [unowned self] in nowNanos },
      onWork: { [unowned self] in hasWork = true })
  }

  /// Sends bytes, and reads what comes.
  func send(_ text: String) {
    session.received(ByteBuffer(string: text))
    run()
  }

  /// Lets the session work until it has nothing to do; reads its output unless told not to.
  func run(reading: Bool = true) {
    repeat {
      hasWork = false
      session.advance()
      while reading, let bytes = session.takeOutput(max: 100_000) {
        output += text(bytes)
        hasWork = true
      }
    } while hasWork
  }

  /// What was sent since the last time.
  func read() -> String {
    defer { output = "" }
    return output
  }
}
