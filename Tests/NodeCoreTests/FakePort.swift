// A node whose shards are tables. Sub-requests wait until the test runs one of them, in any order;
// so a test can fail one, write between two, or let the caller go away at every step.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

final class FakePort: FanoutCluster {
  struct Sent {
    let running: FakeFanout
    let part: SubRequest
    let shard: Int
    let request: [UInt8]
  }

  var limits = Limits()
  private(set) var shardIDs: [String]
  private(set) var mapEpoch: UInt64 = 1
  var servesCluster = true
  var nodeCounters: [String: Int64] = [:]
  private(set) var nodeHasEnded = false
  /// What is drawn by lot, one after another.
  var random = SplitMix64(seed: 1)

  var shards: [ModelShard]
  /// Parts that wait, in the order sent.
  private(set) var waiting: [Sent] = []
  /// Every part ever sent.
  private(set) var sent: [Sent] = []
  private(set) var messages: [ByteBuffer] = []
  /// How many messages the caller takes before it has to be asked again; nil: any number.
  var roomForMessages: Int?
  private(set) var outcome: Result<ByteBuffer, CallError>?
  private(set) var isDropped = false
  /// Replies to parts of methods that the tables can't.
  var respond: (Sent) -> Result<ByteBuffer, CallError> = { _ in .success(ByteBuffer()) }

  init(shards count: Int) {
    shardIDs = (0..<count).map { "s\($0)" }
    shards = Array(repeating: ModelShard(), count: count)
  }

  var hasEnded: Bool { outcome != nil }

  func randomNumber() -> UInt64 { random.next() }

  func owner(of key: UnsafeRawBufferPointer) -> Int {
    // Neighbouring slots belong to different shards, as in a real map.
    Int(UInt64(Slots.slot(of: key)) &* 0x9E37_79B9 >> 7) % shards.count
  }

  /// Another map comes into force, with one shard more. Keys move to their new owners.
  func addShard() {
    let items = shards.flatMap(\.items)
    shardIDs.append("s\(shardIDs.count)")
    shards = shards.map { shard in
      var empty = ModelShard()
      empty.visitsMax = shard.visitsMax
      empty.hashPlaces = shard.hashPlaces
      return empty
    }
    shards.append(shards[0])
    mapEpoch += 1
    for item in items {
      shards[item.key.withUnsafeBytes { owner(of: $0) }].insert(item.key, item.type)
    }
  }

  func insert(_ key: String, _ type: V1.ValueType = .string) {
    let key = Array(key.utf8)
    shards[key.withUnsafeBytes { owner(of: $0) }].insert(key, type)
  }

  func remove(_ key: String) {
    let key = Array(key.utf8)
    shards[key.withUnsafeBytes { owner(of: $0) }].remove(key)
  }

  /// The caller goes away.
  func drop() {
    isDropped = true
    waiting = []
  }

  func send(_ part: SubRequest, of running: FakeFanout) {
    let request = part.request.withBytes { Array($0) }
    let shard =
      part.shard
      ?? request.withUnsafeBytes { bytes in
        (try? CommandTable.keyFields(ofMethod: part.method)?.find(in: bytes).key)
          .map { owner(of: $0) } ?? 0
      }
    let call = Sent(running: running, part: part, shard: shard, request: request)
    sent.append(call)
    if !isDropped { waiting.append(call) }
  }

  var takesMore: Bool { roomForMessages.map { $0 > 0 } ?? true }

  func emit(_ message: ByteBuffer) {
    precondition(!hasEnded && takesMore, "a message that is not taken")
    messages.append(message)
    if let room = roomForMessages { roomForMessages = room - 1 }
  }

  func endNode() { nodeHasEnded = true }

  func end(_ end: ReplyEnd) {
    precondition(outcome == nil, "an operation ends once")
    switch end {
    case .response(let response): outcome = .success(response)
    case .complete: outcome = .success(ByteBuffer())
    case .failed(let error): outcome = .failure(error)
    }
  }

  // MARK: - Running parts

  /// Executes one of the parts that wait.
  func run(_ index: Int) {
    let call = waiting.remove(at: index)
    let result =
      call.part.method == InternalMethod.keysPart.rawValue
      ? call.request.withUnsafeBytes { bytes -> Result<ByteBuffer, CallError> in
        guard let request = try? LinkV1.KeysPartRequest(bytes) else { return .failure(.cancelled) }
        return .success(shards[call.shard].slice(request))
      } : respond(call)
    tell(call, result)
  }

  /// Fails one of the parts that wait.
  func fail(_ index: Int, _ error: CallError) {
    tell(waiting.remove(at: index), .failure(error))
  }

  private func tell(_ call: Sent, _ result: Result<ByteBuffer, CallError>) {
    switch result {
    case .success(let response):
      response.withUnsafeReadableBytes { call.running.fanout.received(call.part.tag, $0) }
    case .failure(let error): call.running.fanout.failed(call.part.tag, error)
    }
  }

  func runAll() {
    while !waiting.isEmpty { run(0) }
  }
}

/// An operation in progress on a FakePort.
final class FakeFanout: FanoutTransport {
  let fanout: Fanout
  private let port: FakePort

  init(
    _ operation: any FanoutOperation, on port: FakePort, _ context: CallContext = CallContext()
  ) {
    self.port = port
    fanout = Fanout(
      operation, context, memory: MemoryBudget(bytesMax: .max), port.limits)
    fanout.start(on: port, over: self)
  }

  func send(_ request: SubRequest) { port.send(request, of: self) }
  var takesMore: Bool { port.takesMore }
  func emit(_ message: ByteBuffer) { port.emit(message) }
  func endNode() { port.endNode() }
  func released() {}
  func ended(_ end: ReplyEnd, isRefused: Bool) { port.end(end) }
  func requestWaits() {}
  func requestWaitsNoMore() {}
}
