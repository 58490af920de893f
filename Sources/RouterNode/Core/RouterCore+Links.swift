// The links' side of the core: connecting, Hello, replies, loss.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import StandardServices

extension RouterCore {
  // MARK: - Events of the transport

  /// The stream of a lane is open. The core sends its Hello.
  package func linkConnected(shard: Int, lane: LinkLane, generation: UInt64) {
    guard isCurrent(shard, generation) else { return }
    // It may have been dropped while it was dialed: no map of ours lists it then.
    guard helloMap(shard).place(of: links[shard].shardID) != nil else {
      retire(shard)
      return finishEvent()
    }
    links[shard].state.connected()
    let hello = helloFrame(shard, lane)
    links[shard][lane].append { $0.writeImmutableBuffer(hello) }
    hasOutput(shard, lane)
  }

  /// A lane could not be connected, or is gone. The other one is dropped as well.
  ///
  /// - Parameter refusal: the shard has ended it for this.
  package func linkLost(
    shard: Int, lane: LinkLane, generation: UInt64, reason: String, refusal: LinkRefusal? = nil
  ) {
    guard isCurrent(shard, generation) else { return }
    driver.disconnect(shard: shard, generation: generation)
    lost(shard, reason, refusal)
    finishEvent()
  }

  /// A ShardFrame has arrived; `frame` is valid during the call only.
  package func linkReceived(
    shard: Int, lane: LinkLane, generation: UInt64, frame: UnsafeRawBufferPointer
  ) {
    guard isCurrent(shard, generation) else { return }
    links[shard].received(bytes: frame.count)
    do throws(WireError) {
      var parts = LinkV1.ShardFrame.Parts(frame)
      while let part = try parts.next() {
        switch part {
        case .hello(let message): greeted(shard, lane, generation, message)
        case .replies(let message): replyReceived(shard, try LinkV1.LinkReply(message))
        case .draining(let isDraining): if isDraining { drainingBegan(shard) }
        case .clockMillis(let millis): clockReceived(shard, millis)
        case .mapReply(let message): mapReplied(shard, try LinkV1.MapReply(message))
        case .mapNews(let message): mapNewsReceived(shard, try LinkV1.MapNews(message))
        }
        // A refusal, or a reply that made us close the link, also ends the frame.
        guard isCurrent(shard, generation) else { break }
      }
      if streams.hasWaiters(shard) { serveWaiters(shard) }
      // Either lane may have space again: a call's final reply may come on the other lane.
      if links[shard].calls.waitingCount > 0 { admitWaiting(shard, .calls) }
      if links[shard].bulk.waitingCount > 0 { admitWaiting(shard, .bulk) }
      finishEvent()
      if care.isNeeded { releaseHeld() }
      endIdle(shard, generation)
    } catch {
      driver.disconnect(shard: shard, generation: generation)
      lost(shard, "the shard sent an undecodable frame")
    }
    finishEvent()
  }

  /// The next frame for a lane of a shard, or nil if there is nothing to send.
  package func takeFrame(shard: Int, lane: LinkLane) -> OutgoingFrame? {
    links[shard].takeFrame(lane, nowNanos: nowNanos)
  }

  /// Takes the memory of a frame that was sent, for a later one.
  package func reuse(_ buffer: inout ByteBuffer, shard: Int, lane: LinkLane) {
    links[shard][lane].reuse(&buffer)
  }

  /// Notifies the driver that a lane has output. O(1); once for each frame or sequence of frames,
  /// for any number of calls.
  @inline(__always)
  func hasOutput(_ shard: Int, _ lane: LinkLane) {
    if links[shard][lane].announces() { driver.linkHasOutput(shard: shard, lane: lane) }
  }

  /// Whether the first attempt to reach every shard has ended, with success or not.
  package var haveLinksBeenTried: Bool {
    let areTried = links.allSatisfy { link in
      guard link.isMember else { return true }
      switch link.state.phase {
      // An attempt that is due at once is a part of the first attempt, as after another map was
      // adopted.
      case .waiting(let until): return until > nowNanos
      case .connecting, .greeting: return false
      case .ready, .draining: return true
      }
    }
    // If all have been reached the map comes into force.
    return areTried && (agreement.isInForce || links.members.contains { !links[$0].state.isReady })
  }

