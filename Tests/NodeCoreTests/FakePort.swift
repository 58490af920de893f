// A node whose shards are tables. Parts wait until the test runs one of them, in any order; so a
// test can fail one, write between two, or let the caller go away at every step.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

final class FakePort: PartPort {
  struct Sent {
    let part: Part
    let request: [UInt8]
  }

  var limits = Limits()
  let shardIDs: [String]
  var servesCluster = true
  var nodeCounters: [String: Int64] = [:]
  private(set) var nodeHasEnded = false

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
  /// Answers parts of methods that the tables can't.
  var answer: (Sent) -> Result<ByteBuffer, CallError> = { _ in .success(ByteBuffer()) }

  init(shards count: Int) {
    shardIDs = (0..<count).map { "s\($0)" }
    shards = Array(repeating: ModelShard(), count: count)
  }

  var hasEnded: Bool { outcome != nil }

  func owner(of key: UnsafeRawBufferPointer) -> Int {
    // Neighbouring slots belong to different shards, as in a real map.
    Int(UInt64(Slots.slot(of: key)) &* 0x9E37_79B9 >> 7) % shards.count
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

  func send(_ part: Part, request: UnsafeRawBufferPointer, in block: LargeBlock?) {
    let call = Sent(part: part, request: Array(request))
    sent.append(call)
    if !isDropped { waiting.append(call) }
  }

  func emit(_ operation: any FanoutOperation, message: ByteBuffer) {
    precondition(!hasEnded && isWritable(operation), "a message nobody takes")
    messages.append(message)
    if let room = roomForMessages { roomForMessages = room - 1 }
  }

  func isWritable(_ operation: any FanoutOperation) -> Bool {
    roomForMessages.map { $0 > 0 } ?? true
  }

  func finishStream(_ operation: any FanoutOperation) { end(.success(ByteBuffer())) }

  func finish(_ operation: any FanoutOperation, response: ByteBuffer) { end(.success(response)) }

  func finish(_ operation: any FanoutOperation, error: CallError) { end(.failure(error)) }

  func endNode() { nodeHasEnded = true }

  private func end(_ outcome: Result<ByteBuffer, CallError>) {
    precondition(self.outcome == nil, "an operation ends once")
    self.outcome = outcome
  }

  // MARK: - Running parts

  /// Executes one of the parts that wait.
  func run(_ index: Int) {
    let call = waiting.remove(at: index)
    let result =
      call.part.method == InternalMethod.keysPart.rawValue
      ? call.request.withUnsafeBytes { bytes -> Result<ByteBuffer, CallError> in
        guard let request = try? LinkV1.KeysPartRequest(bytes) else { return .failure(.cancelled) }
        return .success(shards[call.part.shard].slice(request))
      } : answer(call)
    tell(call.part, result)
  }

  /// Fails one of the parts that wait.
  func fail(_ index: Int, _ error: CallError) {
    tell(waiting.remove(at: index).part, .failure(error))
  }

  private func tell(_ part: Part, _ result: Result<ByteBuffer, CallError>) {
    switch result {
    case .success(let response):
      response.withUnsafeReadableBytes { part.operation.part(part.tag, answered: $0, on: self) }
    case .failure(let error):
      part.operation.part(part.tag, failed: error, on: self)
    }
  }

  func runAll() {
    while !waiting.isEmpty { run(0) }
  }
}
