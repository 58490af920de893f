// A router that does what it likes over two lanes, and knows what must come of it: a naive model of
// the store, applied in the order in which each lane has carried the calls.
//
// The lanes write to keys of their own, so the order of a key is the order of its lane. A lane
// executes its calls in order, and writes have their replies at once; so what has been executed of
// a lane is all up to the latest call that had a reply.

import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

/// What the store must hold.
struct StoreModel {
  var strings: [String: String] = [:]
  var lists: [String: [String]] = [:]
}

/// A call that was sent and has not had its last reply.
final class ModelCall {
  enum Kind {
    case set(String), get, push([String]), pop, range(Int, Int), stream, slice
  }

  let id: UInt64
  let key: String
  let kind: Kind
  let lane: LinkLane
  var isCancelled = false
  /// The reply that it must have; nil as long as it has not been executed.
  var expected: [String]?
  var hasReply = false
  var noticed: Int?
  var granted = 0
  var received: [UInt8] = []
  var parts: [String] = []

  init(_ id: UInt64, _ key: String, _ kind: Kind, _ lane: LinkLane) {
    self.id = id
    self.key = key
    self.kind = kind
    self.lane = lane
  }

  /// Whether it only reads, so that nothing else shows that it was executed.
  var isRead: Bool {
    switch kind {
    case .get, .range, .stream, .slice: true
    case .set, .push, .pop: false
    }
  }

  /// Executes it on the model.
  func apply(to store: inout StoreModel) {
    switch kind {
    case .set(let value):
      store.strings[key] = value
      expected = []
    case .get: expected = store.strings[key].map { [$0] } ?? []
    case .push(let values):
      store.lists[key, default: []] += values
      expected = []
    case .pop:
      let popped = store.lists[key]?.first
      if popped != nil { store.lists[key]?.removeFirst() }
      if store.lists[key]?.isEmpty == true { store.lists[key] = nil }
      expected = popped.map { [$0] } ?? []
    case .range(let start, let count):
      expected = Array((store.lists[key] ?? []).dropFirst(start).prefix(count))
    case .stream: expected = store.lists[key] ?? []
    case .slice: expected = []
    }
  }
}

/// The router of one link, until it is lost or superseded.
final class ModelRouter {
  let link: Link
  private let shard: ShardFixture
  private var open: [UInt64: ModelCall] = [:]
  /// Calls of each lane that the model has not executed, in the order sent.
  private var unexecuted: [LinkLane: [ModelCall]] = [:]
  /// Whether views may have expired.
  var mayExpire = false

  init(_ shard: ShardFixture, generation: UInt64) throws {
    self.shard = shard
    link = try Link(to: shard, generation: generation)
  }

  var openIDs: [UInt64] { open.keys.sorted() }
  var grantable: [ModelCall] {
    open.values.filter { $0.noticed != nil || $0.isStream }.sorted { $0.id < $1.id }
  }
  func isOpen(_ id: UInt64) -> Bool { open[id] != nil }

  /// Notes a call that is about to be sent.
  func sent(_ call: ModelCall) {
    open[call.id] = call
    unexecuted[call.lane, default: []].append(call)
  }

  /// Cancels a call; one that its own frame carries is not executed at all.
  func cancelled(_ id: UInt64) {
    open[id]?.isCancelled = true
  }

  func lane(of id: UInt64) -> Lane? {
    open[id].map { $0.lane == .calls ? link.calls : link.bulk }
  }

  // MARK: - What comes back

  /// Takes what the shard has sent and holds it against the model.
  func takeReplies(_ model: inout StoreModel) throws {
    for (lane, connection) in [(LinkLane.calls, link.calls), (.bulk, link.bulk)] {
      for reply in connection.take() { try take(reply, from: lane, &model) }
    }
  }

