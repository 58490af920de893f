// A call that searches a long list: it is executed repeatedly, a part of the search each turn,
// until the last execution completes the search and applies its result.
//
//   searching --the search is done--> executed --next turn--> replied
//      ^  |
//      |  +-- a call on the key comes --> searched to the end at once, executed
//      +-- the list has changed otherwise (expired, emptied): the search begins again
//
// Order. The call has its place among the calls on its key from the moment when it was first
// executed: a later call on the key completes it first (Keyspace.find). So only expiry and a Reset
// can change the list in between, and calls on other keys don't wait.
//
// Belongs to a shard's core and its event loop. The reply's handle owns the call; when its caller
// goes the call is dropped, and has not been executed.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Store

final class UnfinishedCall: CooperativeTask, ReplyWork {
  private enum Outcome {
    case response(ByteBuffer)
    case source(any ReplySource)
    case failed(CallError)
  }

  var isQueued = false
  /// The store's hash of the key. (If another key has the same hash, its calls complete this one
  /// early.)
  let hash: UInt64
  private let method: UInt32
  private let request: ByteBuffer
  private let context: CallContext
  private unowned let core: ShardCore
  /// Owns the call; nil once it is over.
  private weak var reply: ReplyHandle?
  private var search: ListSearch
  private var outcome: (Outcome, mark: ReplyMark)?

  init(
    _ method: UInt32, _ request: ByteBuffer, _ context: CallContext, _ search: ListSearch,
    to reply: ReplyHandle, core: ShardCore
  ) {
    self.method = method
    self.request = request
    self.context = context
    self.search = search
    self.reply = reply
    self.core = core
    hash = request.withUnsafeReadableBytes { bytes in
      let key = try? CommandTable.keyFields(ofMethod: method)?.find(in: bytes).key
      return core.store.lookup(key ?? noBytes, slot: 0, database: 0, nowMillis: 0).hash
    }
    reply.worked(by: self)
  }

  var isOver: Bool { outcome != nil || reply == nil }

  func runSlice() -> Turn {
    if outcome == nil, reply != nil { execute(steps: core.limits.searchStepsMax) }
    guard let reply else { return .unused }
    guard let (outcome, mark) = outcome else { return .more }
    self.outcome = nil
    switch outcome {
    case .response(let response): reply.respond(response, after: mark)
    case .source(let source): source.start(reply, after: mark)
    case .failed(let error): reply.fail(error, after: mark)
    }
    return .used
  }

  /// Another call on the key arrives.
  func finish() {
    if !isOver { execute(steps: .max) }
  }

  private func execute(steps: Int) {
    // Its own look-up of the key must not find it.
    core.unfinished.remove(self)
    var response = ByteBuffer()
    let outcome: Outcome
    do throws(CallError) {
      switch try core.resume(
        method, request, ResumedSearch(search, steps: steps), into: &response,
        core.later(context))
      {
      case .search(let search)?:
        self.search = search
        core.unfinished.keep(self)
        return
      case .source(let source)?: outcome = .source(source)
      // A call that searches doesn't wait.
      case .wait?, .part?, nil: outcome = .response(response)
      }
    } catch {
      core.failed(method, error, context)
      outcome = .failed(error)
    }
    core.searched(method, request, context)
    self.outcome = (outcome, core.latestMark)
  }

  func wake() {}

  func drop() {
    reply = nil
    core.unfinished.remove(self)
  }
}

/// The unfinished calls of a shard, one of a key at most.
final class UnfinishedTable: UnfinishedCalls {
  /// The maximum number of searches in turns; further ones are completed at once.
  static let callsMax = 64

  /// The owner. Not weak: references to an object with weak references are counted more slowly, and
  /// each call of a link counts some of the core's.
  unowned var core: ShardCore?
  private var calls: [UInt64: UnfinishedCall] = [:]

  var count: Int { calls.count }

  func add(_ call: UnfinishedCall) {
    keep(call)
    if calls.count > Self.callsMax { call.finish() }
    core?.turns.enqueue(call)
  }

  /// There can't be another one on the key: it was completed when the key was looked up.
  func keep(_ call: UnfinishedCall) {
    calls[call.hash] = call
    core?.keyspace.unfinished = self
  }

  func remove(_ call: UnfinishedCall) {
    guard calls[call.hash] === call else { return }
    calls[call.hash] = nil
    if calls.isEmpty { core?.keyspace.unfinished = nil }
  }

  func finish(on key: KeyLookup) -> Bool {
    guard let call = calls[key.hash], let core else { return false }
    // It is executed in the middle of another execution.
    let keyspace = core.keyspace
    let (found, resumed) = (keyspace.found, keyspace.resumed)
    keyspace.found = []
    call.finish()
    (keyspace.found, keyspace.resumed) = (found, resumed)
    core.latestMark = .none
    return true
  }
}

extension ShardCore {
  /// Executes an incomplete call again.
  func resume(
    _ method: UInt32, _ request: ByteBuffer, _ search: ResumedSearch,
    into response: inout ByteBuffer, _ context: CallContext
  ) throws(CallError) -> Remainder? {
    latestMark = .none
    try admit(method, context)
    keyspace.resumed = search
    defer {
      keyspace.resumed = nil
      if marks != nil { endMarking(method) }
    }
    return try request.withUnsafeReadableBytes { bytes throws(CallError) in
      try run(
        method, bytes, in: nil, into: &response, largerThan: limits.bulkBytesMin, context)
    }
  }
}