  /// The shard at the other end of a link.
  package func shardID(ofLink link: Int) -> String { links[link].shardID }

  /// Calls that were sent over a lane to a shard and have no reply yet.
  package func callsInFlight(shard: Int, lane: LinkLane) -> Int {
    links[shard][lane].callsInFlight
  }

  /// Each link for channelz.
  ///
  /// - Parameter name: makes its name from its shard.
  package func linkReports(name: (_ shard: String) -> String) -> [LinkReport] {
    links.members.map { member in
      let link = links[member]
      let state: LinkReport.State =
        switch link.state.phase {
        case .ready: .ready
        case .connecting, .greeting: .connecting
        case .waiting: .transientFailure
        case .draining: .shutdown
        }
      return LinkReport(
        name: name(link.shardID), target: link.address, state: state, calls: link.callCounts,
        sinceLastCallNanos: link.lastCallNanos.map { nowNanos &- $0 })
    }
  }

  /// The cluster's shards, and for what each refuses this router; nil: it doesn't.
  package var linkRefusals: [(shard: String, refusal: LinkRefusal?)] {
    links.members.map { (links[$0].shardID, links[$0].trouble.refusal) }
  }

  /// The cluster's shards, and whether each takes calls.
  package var shardHealth: [(id: String, isServing: Bool)] {
    links.members.map { (links[$0].shardID, unreachableDetail(shard: $0) == nil) }
  }

  /// Why a shard accepts no calls now; nil if it does.
  package func unreachableDetail(shard: Int) -> String? {
    guard links[shard].state.isReady else { return links[shard].state.detail }
    return links[shard].isServing ? nil : Self.hasJustStarted
  }

  static var hasJustStarted: String {
    "it has just started, and no other shard could be queried yet whether the slot map is in force"
  }

  // MARK: - What the core does about them

  func connect(_ shard: Int) {
    let address = links[shard].beginConnecting()
    driver.connect(
      shard: shard, address: address, generation: links[shard].state.generation)
  }

  func isCurrent(_ shard: Int, _ generation: UInt64) -> Bool {
    guard links.indices.contains(shard), links[shard].state.generation == generation else {
      return false
    }
    if case .waiting = links[shard].state.phase { return false }
    return true
  }

  private func helloFrame(_ shard: Int, _ lane: LinkLane) -> ByteBuffer {
    typealias Field = LinkV1.Hello.Field
    let generation = links[shard].state.generation
    var frame = ByteBuffer()
    let hello = frame.beginLengthDelimited(LinkV1.RouterFrame.Field.hello, sizeHint: 512)
    frame.write(Field.protocol, UInt64(LinkProtocol.version))
    frame.write(Field.cluster, identity.cluster)
    frame.write(Field.router, identity.router)
    frame.write(Field.generation, generation)
    frame.write(Field.expectedShard, links[shard].shardID)
    let map = helloMap(shard)
    let isOffered = agreement.offered.place(of: links[shard].shardID) != nil
    links[shard].hello.sent(
      epoch: map.epoch, round: isOffered ? agreement.round : 0,
      dueNanos: nowNanos + linkLimits.helloNanosMax)
    SlotMapMessage.write(map, lineages, as: Field.map, into: &frame)
    links[shard].lineages.sent(lineages)
    frame.write(Field.inForceEpoch, agreement.inForceEpoch)
    let check = limits.hashSeed.check(
      cluster: identity.cluster, router: identity.router, generation: generation,
      shard: links[shard].shardID)
    check.withUnsafeBytes { frame.write(Field.hashSeedCheck, $0) }
    if lane == .calls {
      for id in parkedCalls.adrift(shard) { frame.append(Field.parkedCalls, id) }
    }
    frame.endLengthDelimited(hello)
    return frame
  }

