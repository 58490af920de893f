// The clients of a router that FuzzShards runs, and its connections: notes what the core tells them,
// and whether it tells them what it must not. One thread.

import NIOCore
import NodeCore
import RingstoreAPI
import RouterNode

final class PlayedClients: RouterDriver {
  private struct Client {
    var id: UInt64?
    var hasEnded = false
    var isGone = false
    /// Its large replies are collected.
    var gathers = false
    /// The bytes that are missing of a reply in pieces.
    var missing: Int?
    var expected = 0
    var pauses = 0
    var isParked = false
  }

  private var clients: [Client] = []
  private(set) var problem: String?
  /// Clients that read nothing, by their numbers' remainder, and the calls that wait for them.
  private var isReading = [true, true, true, true]
  private var waitingIDs: [Int: UInt64] = [:]
  /// Connections that were asked for and not dropped: the generation of each shard's.
  private(set) var connections: [Int: UInt64] = [:]
  var lanesWithOutput: [(shard: Int, lane: LinkLane)] = []

  var all: Range<Int> { clients.indices }

  var areTidy: Bool {
    clients.allSatisfy { $0.expected == 0 && $0.pauses == 0 && !$0.isParked }
  }

  private func found(_ problem: String) { self.problem = self.problem ?? problem }

  // MARK: - What they do

  /// A request on a key: more of it is any bytes, or many of them.
  static func request(_ script: inout LinkScript) -> ByteBuffer {
    let place = script.byte()
    var request = ByteBuffer()
    if place & 128 == 0 {
      PlayedRouter.key(place).withUnsafeBytes { request.append(BytesField(1), $0) }
    }
    if place & 64 == 64 {
      let value = [UInt8](repeating: 7, count: 400)
      value.withUnsafeBytes { request.append(BytesField(2), $0) }
    }
    request.writeBytes(script.bytes())
    return request
  }

  func begin(gathers: Bool) -> Int {
    clients.append(Client(gathers: gathers))
    return clients.count - 1
  }

  func began(_ caller: Int, _ id: UInt64?) {
    if id == nil, !clients[caller].hasEnded { found("a call is neither in progress nor over") }
    clients[caller].id = id
  }

  /// Returns the id of its call, if that is in progress.
  func goes(_ choice: Int) -> UInt64? {
    guard !clients.isEmpty else { return nil }
    let caller = choice % clients.count
    guard !clients[caller].hasEnded, !clients[caller].isGone else { return nil }
    clients[caller].isGone = true
    return clients[caller].id
  }

  /// Some clients begin to read, or read no more. Returns the calls that may continue.
  func reads(_ choice: Int) -> [UInt64] {
    let place = choice % isReading.count
    isReading[place].toggle()
    guard isReading[place] else { return [] }
    let waiting = waitingIDs.filter { $0.key % isReading.count == place }
    for caller in waiting.keys { waitingIDs[caller] = nil }
    return waiting.values.sorted()
  }

  // MARK: - What they are told

  private func end(_ caller: Int) {
    if clients[caller].hasEnded || clients[caller].isGone {
      found("a client gets two replies, or has gone")
    }
    if clients[caller].isParked { found("the call of a client with its reply still waits") }
    clients[caller].hasEnded = true
  }

  func reply(to caller: Int, response: UnsafeRawBufferPointer) {
    if clients[caller].missing != nil { found("a reply comes within a reply in pieces") }
    end(caller)
  }

  func fail(_ caller: Int, error: CallError) {
    if clients[caller].missing != nil { found("a reply that has begun is failed as if not") }
    end(caller)
  }

  func takesPieces(_ caller: Int) -> Bool { !clients[caller].gathers }

  func beginReply(_ caller: Int, byteCount: Int) {
    if clients[caller].missing != nil || clients[caller].hasEnded || clients[caller].isGone {
      found("a reply begins twice, or too late")
    }
    clients[caller].missing = byteCount
  }

  func appendToReply(_ caller: Int, _ piece: UnsafeRawBufferPointer) {
    guard let missing = clients[caller].missing, missing >= piece.count,
      !clients[caller].hasEnded, !clients[caller].isGone
    else { return found("a piece belongs to no reply, or is too long") }
    clients[caller].missing = missing - piece.count
  }

  func finishReply(_ caller: Int) {
    if clients[caller].missing != 0 { found("a reply isn't whole") }
    end(caller)
  }

  func failReply(_ caller: Int, error: CallError) {
    if clients[caller].missing == nil { found("a reply that has not begun is broken off") }
    end(caller)
  }

  func emit(_ caller: Int, message: UnsafeRawBufferPointer) {
    if clients[caller].hasEnded || clients[caller].isGone { found("a message comes too late") }
  }

  func finishStream(_ caller: Int) { end(caller) }

  func takesMore(_ caller: Int, id: UInt64) -> Bool {
    if isReading[caller % isReading.count] { return true }
    waitingIDs[caller] = id
    return false
  }

  func expect(_ byteCount: Int, for caller: Int) {
    clients[caller].expected += byteCount
    if clients[caller].expected < 0 { found("fewer bytes are expected than none") }
  }

  /// Few may wait.
  func parked(_ caller: Int) -> Bool {
    guard clients.count(where: \.isParked) < 3 else { return false }
    if clients[caller].isParked || clients[caller].hasEnded { found("a call waits twice") }
    clients[caller].isParked = true
    return true
  }

  func unparked(_ caller: Int) {
    if !clients[caller].isParked { found("a call ends waiting that didn't wait") }
    clients[caller].isParked = false
  }

  // MARK: - Links and the node

  func connect(shard: Int, address: String, generation: UInt64) {
    if connections[shard] != nil { found("a shard is dialled that has a connection") }
    connections[shard] = generation
  }

  func disconnect(shard: Int, generation: UInt64) {
    if connections[shard] == generation { connections[shard] = nil }
  }

  func linkHasOutput(shard: Int, lane: LinkLane) {
    lanesWithOutput.append((shard, lane))
  }

  func pauseReading(for caller: Int) { clients[caller].pauses += 1 }

  func resumeReading(for caller: Int) {
    clients[caller].pauses -= 1
    if clients[caller].pauses < 0 { found("a connection is read more than it was paused") }
  }

  var counters: [String: Int64] { [:] }
  func endNode() {}
  func note(_ event: RouterEvent) {}
}
