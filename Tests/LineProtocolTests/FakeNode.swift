// A node for sessions to make calls on: it keeps them until the test answers them, in any order, or
// executes them on a small store of its own, late, but in order per key, as nodes do.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI

final class FakeNode: CallPort {
  struct Waiting {
    let call: PortCall
    let request: ByteBuffer
    let deadlineNanos: UInt64?
  }

  var limits = Limits()
  private(set) var waiting: [Waiting] = []
  private(set) var cancelled: [CommandID] = []
  /// What the session was told about its large replies.
  private(set) var wokenCalls = 0
  private(set) var errors = 0
  let answerMemory = AnswerMemory(bytesMax: 1 << 20)
  /// Values by database and key.
  var store: [String: [UInt8]] = [:]
  /// Whether calls are executed at once, as a shard does.
  var answersAtOnce = false

  func call(
    _ command: CommandID, request: ByteBuffer, _ context: CallContext,
    for caller: (any CallPortCaller)?, reply: @escaping (Result<ByteBuffer, CallError>) -> Void
  ) -> PortCall? {
    let call = PortCall(command, for: caller, reply: reply)
    waiting.append(
      Waiting(
        call: call, request: request,
        deadlineNanos: context.hasDeadline ? context.deadlineNanos : nil))
    if answersAtOnce { execute(waiting.count - 1) }
    return call.isOver ? nil : call
  }

  func cancel(_ call: PortCall) {
    guard !call.isOver else { return }
    cancelled.append(call.command)
    waiting.removeAll { $0.call === call }
    call.drop()
  }

  func countError() {
    errors += 1
  }

  func callerTakesMore(_ call: PortCall) {
    wokenCalls += 1
  }

  /// Answers a call, the first unless another is named.
  func answer(at index: Int = 0, _ write: (inout ByteBuffer) -> Void) {
    var response = ByteBuffer()
    write(&response)
    waiting.remove(at: index).call.end(.success(response))
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
    let shape = CommandTable.shape(ofMethod: UInt32(call.call.command.rawValue))
    guard shape != .other else { return nil }
    return call.request.withUnsafeReadableBytes { message in
      (try? KeyPeek.peek(message, shape: shape)).map { Self.place($0.key, $0.database) }
    }
  }

  private static func place(_ key: UnsafeRawBufferPointer, _ database: UInt32) -> String {
    "\(database)/" + String(decoding: key, as: UTF8.self)
  }

  /// Executes a call on the store and answers it.
  func execute(_ index: Int) {
    let call = waiting[index]
    let outcome: Result<ByteBuffer, CallError> = call.request.withUnsafeReadableBytes { message in
      var response = ByteBuffer()
      do {
        try execute(call.call.command, message, into: &response)
        return .success(response)
      } catch {
        return .failure(error as? CallError ?? .internalError("\(error)"))
      }
    }
    waiting.remove(at: index).call.end(outcome)
  }

  private func execute(
    _ command: CommandID, _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws {
    switch command {
    case .set:
      let view = try KeyValueView(message)
      store[Self.place(view.key, view.database)] = Array(view.value)
      response.writeStatus(ok: true)
    case .get:
      let view = try KeyView(message)
      write(store[Self.place(view.key, view.database)], into: &response)
    case .delete:
      let view = try KeyView(message)
      let removed = store.removeValue(forKey: Self.place(view.key, view.database))
      response.writeStatus(ok: true, count: removed == nil ? 0 : 1)
    case .incrBy:
      let view = try IncrByView(message)
      let place = Self.place(view.key, view.database)
      let text = String(decoding: store[place] ?? [0x30], as: UTF8.self)
      guard let number = Int64(text) else { throw CallError.notAnInteger }
      store[place] = Array(String(number + view.delta).utf8)
      response.writeIncrByResponse(value: number + view.delta, version: 1)
    case .mGet:
      for key in try MGetView(message).items {
        let mark = response.beginItem()
        write(store[Self.place(key.key, key.database)], into: &response)
        response.endItem(mark)
      }
    case .dbSize:
      let database = try DbSizeView(message).database
      let keys = store.keys.filter { $0.hasPrefix("\(database)/") }.count
      response.writeDbSizeResponse(keys: Int64(keys))
    case .reset:
      let database = try ResetView(message).database
      store = store.filter { !$0.key.hasPrefix("\(database)/") }
    default: throw CallError.internalError("the fake node doesn't know \(command)")
    }
  }

  private func write(_ value: [UInt8]?, into response: inout ByteBuffer) {
    value?.withUnsafeBytes { response.writeValue($0, version: 1) }
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

  /// What was answered since the last time.
  func read() -> String {
    defer { output = "" }
    return output
  }
}