  private func greeted(
    _ shard: Int, _ lane: LinkLane, _ generation: UInt64, _ bytes: UnsafeRawBufferPointer
  ) {
    guard links[shard].state.phase == .greeting, let reply = try? LinkV1.HelloReply(bytes),
      let told = try? ToldLineages(reply, of: links[shard].shardID)
    else {
      driver.disconnect(shard: shard, generation: generation)
      lost(shard, "the shard's reply to Hello is malformed")
      return
    }
    guard reply.accepted else {
      refuse(shard, generation, reply, told.lineage)
      return
    }
    agreement.heard(versionsBelow: reply.versionsBelow)
    guard take(told, shard, generation) else { return }
    if lane == .calls { parkedGreeted(shard, reply) }
    switch links[shard].state.accepted(lane, incarnation: reply.incarnation) {
    case .otherLaneMissing:
      break
    case .contradiction:
      driver.disconnect(shard: shard, generation: generation)
      lose(shard, "the shard restarted while it was being connected to")
    case .ready(let restarted):
      if restarted {
        driver.note(
          .shardRestarted(
            shard: links[shard].shardID, incarnation: reply.incarnation,
            keepsData: reply.recovers))
      }
      links[shard].trouble.end()
      driver.note(.linkReady(shard: links[shard].shardID, incarnation: reply.incarnation))
      if links[shard].state.phase == .draining {
        driver.note(.linkDraining(shard: links[shard].shardID))
      }
      if reply.serving || reply.mapInForce || links[shard].isServing {
        serves(shard)
      } else {
        care.begin()
      }
      mapAccepted(shard, isInForce: reply.mapInForce)
    }
  }

  /// The shard has sent its clock: frames carry it from now on, and a frame is sent over both
  /// lanes.
  private func clockReceived(_ shard: Int, _ millis: UInt64) {
    links[shard].heard(millis, nowNanos: nowNanos)
    guard links[shard].state.phase == .ready || links[shard].state.phase == .draining else {
      return
    }
    for lane in LinkLane.allCases {
      links[shard][lane].ensureFrame()
      hasOutput(shard, lane)
    }
  }

  private func refuse(
    _ shard: Int, _ generation: UInt64, _ reply: LinkV1.HelloReply, _ lineage: DataLineage?
  ) {
    driver.disconnect(shard: shard, generation: generation)
    let reason = String(decoding: reply.refusal, as: UTF8.self)
    let refusal = LinkRefusal(rawValue: reason)
    let theirs = reply.map.flatMap { try? SlotMapMessage.decode($0).0 }
    // A newer map is adopted, and the shard retried at once.
    let isTakenOver =
      refusal == .staleMap && (theirs?.epoch ?? 0) > links[shard].hello.epoch && reply.map != nil
    if !isTakenOver { logRefused(shard, refusal, reason) }
    // `mapConflict` has the effect of a refused map on all calls.
    let isMap = Self.mapRefusals.contains { $0 == refusal }
    let isAsked = isMap && agreement.offered.place(of: links[shard].shardID) != nil
    let isRetried =
      isAsked && (isTakenOver || !agreement.isAboutOffered(links[shard].hello.round))
    lose(
      shard, isMap ? reason : refusal?.detail(address: links[shard].address) ?? reason, refusal,
      keepsWaiting: isRetried)
    if refusal == .dataLost { links[shard].lineages.refused(.init(lineage: lineage)) }
    let detail = String(decoding: reply.detail, as: UTF8.self)
    if isAsked, let refusal {
      if agreement.isAboutOffered(links[shard].hello.round) {
        mapRefused(shard, refusal, theirs.map { ($0, reply.mapInForce) }, detail: detail)
      } else {
        // The map has changed while the Hello was in progress.
        links[shard].state.attemptNow(nowNanos: nowNanos)
      }
      // The map that was taken over doesn't list it.
      if isRetried, !links[shard].isMember { fail(removeCalls(of: shard, keepsWaiting: false)) }
    }
    changeLost(shard, detail.isEmpty ? links[shard].state.detail : detail)
  }

  /// Logs why a shard is not used. Attempts that fail like earlier ones are not logged.
  func logRefused(_ shard: Int, _ refusal: LinkRefusal?, _ reason: String? = nil) {
    let reason = reason ?? refusal?.rawValue ?? ""
    guard links[shard].trouble.isNews(reason) else { return }
    let advice = refusal?.sentence(address: links[shard].address) ?? ""
    driver.note(.linkRefused(shard: links[shard].shardID, reason: reason, advice: advice))
  }

