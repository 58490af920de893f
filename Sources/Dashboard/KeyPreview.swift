// The facts about one key, and the beginning of its value. A large reply is not fetched into memory
// for it: the call is cancelled, and the reply to the viewer says so. Event loop of the node.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

final class KeyPreview: LocalCaller {
  struct Value: Sendable {
    let bytes: [UInt8]
    /// Of all of it.
    let length: Int
  }

  struct Seen: Sendable {
    let facts: KeyFacts
    /// A string alone, or the first values of a list; nil: there is no preview.
    var values: [Value]?
    /// Why there is none, as a sentence.
    var refusal: String?
  }

  private let calls: LocalCalls
  private let database: UInt32
  private let key: [UInt8]
  private let context: CallContext
  private var tell: ((Result<Seen, CallError>) -> Void)?
  /// Once the facts are known.
  private var seen: Seen?

  init(
    _ calls: LocalCalls, database: UInt32, _ key: [UInt8],
    tell: @escaping (Result<Seen, CallError>) -> Void
  ) {
    self.calls = calls
    self.database = database
    self.key = key
    self.tell = tell
    context = calls.pageContext()
  }

  func begin() {
    make {
      Command.inspect.call(V1.InspectRequest(key: $0, database: self.database))
    } next: {
      [self] outcome in
      switch outcome {
      case .failure(let error): end(.failure(error))
      case .success(let reply):
        guard let inspected = V1.InspectResponse(reply) else {
          return end(.failure(.internalError("It is a different kind of reply.")))
        }
        let facts = KeyFacts(inspected)
        // The reply has been read: it may be followed by the next call.
        if facts.isFound { look(facts) } else { end(.success(Seen(facts: facts))) }
      }
    }
  }

  private func look(_ facts: KeyFacts) {
    seen = Seen(facts: facts)
    if facts.type == .list {
      let stop = Int64(DashboardLimits.listValuesMax - 1)
      make {
        Command.lRange.call(V1.ListRange(key: $0, start: 0, stop: stop, database: self.database))
      } next: { [self] in
        receivedPreview($0)
      }
    } else {
      let stop = Int64(DashboardLimits.valueBytesMax - 1)
      make {
        Command.getRange.call(
          V1.GetRangeRequest(key: $0, database: self.database, start: 0, stop: stop))
      } next: { [self] in
        receivedPreview($0)
      }
    }
  }

  private func receivedPreview(_ outcome: Result<CallReply, CallError>) {
    guard var seen else { return }
    switch outcome {
    case .success(.value(let value)):
      seen.values = [Value(bytes: Array(value.value), length: Int(clamping: seen.facts.length))]
    case .success(.list(let list)):
      seen.values = list.values.map {
        Value(bytes: Array($0.prefix(DashboardLimits.valueBytesMax)), length: $0.count)
      }
    case .success: seen.refusal = "There is no preview of this."
    // The key has another type by now, for example: the facts are still valid.
    case .failure(let error): seen.refusal = error.message
    }
    end(.success(seen))
  }

  private func make(
    _ call: (UnsafeRawBufferPointer) -> any KeyedCall, next: @escaping LocalReply
  ) {
    _ = key.withUnsafeBytes { calls.dispatcher.call(call($0), context, for: self, reply: next) }
  }

  private func end(_ outcome: Result<Seen, CallError>) {
    let tell = self.tell
    self.tell = nil
    tell?(outcome)
  }

  // MARK: - LocalCaller

  func pauseReading() {}
  func resumeReading() {}

  func takesLargeReply(of call: LocalCall) -> Bool {
    // This is within a call of the node: the call is cancelled after it returns.
    let bound = NIOLoopBound((self, call), eventLoop: calls.eventLoop)
    calls.eventLoop.execute {
      let (preview, call) = bound.value
      preview.calls.dispatcher.cancel(call)
      guard var seen = preview.seen else { return }
      seen.refusal = "Its first values are too large for a preview."
      preview.end(.success(seen))
    }
    return false
  }
}
