// Looks over the shards' shoulders: which calls were executed, how often and in which order, as
// their replies show. Clients know nothing of it; it sees at once what histories show only with
// luck.
//
// Owns its records. One thread. A call counts as executed when the first frame of its reply leaves
// the shard; of a large reply that is the notice, and its value is known at its last piece. A shard
// that commits late has executed it at some moment since it was received, and may have though no
// reply ever leaves.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

final class ExecutionObserver {
  /// A call that a shard has received over some connection of a link.
  struct Received {
    let method: UInt32
    /// The part of an MSet that the call is.
    let part: (call: SimulatedCall, place: Int)?
    /// Last replies owed: a frame that arrives twice is owed two.
    var owed = 1
    var wasExecuted = false
    let receivedAt: UInt64
    /// Between which moments it was executed, where its reply is held.
    var heldSince: (from: UInt64, to: UInt64)?
    /// The same where the value was not known when its reply began.
    var executedBetween: (from: UInt64, to: UInt64)?
    var pieces = ByteBuffer()
    /// Whether the observed history has it already.
    var isRecorded = false
  }

  struct LinkCallKey: Hashable {
    let router: Int
    let shard: Int
    let incarnation: Int
    let generation: UInt64
    let id: UInt64
  }

  /// An incarnation of a shard.
  struct ShardRun: Hashable {
    let shard: Int
    let incarnation: Int
  }

  struct Arrival {
    let run: ShardRun
    let connection: Int
    let moment: UInt64
    /// When its last reply left.
    var replied: UInt64?
  }

  struct CallKey: Hashable {
    let router: Int
    let id: UInt64
  }

  struct Executions {
    var count = 0
    let shard: Int
    let incarnation: Int
  }

  private struct PipelineKey: Hashable {
    let client: Int
    let key: [UInt8]
  }

  private struct LoopAtShard: Hashable {
    let router: Int
    let shard: Int
    let incarnation: Int
  }

  private struct OrderedKey: Hashable {
    let router: Int
    let shard: Int
    let key: [UInt8]
  }

  let context: SimulationContext
  unowned let cluster: SimulatedCluster
  var received: [LinkCallKey: Received] = [:]
  var executions: [CallKey: Executions] = [:]
  var parked = ParkedObserver()
  /// When calls were parked by shards that hold replies, and have told nothing of them since.
  var withoutReply: [LinkCallKey: UInt64] = [:]
  /// By connection, the calls that a shard has received and may not have read.
  private var unread: [Int: [LinkCallKey]] = [:]
  /// When calls, and the writers of values, were executed whose replies were not sent then.
  var heldCalls: [CallKey: (from: UInt64, to: UInt64)] = [:]
  var heldParts: [[UInt8]: (from: UInt64, to: UInt64)] = [:]
  /// What is to be looked at when the shard's present event is over.
  var servedNow: [() -> Void] = []
  /// When and where calls were received last.
  var arrivals: [CallKey: Arrival] = [:]
  /// When shards have crashed, and dropped what came over connections.
  var crashes: [ShardRun: UInt64] = [:]
  var lefts: [Int: UInt64] = [:]
  var otherParts = PartObserver()
  /// The values of MSets' parts: whose they are, which any shard has received, and which were
  /// written.
  private var parts: [[UInt8]: (call: SimulatedCall, place: Int)] = [:]
  var receivedParts: Set<[UInt8]> = []
  var written: Set<[UInt8]> = []
  private var newestOfKey: [OrderedKey: SimulatedCall] = [:]
  private var newestInPipeline: [PipelineKey: SimulatedCall] = [:]
  private var newestGeneration: [LoopAtShard: UInt64] = [:]
  /// The newest when the frame was made that leaves now.
  private var newestSeen: UInt64 = 0

  init(context: SimulationContext, cluster: SimulatedCluster) {
    self.context = context
    self.cluster = cluster
  }

  // MARK: - What happens

  /// A client makes a call.
  func began(_ call: SimulatedCall) {
    guard case .manyKeys = call.kind else { return }
    for (place, item) in call.items.enumerated() {
      if let value = item.valueSet { parts[value] = (call, place) }
    }
  }

  func greeted(_ connection: SimulatedConnection, incarnation: Int) {
    let loop = LoopAtShard(
      router: connection.router, shard: connection.shard, incarnation: incarnation)
    newestGeneration[loop] = max(newestGeneration[loop] ?? 0, connection.generation)
    parked.greeted(connection, incarnation: incarnation)
  }

