// A driver that remembers what the core asks of it, and checks that it asks for nothing twice.

import NIOCore
import NodeCore
import RingstoreAPI
import Users

@testable import RouterNode

/// Callers are numbers.
final class RecordingDriver: RouterDriver {
  enum Outcome: Equatable {
    case replied([UInt8])
    /// The messages of a stream that ended well.
    case streamed([[UInt8]])
    case failed(CallError)

    var error: CallError? {
      if case .failed(let error) = self { return error }
      return nil
    }
  }

  struct Lane: Hashable {
    let shard: Int
    let lane: LinkLane
  }

  var outcomes: [Int: Outcome] = [:]
  /// Called from within whatever tells a caller something: it may come with its next call at once.
  var whenTold: (() -> Void)?
  /// Replies in pieces that have begun: what was announced, and what has come.
  var begun: [Int: (byteCount: Int, bytes: [UInt8])] = [:]
  /// Callers that have gone away: nothing may be told to them.
  var gone: Set<Int> = []
  /// Messages of streams.
  var emitted: [Int: [[UInt8]]] = [:]
  /// Callers whose large replies are gathered, as those of a Pipeline are.
  var gathers: Set<Int> = []
  /// Callers that take no more for now, and the ids that wait for them.
  var full: Set<Int> = []
  var waitingIDs: [Int: UInt64] = [:]
  var expected: [Int: Int] = [:]
  /// Callers whose calls wait for values, and how many may.
  var parked: Set<Int> = []
  var parkedMax = Int.max
  /// Why the callers of calls that are parked may not make them any more.
  var callerRefusal: CallError?

  /// Connections asked for and not dropped: the generation of each shard's.
  var connections: [Int: UInt64] = [:]
  /// The address that was dialed last for each shard.
  var addresses: [Int: String] = [:]
  var connectCount = 0
  var paused: [Int: Int] = [:]
  var events: [RouterEvent] = []
  var withOutput: Set<Lane> = []
  var counters: [String: Int64] = [:]
  var endCount = 0

  private func end(_ caller: Int, _ outcome: Outcome) {
    precondition(outcomes[caller] == nil, "caller \(caller) got two replies")
    precondition(!gone.contains(caller), "caller \(caller) has gone away")
    outcomes[caller] = outcome
    whenTold?()
  }

  func reply(to caller: Int, response: UnsafeRawBufferPointer) {
    precondition(begun[caller] == nil, "caller \(caller) is in the middle of a reply")
    end(caller, .replied(Array(response)))
  }

  func fail(_ caller: Int, error: CallError) {
    precondition(begun[caller] == nil, "caller \(caller) is in the middle of a reply")
    end(caller, .failed(error))
  }

  func takesPieces(_ caller: Int) -> Bool { !gathers.contains(caller) }

  func beginReply(_ caller: Int, byteCount: Int) {
    precondition(begun[caller] == nil && outcomes[caller] == nil)
    begun[caller] = (byteCount, [])
  }

  func appendToReply(_ caller: Int, _ piece: UnsafeRawBufferPointer) {
    precondition(begun[caller] != nil && outcomes[caller] == nil && !gone.contains(caller))
    begun[caller]?.bytes += piece
  }

  func finishReply(_ caller: Int) {
    guard let reply = begun[caller] else { preconditionFailure("nothing was begun") }
    precondition(reply.bytes.count == reply.byteCount, "the reply isn't whole")
    end(caller, .replied(reply.bytes))
  }

  func failReply(_ caller: Int, error: CallError) {
    precondition(begun[caller] != nil)
    end(caller, .failed(error))
  }

  func emit(_ caller: Int, message: UnsafeRawBufferPointer) {
    precondition(outcomes[caller] == nil && !gone.contains(caller))
    emitted[caller, default: []].append(Array(message))
  }

  func finishStream(_ caller: Int) {
    end(caller, .streamed(emitted[caller] ?? []))
  }

  func takesMore(_ caller: Int, id: UInt64) -> Bool {
    guard full.contains(caller) else { return true }
    waitingIDs[caller] = id
    return false
  }

  func expect(_ byteCount: Int, for caller: Int) {
    expected[caller, default: 0] += byteCount
  }

  func principal(of caller: Int) throws(CallError) -> Principal? {
    if let callerRefusal { throw callerRefusal }
    return nil
  }

  func parked(_ caller: Int) -> Bool {
    guard parked.count < parkedMax else { return false }
    precondition(parked.insert(caller).inserted)
    return true
  }

  func unparked(_ caller: Int) { precondition(parked.remove(caller) != nil) }

  func connect(shard: Int, address: String, generation: UInt64) {
    connections[shard] = generation
    addresses[shard] = address
    connectCount += 1
  }

  func disconnect(shard: Int, generation: UInt64) {
    if connections[shard] == generation { connections[shard] = nil }
  }

  func linkHasOutput(shard: Int, lane: LinkLane) {
    withOutput.insert(Lane(shard: shard, lane: lane))
  }

  func pauseReading(for caller: Int) { paused[caller, default: 0] += 1 }

  func resumeReading(for caller: Int) {
    paused[caller, default: 0] -= 1
    whenTold?()
  }

  func endNode() { endCount += 1 }
  func note(_ event: RouterEvent) { events.append(event) }
}