  private func take(
    _ reply: Ringstore_Internal_V1_LinkReply, from lane: LinkLane, _ model: inout StoreModel
  ) throws {
    let call = try #require(open[reply.id], "call \(reply.id) has no reply any more")
    if !call.hasReply {
      call.hasReply = true
      #expect(lane == call.lane, "the first reply comes back on the call's own lane")
      execute(upTo: call, wasExecuted: reply.code == 0, &model)
    }
    guard reply.code == 0 else {
      ended(call, StatusCode(rawValue: reply.code))
      return
    }
    if reply.more, call.noticed == nil, !call.isStream {
      let noticed: Int = try #require(reply.noticedBytes)
      call.noticed = noticed
      return
    }
    if call.isStream {
      call.received += reply.response
      try check(reply, ofStream: call)
    } else if let noticed = call.noticed {
      #expect(lane == .bulk)
      call.received += reply.response
      #expect(reply.more == (call.received.count < noticed))
      #expect(reply.response.count <= Limits().pieceBytesMax)
    } else {
      call.received = Array(reply.response)
    }
    if call.noticed != nil || call.isStream {
      let before = call.received.count - reply.response.count
      #expect(before < call.granted || call.received.isEmpty, "sent without credit")
    }
    if !reply.more { try completed(call) }
  }

  /// The model executes what the shard must have executed before a call that has its reply.
  private func execute(upTo call: ModelCall, wasExecuted: Bool, _ model: inout StoreModel) {
    guard let index = unexecuted[call.lane]?.firstIndex(where: { $0 === call }) else { return }
    for earlier in unexecuted[call.lane]?[..<index] ?? [] {
      earlier.apply(to: &model)
      let isLate = earlier.isRead || earlier.hasReply
      #expect(isLate, "call \(earlier.id) was passed over by \(call.id)")
    }
    if wasExecuted { call.apply(to: &model) }
    unexecuted[call.lane]?.removeSubrange(...index)
  }

  private func ended(_ call: ModelCall, _ code: StatusCode?) {
    open[call.id] = nil
    switch code {
    case .cancelled: #expect(call.isCancelled, "call \(call.id) was not cancelled")
    case .aborted: #expect(mayExpire && !call.isPop, "the view of call \(call.id) has expired")
    case .unavailable: #expect(mayExpire && call.isPop, "call \(call.id) is no pop that was held")
    default: Issue.record("call \(call.id) failed with \(String(describing: code))")
    }
  }

  private func check(_ reply: Ringstore_Internal_V1_LinkReply, ofStream call: ModelCall) throws {
    let list = try Ringstore_V1_ListValues(serializedBytes: reply.response)
    #expect(list.firstIndex == Int64(call.parts.count))
    #expect(list.length == Int64(call.expected?.count ?? -1))
    call.parts += list.values.map { String(decoding: $0, as: UTF8.self) }
  }

  private func completed(_ call: ModelCall) throws {
    open[call.id] = nil
    let expected = try #require(call.expected)
    if let noticed = call.noticed { #expect(call.received.count == noticed) }
    var found: [String] = []
    switch call.kind {
    case .set, .push:
      #expect(try Ringstore_V1_Status(serializedBytes: call.received).ok)
    case .get, .pop:
      let value = try Ringstore_V1_Value(serializedBytes: call.received)
      if value.found { found = [String(decoding: value.value, as: UTF8.self)] }
    case .range:
      let list = try Ringstore_V1_ListValues(serializedBytes: call.received)
      found = list.values.map { String(decoding: $0, as: UTF8.self) }
    case .stream: found = call.parts
    case .slice: break
    }
    let isRight = found == expected
    #expect(isRight, "call \(call.id) on \(call.key) has another reply")
  }

  // MARK: - Ends

  /// Lets everything come to its end.
  func settle(_ model: inout StoreModel) throws {
    for lane in [link.calls, link.bulk] { lane.drained() }
    for _ in 0..<3 {
      shard.runTurns()
      try takeReplies(&model)
      for call in grantable { grant(call, 1 << 30) }
    }
    shard.runTurns()
    try takeReplies(&model)
    #expect(open.isEmpty, "calls \(openIDs) have not had their last reply")
  }

  func grant(_ call: ModelCall, _ bytes: Int) {
    call.granted += bytes
    link.grant(call.id, bytes)
  }
}

extension ModelCall {
  var isPop: Bool {
    if case .pop = kind { return true }
    return false
  }

  var isStream: Bool {
    if case .stream = kind { return true }
    return false
  }
}