  /// A shard drops what came over a connection.
  func left(_ connection: SimulatedConnection, incarnation: Int) {
    parked.left(connection, incarnation: incarnation)
    let now = cluster.moment()
    lefts[connection.number] = now
    otherParts.left(connection.number, now)
  }

  /// A shard knows that the callers of these calls are gone.
  func callersGone(_ ids: [UInt64], _ connection: SimulatedConnection) {
    for id in ids { parked.callerGone(key(id, connection)) }
  }

  /// A shard takes in a frame.
  func takes(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.RouterFrame.Parts(bytes)
      while let next = try? parts.next() {
        guard case .calls(let message) = next, let call = try? LinkV1.LinkCall(message) else {
          continue
        }
        let key = key(call.id, connection)
        arrivals[CallKey(router: connection.router, id: call.id)] = Arrival(
          run: ShardRun(shard: key.shard, incarnation: key.incarnation),
          connection: connection.number, moment: cluster.moment())
        notePart(call, key, connection)
        unread[connection.number, default: []].append(key)
        if received[key] != nil {
          received[key]?.owed += 1
        } else {
          waitsAgain(call.id, connection)
          received[key] = Received(
            method: call.method, part: part(call), receivedAt: cluster.moment())
        }
      }
    }
  }

  /// A shard has read all that has come over a connection. A call that has no reply was executed,
  /// unless it is done in turns or waits.
  ///
  /// - Parameter heldForState: what the shard has written and not sent. A refusal in it is never
  ///   seen if the connection breaks first.
  func hasRead(
    _ connection: SimulatedConnection, isOpen: Bool, heldForState: ByteBuffer? = nil
  ) {
    let keys = unread.removeValue(forKey: connection.number) ?? []
    guard isOpen, commitsLate else { return }
    // A process that was stopped reads many frames in one event, one after another.
    let now = cluster.moment()
    let refused = heldForState.map(callsRefused(in:)) ?? []
    for key in keys where !refused.contains(key.id) {
      guard let call = received[key], !call.wasExecuted, parked[key] == nil, call.owed == 1
      else { continue }
      let known = cluster.routers[connection.router].callsByID[key.id]
      guard known?.items[0].call.searches != true else { continue }
      // That it waits isn't seen before the shard releases the reply.
      if keepsData, known?.items[0].call.model.waits == true { continue }
      let interval = (from: call.receivedAt, to: now)
      received[key]?.heldSince = interval
      heldCalls[CallKey(router: key.router, id: key.id)] = interval
      if let (owner, place) = call.part, let value = owner.items[place].valueSet {
        heldParts[value] = interval
      }
    }
  }

  private func notePart(
    _ call: LinkV1.LinkCall, _ key: LinkCallKey, _ connection: SimulatedConnection
  ) {
    guard cluster.routers[connection.router].callsByID[call.id] == nil else { return }
    let work: PartObserver.Work
    if call.method == InternalMethod.resetPart.rawValue {
      work = .reset
    } else if call.method == Command.delete.method,
      let request = try? V1.DeleteRequest(call.request)
    {
      work = .delete(Array(request.key))
    } else {
      return
    }
    otherParts.received(work, key, over: connection.number, cluster.moment())
  }

  /// Parts of an MSet are known by what they write; their ids are the router's own business.
  private func part(_ call: LinkV1.LinkCall) -> (call: SimulatedCall, place: Int)? {
    guard CommandID(rawValue: Int(call.method)) == .set, let set = try? V1.KeyValue(call.request)
    else { return nil }
    let value = Array(set.value)
    receivedParts.insert(value)
    return parts[value]
  }

  /// The method of a call that a shard has received, and whose reply is not complete.
  func method(_ id: UInt64, _ connection: SimulatedConnection) -> UInt32? {
    received[key(id, connection)]?.method
  }

  /// Whether a part of a large reply to the call has been sent.
  func isInParts(_ id: UInt64, _ connection: SimulatedConnection) -> Bool {
    received[key(id, connection)]?.executedBetween != nil
  }

  func key(_ id: UInt64, _ connection: SimulatedConnection) -> LinkCallKey {
    LinkCallKey(
      router: connection.router, shard: connection.shard,
      incarnation: cluster.shards[connection.shard].incarnations,
      generation: connection.generation, id: id)
  }

  // MARK: - Replies

  /// The newest generation of a connection's loop that its shard has accepted.
  func newestGeneration(of connection: SimulatedConnection) -> UInt64 {
    let loop = LoopAtShard(
      router: connection.router, shard: connection.shard,
      incarnation: cluster.shards[connection.shard].incarnations)
    return newestGeneration[loop] ?? 0
  }

  /// A frame leaves a shard.
  ///
  /// - Parameter newest: the newest generation of its loop when the shard made it.
  func sends(_ frame: ByteBuffer, _ connection: SimulatedConnection, newest: UInt64) {
    newestSeen = newest
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.ShardFrame.Parts(bytes)
      while let part = try? parts.next() {
        guard case .replies(let message) = part, let reply = try? LinkV1.LinkReply(message) else {
          continue
        }
        note(reply, connection)
      }
    }
  }

  private func note(_ reply: LinkV1.LinkReply, _ connection: SimulatedConnection) {
    if reply.statusCode == .cancelled { context.cover(.cancelledInTime) }
    let key = key(reply.id, connection)
    guard var call = received[key] else {
      context.found(
        .repliedTwice,
        "shard \(connection.shard) replies to call \(reply.id) of router \(connection.router), "
          + "which it did not get or has completed")
      return
    }
    if reply.parked, reply.isOK { return noteParked(reply.id, key, connection) }
    let wait = parked[key]
    parked.end(key)
    withoutReply[key] = nil
    let isFirst = !call.wasExecuted
    call.wasExecuted = isFirst ? wasExecuted(reply) : true
    if isFirst, call.wasExecuted {
      noteExecution(reply.id, &call, reply, connection, wait)
    } else if call.executedBetween != nil {
      notePiece(reply, &call, connection)
    }
    // A call that is returned has had its last reply here.
    if !reply.more || !reply.isOK {
      call.owed -= 1
      let now = cluster.moment()
      if keepsData, !call.wasExecuted { forgetHeld(key, call) }
      otherParts.replied(key, now)
      arrivals[CallKey(router: key.router, id: key.id)]?.replied = now
      // A frame that arrived twice is executed twice.
      call.wasExecuted = false
      call.executedBetween = nil
      call.pieces.clear()
    }
    received[key] = call.owed > 0 ? call : nil
  }

  /// Whether a reply's first frame tells of an execution. An error that tells of the key's state
  /// does, and so does one that says so itself.
  func wasExecuted(_ reply: LinkV1.LinkReply) -> Bool {
    guard let error = reply.error else { return true }
    if case .ok = Outcome(error) { return true }
    // A shard that keeps its data says so also of what may be lost with it.
    return error.reason == .outcomeUnknown && !keepsData
  }

  private func noteExecution(
    _ id: UInt64, _ call: inout Received, _ reply: LinkV1.LinkReply,
    _ connection: SimulatedConnection, _ wait: ParkedObserver.Wait?
  ) {
    let known = cluster.routers[connection.router].callsByID[id]
    let seen = reply.more ? nil : known.flatMap { self.reply(to: $0, reply) }
    let isFirst =
      changesNothing(known, seen)
      || executed(id, connection, mayComeAgain: known?.wasParked ?? false)
    let now = cluster.moment()
    let whenReceived = (from: call.receivedAt, to: now)
    // A long list is searched in turns. A later call on its key has the search come to its end, and
    // may have their replies before it.
    let isSearch = known?.items[0].call.searches ?? false
    // One that waited is executed behind the call that brings what it takes, whose own reply may
    // leave later.
    let interval =
      commitsLate || isSearch
      ? call.heldSince ?? whenReceived : wait != nil ? cluster.presentEvent : (from: now, to: now)
    if let (owner, place) = call.part, isFirst {
      checkTime(owner, owner.items[place])
      if let value = owner.items[place].valueSet, written.insert(value).inserted {
        cluster.executed(owner, item: place, .done, interval)
      }
    }
    guard let known else { return }
    checkTime(known, known.items[0])
    // A long list is measured before its notice, so the calls behind it may be executed before.
    let isMeasured = reply.more && known.items[0].call.model.form?.reply == .list
    if !isMeasured, !isSearch, !known.wasParked { checkOrder(known, connection) }
    checkTurn(known, seen, wait, key(id, connection))
    guard isFirst else { return }
    cluster.begins(known, at: connection.shard)
    if reply.more {
      call.executedBetween = isMeasured ? whenReceived : interval
      // Its reply may never be complete.
      heldCalls[CallKey(router: connection.router, id: id)] = call.executedBetween
      // One that has waited may be executed by several incarnations, and this reply may be the one
      // that never comes to its end.
      if known.wasParked {
        call.isRecorded = true
        cluster.executedWithoutReply(known, interval)
      }
    } else if let seen {
      // A shard may hold the calls of a connection, and executes them in their order later.
      let isInOrder = !isMeasured && !isSearch && wait == nil && !known.wasParked
      cluster.executed(
        known, item: 0, seen, interval, behindOthersOf: isInOrder ? connection.number : nil)
    }
  }

  private func reply(to call: SimulatedCall, _ reply: LinkV1.LinkReply) -> KeyReply? {
    guard let error = reply.error else {
      return try? KeyReply(reply.response, to: call.items[0].call)
    }
    if case .ok(let refusal) = Outcome(error) { return refusal }
    return nil
  }

  private func notePiece(
    _ reply: LinkV1.LinkReply, _ call: inout Received, _ connection: SimulatedConnection
  ) {
    call.pieces.writeBytes(reply.response)
    guard !reply.more, reply.isOK, let interval = call.executedBetween,
      let known = cluster.routers[connection.router].callsByID[reply.id]
    else { return }
    let seen = call.pieces.withUnsafeReadableBytes {
      try? KeyReply($0, to: known.items[0].call)
    }
    guard let seen else { return }
    if call.isRecorded {
      known.items[0].seen = seen
    } else {
      cluster.executed(known, item: 0, seen, interval)
    }
  }

  /// "Later" is bounded: what a client was told has an end.
  private func checkTime(_ call: SimulatedCall, _ item: SimulatedCall.Item) {
    // A reply may leave a shard long after the call, whose disk is full.
    guard !item.call.isRead, call.hasEnded, !keepsData else { return }
    context.cover(.executedAfterItsEnd)
    // The shard's clock is reported in whole milliseconds.
    let limit = call.endedNanos + (LinkProtocol.callAgeMillisMax + 1) * 1_000_000
    guard context.nowNanos > limit else { return }
    let late = (context.nowNanos - call.endedNanos) / 1_000_000
    context.found(.executedLate, "executed \(late) ms after its end: \(call.text)")
  }

  /// Returns whether it was the first time.
  ///
  /// - Parameter mayComeAgain: whether another incarnation may execute it once more, because what
  ///   the first had taken is lost with it.
  private func executed(
    _ id: UInt64, _ connection: SimulatedConnection, mayComeAgain: Bool
  ) -> Bool {
    context.note(.executed, connection.router, connection.shard, connection.generation, id)
    let name = CallKey(router: connection.router, id: id)
    if mayComeAgain, !keepsData, executions[name].map(isOver) ?? false { executions[name] = nil }
    let incarnation = cluster.shards[connection.shard].incarnations
    executions[name, default: Executions(shard: connection.shard, incarnation: incarnation)]
      .count += 1
    if executions[name]?.count == 2 {
      context.found(
        .executedTwice, "call \(id) of router \(connection.router) was executed twice")
    }
    if connection.generation < newestSeen {
      context.found(
        .fencePassed,
        "call \(id) of router \(connection.router) came over an older connection")
    }
    if let other = cluster.shardWithKeysUnderAnotherMap(than: connection.router) {
      context.found(
        .mapDisobeyed,
        "call \(id) of router \(connection.router) was executed, but shard \(other) holds keys "
          + "under another map")
    }
    return executions[name]?.count == 1
  }

  /// Whether the process that executed a call is gone.
  func isOver(_ executions: Executions) -> Bool {
    let shard = cluster.shards[executions.shard]
    return shard.incarnations != executions.incarnation || shard.state == .down
  }

  func checkOrder(_ call: SimulatedCall, _ connection: SimulatedConnection) {
    // What is seen of a shard that commits late is when replies leave, and a large one that was
    // held may leave behind a later one on its key.
    guard !commitsLate else { return }
    // The rule of the cores, from which promise 4 follows: over both lanes, key by key.
    for key in call.items[0].keys { checkOrder(call, key, connection) }
  }

  private func checkOrder(
    _ call: SimulatedCall, _ key: [UInt8], _ connection: SimulatedConnection
  ) {
    let ordered = OrderedKey(router: connection.router, shard: connection.shard, key: key)
    if let newest = newestOfKey[ordered], newest.order > call.order {
      context.found(
        .orderOfKey,
        "\(newest.number) \(newest.text)\nwas submitted after \(call.number) \(call.text)\n"
          + "and executed before it")
    } else {
      newestOfKey[ordered] = call
    }
    guard call.client.isPipeline else { return }
    let name = PipelineKey(client: call.client.number, key: key)
    if let newest = newestInPipeline[name], newest.sequence > call.sequence {
      context.found(.outOfOrder, "\(newest.text)\nwas executed before \(call.text)")
    } else {
      newestInPipeline[name] = call
    }
  }
}
