// A slot map that changes while calls are in progress.
//
// What becomes of calls:
// - From the moment that a newer map is known, calls on slots whose owner it changes wait. Calls on
//   all other slots continue as before.
// - Calls that were sent to the old owner either were executed before it adopted the map, and get
//   their replies, or are returned, and wait too.
// - When the map is in force and no calls are in progress at the old owner, all of them are sent to
//   the new one, in the order in which they were submitted.
// - A call that is returned although no newer map is known, because it overtook the news that the
//   map is in force, is routed again after a short time, a limited number of times.
//
// Limits: these calls count like other waiting calls (RouterCore+Waiting), in bytes and in time.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension RouterCore {
  /// The map in the Hello to a shard: the one that should come into force; for a new shard the one
  /// that will list it.
  func helloMap(_ shard: Int) -> SlotMap {
    if let dialed = change?.dialedMap, agreement.offered.place(of: links[shard].shardID) == nil {
      return dialed
    }
    // A shard that will be removed doesn't get the map without it.
    let isDropped = agreement.offered.place(of: links[shard].shardID) == nil
    return isDropped ? agreement.current : agreement.offered
  }

  /// The map in force, with the addresses by which this router reaches the shards.
  package var shownMap: SlotMap {
    map.readdressed(
      by: links.members.map { ShardDescription(id: links[$0].shardID, address: links[$0].address) })
  }

  /// Whether a newer map is known, or a change is in progress.
  package var isMapChanging: Bool { !agreement.isInForce || change != nil }

  // MARK: - What shards say

  /// A shard has accepted the map of our Hello.
  func mapAccepted(_ shard: Int, isInForce: Bool) {
    changeReached(shard)
    if agreement.isDoubted { endDoubt(shard) }
    guard links[shard].state.isReady else { return }
    // The map may have changed while the Hello was in flight, and a new shard got another one.
    if agreement.isAboutOffered(links[shard].hello.round) {
      apply(agreement.holds(links[shard].shardID, isInForce: isInForce))
    } else if links[shard].isMember {
      offerUnlessHeld(shard)
    }
    noteLineagesOfAll()
    spreadLineages()
  }

  /// A shard refuses the map of our Hello, or of an offer.
  func mapRefused(
    _ shard: Int, _ reason: LinkRefusal, _ theirs: (map: SlotMap, isInForce: Bool)?,
    detail: String
  ) {
    let before = agreement.offered.epoch
    let change = agreement.refused(by: links[shard].shardID, theirs: theirs)
    if change == .doubted {
      // It is asked again with a Hello, as after any refusal.
      release(shard, reason.rawValue, reason)
    } else {
      changeRefused(shard, reason, detail, epoch: before)
    }
    apply(change)
    if change != .doubted, change != .none {
      links[shard].state.attemptNow(nowNanos: nowNanos)
    }
    agreement.pauseIfNeeded(untilNanos: nowNanos + linkLimits.mapPauseNanos)
  }

  func mapReplied(_ shard: Int, _ reply: LinkV1.MapReply) {
    let detail = String(decoding: reply.detail, as: UTF8.self)
    let refusal = LinkRefusal(rawValue: String(decoding: reply.refusal, as: UTF8.self))
    if reply.step == .check {
      changeChecked(shard, epoch: reply.epoch, isAccepted: reply.accepted, refusal, detail)
    } else if refusal == .dataLost {
      // It applies the same rule as this router, and may have the record from another one.
      release(shard, LinkRefusal.dataLost.detail(address: links[shard].address), .dataLost)
    } else if reply.accepted {
      agreement.heard(versionsBelow: reply.versionsBelow)
      if let records = try? LineageRecords(reply.lineages) { heard(records, from: shard) }
      guard links[shard].state.isReady else { return }
      if reply.inForce, !links[shard].isServing { serves(shard) }
      apply(
        agreement.accepted(
          by: links[shard].shardID, round: reply.round, isInForce: reply.inForce))
    } else if agreement.isAboutOffered(reply.round) {
      let theirs = reply.map.flatMap { try? SlotMapMessage.decode($0).0 }
      if agreement.isOvertaken(theirs: theirs, isInForce: reply.inForce) {
        return offerUnlessHeld(shard)
      }
      mapRefused(
        shard, refusal ?? .mapConflict, theirs.map { ($0, reply.inForce) }, detail: detail)
    }
  }

  /// A shard has adopted a map from another router, or was informed that it is in force.
  func mapNewsReceived(_ shard: Int, _ news: LinkV1.MapNews) {
    guard let (map, records) = news.map.flatMap({ try? SlotMapMessage.decode($0) }) else { return }
    agreement.heard(versionsBelow: news.versionsBelow)
    if news.inForce, !links[shard].isServing { serves(shard) }
    apply(agreement.learn(map, isInForce: news.inForce))
    heard(records, from: shard)
    guard links[shard].state.isReady, map.epoch == agreement.offered.epoch,
      map.sameContent(as: agreement.offered)
    else { return }
    apply(agreement.holds(links[shard].shardID, isInForce: news.inForce))
  }

  /// Other routers have had time to finish: shards that have refused the map are retried.
  private func endPause() {
    agreement.resume()
    for place in links.indices where links[place].isMember { offerUnlessHeld(place) }
  }

  /// Takes over a map that this router has made.
  func propose(_ map: SlotMap) {
    apply(agreement.learn(map, isInForce: false))
  }

  // MARK: - What the core does about it

  private func apply(_ change: MapAgreement.Change) {
    switch change {
    case .none: break
    case .doubted: doubtMap()
    case .pending: mapIsPending()
    case .inForce: mapIsInForce()
    }
    informInForce()
    queryShards()
  }

  /// Queries shards whether they still hold the map.
  func queryShards() {
    let queried = agreement.nextQueried()
    guard !queried.isEmpty else { return }
    noteLineages()
    for place in links.indices where queried.contains(links[place].shardID) {
      offer(.adopt, agreement.offered, to: place)
    }
    spreadLineages()
  }

  /// Informs shards that the map is in force. Calls on slots that they have gained may now be sent.
  private func informInForce() {
    let informed = agreement.nextInformed()
    guard !informed.isEmpty else { return }
    for place in links.indices where informed.contains(links[place].shardID) {
      offer(.inForce, map, to: place)
      serves(place)
    }
    holds.mapCameIntoForce()
    releaseHeld()
  }

  /// A shard serves slots from now on: calls that wait for its link are sent. If that is reported
  /// on the first lane, they are sent when the second lane is accepted too.
  func serves(_ shard: Int) {
    links[shard].serves()
    guard links[shard].state.isReady else { return }
    if links[shard].isMoving, links[shard].isAtItsAddress {
      resume(shard)
    } else {
      updateCare()
    }
    parkedReady(shard)
  }

  private func mapIsPending() {
    guard let pending = agreement.pending else { return }
    links.adopt(map)
    holds.hold(map.slotsMoved(to: pending))
    care.begin()
    driver.note(.mapPending(epoch: pending.epoch))
    for shard in pending.shards {
      let place = links.join(shard)
      offerUnlessHeld(place)
      links[place].state.attemptNow(nowNanos: nowNanos)
    }
    dropUnlisted()
  }

  private func offerUnlessHeld(_ shard: Int) {
    let id = links[shard].shardID
    guard !agreement.isHeld(by: id), agreement.offered.place(of: id) != nil else { return }
    offer(.adopt, agreement.offered, to: shard)
  }

  /// A shard of a rolled back map doesn't belong to the cluster.
  private func dropUnlisted() {
    for place in links.indices where links[place].isMember {
      let id = links[place].shardID
      guard agreement.current.place(of: id) == nil, agreement.offered.place(of: id) == nil else {
        continue
      }
      links[place].leave()
      links[place].endMoving()
    }
  }

  private func mapIsInForce() {
    if links.adopt(map) { driver.note(.mapInForce(epoch: map.epoch)) }
    forgetUnlisted()
    for place in links.members { offerUnlessHeld(place) }
    informInForce()
    holds.mapCameIntoForce()
    updateCare()
    if let next = agreement.takeFollowUp() { propose(next) } else { changeInForce() }
    releaseHeld()
    dropUnlisted()
    followAddresses()
    for place in links.indices where !links[place].isMember { retireIfIdle(place) }
  }

  func updateCare() {
    care.update(agreement, holds, links)
  }

  /// Calls on both lanes rely on what is in force, and one lane may be far behind the other: so
  /// both carry it before them. Everything else has a reply, and goes over the calls lane.
  func offer(_ step: LinkV1.SlotMapStep, _ map: SlotMap, to shard: Int) {
    guard links[shard].state.isReady else { return }
    for lane in step == .inForce ? LinkLane.allCases : [.calls] {
      offer(step, map, to: shard, lane)
    }
    // What the other steps carry is not put on record.
    if step == .adopt { links[shard].lineages.sent(lineages) }
  }

  private func offer(
    _ step: LinkV1.SlotMapStep, _ map: SlotMap, to shard: Int, _ lane: LinkLane
  ) {
    links[shard][lane].appendAlone { frame in
      typealias Field = LinkV1.MapOffer.Field
      let offer = frame.beginLengthDelimited(LinkV1.RouterFrame.Field.offer, sizeHint: 64)
      frame.write(Field.step, step)
      SlotMapMessage.write(map, lineages, as: Field.map, into: &frame)
      frame.write(Field.inForceEpoch, agreement.inForceEpoch)
      if step == .adopt { frame.write(Field.round, agreement.round) }
      if step == .inForce { frame.write(Field.versionsBelow, agreement.versionsBelow) }
      frame.endLengthDelimited(offer)
    }
    hasOutput(shard, lane)
  }

  // MARK: - Calls

  /// Whether a call may go now; false: it waits for its slot's owner.
  ///
  /// - Throws: SHARD_UNAVAILABLE, MAP_CONFLICT.
  func admitWithCare(_ shard: Int, _ slot: UInt16, _ method: UInt32) throws(CallError) -> Bool {
    if agreement.isDoubted { throw unavailable(shard) }
    if holds.contains(slot) { return false }
    guard links[shard].state.isReady || links[shard].isMoving else { throw unavailable(shard) }
    if let reason = notInForceReason, !InternalMethod.isAboutNode(method) {
      throw .shardUnavailable(links[shard].shardID, reason)
    }
    if slot != Self.noSlot, links[shard].state.isReady, !links[shard].isServing {
      guard links[shard].isMoving else {
        throw .shardUnavailable(links[shard].shardID, Self.hasJustStarted)
      }
    }
    return true
  }

  /// Why calls are not served with the map of this router's list; nil if a map has been in force.
  var notInForceReason: String? {
    guard !agreement.isKnown else { return nil }
    return "the slot map is served when every shard has adopted it; "
      + (missingOfOffered ?? "they are being queried whether they hold it")
  }

  /// A shard that the offered map lists, and that can't be reached; nil: there is none.
  var missingOfOffered: String? {
    let places = agreement.offered.shards.lazy.compactMap { self.links.place(of: $0.id) }
    return places.first { !links[$0].state.isReady }.map {
      "\(links[$0].shardID) has not (\(links[$0].state.detail))"
    }
  }

  /// A shard has not executed a call, because its key's slot isn't the shard's.
  func returned(_ shard: Int, _ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let id = reply.id
    let parked = call.reply == .parked ? unpark(id, call) : nil
    links[shard].callReturned(
      call.lane, bytes: call.bytes, wasParked: call.reply == .parked)
    guard !call.isAbandoned, parked?.recall == nil,
      call.timesReturned < linkLimits.timesReturnedMax,
      let returned = try? LinkV1.LinkCall(reply.response), Int(call.slot) < Slots.count
    else {
      let hasBegun = streams.hasBegun(id)
      guard let call = calls.remove(id) else { return }
      forget(id, call)
      fail(call, hasBegun: hasBegun, parked?.recall ?? reply.error ?? .wrongShard(owner: nil))
      return
    }
    if call.reply == .parked {
      calls.unparked(id)
      if call.lane == .calls { sequencer.smallCameBack(id, slot: call.slot) }
    }
    calls.returned(id)
    note("returned by \(links[shard].shardID)", of: call)
    released(streams.returned(id, by: shard), for: call)
    // Without a newer map the only option is to send it to the same shard again.
    let isNoNews = agreement.isInForce && links.owner(ofSlot: Int(call.slot)) == shard
    holds.hold(Int(call.slot), untilNanos: isNoNews ? nowNanos + linkLimits.returnedNanos : nil)
    care.begin()
    let body = CallBody(
      method: returned.method,
      deadlineNanos: links[shard].clock.deadlineNanos(ofMillis: returned.deadlineMillis), tail: nil,
      traceContext: traceContext(of: call.span))
    wait(
      id, body, parked.map { request(of: $0) } ?? ByteBuffer(bytes: returned.request), for: .owner)
  }

  /// Releases calls whose slots have an owner again.
  func releaseHeld() {
    guard !holds.isEmpty, agreement.isInForce else { return }
    if let due = holds.dueNanos, due > nowNanos { return }
    var busy = SlotSet.none
    calls.forEach { id, call in
      guard call.isOrdered, call.reply != .inParts, !call.isAbandoned, Int(call.slot) < Slots.count,
        !call.isWaiting || waiting.waits(id, for: .room)
      else { return }
      busy.insert(Int(call.slot))
    }
    // An owner that was not informed yet would return the call.
    if holds.dueNanos == nil {
      for slot in 0..<Slots.count where holds.contains(UInt16(slot)) {
        let owner = links[links.owner(ofSlot: slot)]
        if owner.state.isReady, !agreement.isServed(by: owner.shardID) { busy.insert(slot) }
      }
    }
    sendToOwners(holds.release(except: busy).filter { waiting.waits($0, for: .owner) })
    updateCare()
  }

  // MARK: - Links that end

  /// A link whose shard has left the cluster is closed when no calls are in progress on it.
  func retireIfIdle(_ shard: Int) {
    guard links[shard].isIdle, !operations.contains(where: { $0.shards.contains(shard) })
    else { return }
    retire(shard)
  }

  func retire(_ shard: Int) {
    guard links[shard].state.attemptAtNanos == nil else { return }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    lose(shard, "the shard no longer belongs to the cluster")
    driver.note(.shardDropped(shard: links[shard].shardID))
    updateCare()
  }

  // MARK: - Time

  var mapDueNanos: UInt64? {
    var due = agreement.isInForce ? holds.dueNanos : nil
    if let lossDue = acceptance?.dueNanos { due = min(due ?? .max, lossDue) }
    if let changeDue = change?.dueNanos { due = min(due ?? .max, changeDue) }
    if let pauseEndNanos = agreement.pauseEndNanos { due = min(due ?? .max, pauseEndNanos) }
    return due
  }

  func mapTick(nowNanos: UInt64) {
    if let change, change.dueNanos <= nowNanos { changeOverdue() }
    if let acceptance, acceptance.dueNanos <= nowNanos { endAcceptance() }
    if let due = agreement.pauseEndNanos, due <= nowNanos { endPause() }
    if care.isNeeded { releaseHeld() }
    if care.isNeeded {
      for place in links.indices where !links[place].isMember { retireIfIdle(place) }
    }
  }
}