  /// A link was lost, or could not be made. Attempts that fail like earlier ones are no news.
  private func lost(_ shard: Int, _ reason: String, _ refusal: LinkRefusal? = nil) {
    if links[shard].trouble.isNews(reason) {
      driver.note(.linkLost(shard: links[shard].shardID, reason: reason))
    }
    lose(shard, reason, refusal)
    changeLost(shard, reason)
  }

  private func drainingBegan(_ shard: Int) {
    let wasReady = links[shard].state.phase == .ready
    links[shard].state.startedDraining()
    guard wasReady else { return }
    agreement.lost(links[shard].shardID)
    driver.note(.linkDraining(shard: links[shard].shardID))
    for id in calls.ids(where: { $0.shard == shard && $0.isWaiting }) {
      guard !waiting.waits(id, for: .owner), let call = calls.remove(id) else { continue }
      forget(id, call)
      reportFailure(call, unavailable(shard))
    }
  }

  /// Closes a link that must end, once no reply is missing on it.
  private func endIdle(_ shard: Int, _ generation: UInt64) {
    guard isCurrent(shard, generation), links[shard].isIdle else { return }
    if links[shard].isMoving {
      followAddress(shard)
    } else if links[shard].state.phase == .draining {
      driver.disconnect(shard: shard, generation: generation)
      lose(shard, links[shard].state.detail)
    } else if !links[shard].isMember {
      retireIfIdle(shard)
    }
  }

  /// The connections are gone: ends all that depended on them, as docs/CONSISTENCY.md has it. What
  /// waits for the new owner of its slot depends on none.
  ///
  /// - Parameters:
  ///   - refusal: for what the shard has refused the link.
  ///   - keepsWaiting: whether it is dialed again at once, so that calls that wait for it continue
  ///     to wait.
  func lose(
    _ shard: Int, _ reason: String, _ refusal: LinkRefusal? = nil, keepsWaiting: Bool = false
  ) {
    links[shard].state.lost(reason, nowNanos: nowNanos)
    links[shard].trouble.lost(refusal)
    let waits = keepsWaiting && links[shard].isMoving
    if links[shard].isMoving, !waits { links[shard].endMoving() }
    fail(removeCalls(of: shard, keepsWaiting: waits))
  }

  /// A call that a lost link has ended.
  typealias LostCall = (call: PendingCall<Caller>, hasBegun: Bool, error: CallError)

  /// Removes all that depended on the connections of a link, which are gone.
  ///
  /// - Parameter keepsWaiting: whether calls that have not been sent wait for the next connections.
  func removeCalls(of shard: Int, keepsWaiting: Bool) -> [LostCall] {
    agreement.lost(links[shard].shardID)
    streams.lost(shard)
    parkedLost(shard)
    var lost: [LostCall] = []
    for id in calls.ids(where: { $0.shard == shard && !(keepsWaiting && $0.isWaiting) }) {
      guard !waiting.waits(id, for: .owner), parkedCalls[id] == nil,
        let call = calls.remove(id)
      else { continue }
      let wasSent = !call.isWaiting && call.order <= links[shard][call.lane].sent
      let error: CallError =
        wasSent && call.isWrite ? .outcomeUnknown(links[shard].shardID) : unavailable(shard)
      lost.append((call, streams.hasBegun(id), error))
      forget(id, call)
    }
    links[shard].clear(keepsWaiting: keepsWaiting)
    return lost
  }

  /// Reports lost calls. A caller that gets its error may make its next call at once, and must find
  /// the link's new state.
  func fail(_ lost: [LostCall]) {
    proceedWithAcceptance()
    for (call, hasBegun, error) in lost { fail(call, hasBegun: hasBegun, error) }
    queryShards()
    if care.isNeeded {
      releaseHeld()
      updateCare()
    }
  }

  func unavailable(_ shard: Int) -> CallError {
    mapConflict
      ?? .shardUnavailable(
        links[shard].shardID, unreachableDetail(shard: shard) ?? links[shard].state.detail)
  }

  /// Closes a connection whose shard doesn't reply to Hello.
  func dropUngreeted(_ shard: Int, nowNanos: UInt64) {
    guard links[shard].state.phase == .greeting, links[shard].hello.dueNanos <= nowNanos else {
      return
    }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    lose(shard, "the shard did not reply to Hello in time")
    changeLost(shard, links[shard].state.detail)
  }
}
