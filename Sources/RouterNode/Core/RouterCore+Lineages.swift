// Which data the shards have: a router merges what the shards have on record, tells each of them
// what it lacks, and lets go of a shard whose data is other than what is on record (DATA_LOST). See
// docs/ARCHITECTURE.md, "Lineages".

import NodeCore
import Placement
import RingstoreAPI

/// What the reply to a Hello tells of lineages.
struct ToldLineages {
  /// Of the shard's own data; nil: it is in memory only.
  let lineage: DataLineage?
  /// What the shard has on record.
  let records: LineageRecords

  init(_ reply: LinkV1.HelloReply, of shard: String) throws(PlacementError) {
    lineage = try DataLineage.read(reply.lineage, of: shard)
    records = try LineageRecords(reply.lineages)
  }
}

extension RouterCore {
  // MARK: - What shards say

  /// Takes what the reply to a Hello tells of lineages. Returns whether the shard may be used, as
  /// far as its data goes; where not, its link is gone.
  func take(_ told: ToldLineages, _ shard: Int, _ generation: UInt64) -> Bool {
    links[shard].greeted = RouterLink.Greeted(lineage: told.lineage)
    heard(told.records, from: shard, isLinkNew: true)
    return isCurrent(shard, generation)
  }

  /// A shard has told what it has on record.
  ///
  /// - Parameter isLinkNew: whether its link is only about to be ready.
  func heard(_ records: LineageRecords, from shard: Int, isLinkNew: Bool = false) {
    links[shard].recorded = records
    let isNew = lineages.merge(records.of(agreement.offered.shards + agreement.current.shards))
    if isNew || isLinkNew { dropLost() }
    if isNew { retryAccepted() }
    spreadLineages()
    proceedWithAcceptance()
  }

  /// Another loop of this router has more on record.
  package func learn(_ record: LineageRecord, of shard: String) {
    lineages[shard] = lineages[shard].merged(with: record)
    dropLost()
    retryAccepted()
    spreadLineages()
    finishEvent()
  }

  // MARK: - What is done about it

  /// Puts the lineages of shards on record of which there is none. Only when all that any shard of
  /// the map has on record is known, or one that serves has spoken: who was greeted first may be
  /// the one that has lost its data.
  func noteLineages() {
    for place in links.indices where links[place].state.isReady {
      guard agreement.offered.place(of: links[place].shardID) != nil else { continue }
      lineages.note(links[place].greeted?.lineage, of: links[place].shardID)
    }
  }

  /// Notes lineages where all shards of the map can be used.
  func noteLineagesOfAll() {
    let ready = links.lazy.filter(\.state.isReady).map(\.shardID)
    guard Set(ready).isSuperset(of: agreement.offered.shards.map(\.id)) else { return }
    noteLineages()
    spreadLineages()
  }

  /// Tells each shard what it lacks, with the map that it has: it has that on record, durably, when
  /// it replies.
  func spreadLineages() {
    for place in links.indices where links[place].state.isReady {
      guard links[place].told != lineages, !links[place].recorded.contain(lineages),
        agreement.offered.place(of: links[place].shardID) != nil
      else { continue }
      offer(.adopt, agreement.offered, to: place)
    }
  }

  /// Lets go of shards that have other data than what is on record.
  private func dropLost() {
    for place in links.indices {
      guard let greeted = links[place].greeted, links[place].state.attemptAtNanos == nil,
        !lineages.admits(links[place].shardID, greeted.lineage)
      else { continue }
      let generation = links[place].state.generation
      driver.disconnect(shard: place, generation: generation)
      tellRefused(place, .dataLost)
      lose(place, LinkRefusal.dataLost.detail(address: links[place].address), .dataLost)
      links[place].loss = greeted
      changeLost(place, links[place].state.detail)
    }
  }

  /// Dials shards at once whose data is not what was on record, but is now.
  private func retryAccepted() {
    for place in links.indices {
      guard let loss = links[place].loss,
        lineages.admits(links[place].shardID, loss.lineage)
      else { continue }
      links[place].loss = nil
      links[place].state.attemptNow(nowNanos: nowNanos)
    }
  }

  /// A map is in force: only what is on record of listed shards is kept.
  func forgetUnlisted() {
    lineages = lineages.of(agreement.current.shards + agreement.offered.shards)
  }

  // MARK: - Accepting a loss

  /// Has the cluster take a shard with the data that it has now. How it ends is told once, perhaps
  /// before this returns.
  package func acceptLoss(of shard: String, end: @escaping LossAcceptanceEnd) {
    guard acceptance == nil else {
      return end(.failure(.init("another loss is being accepted; try again")))
    }
    guard let place = links.place(of: shard), links[place].isMember else {
      return end(.failure(.init("the cluster has no shard \(shard)")))
    }
    guard let loss = links[place].loss else {
      return end(.failure(.init(nothingLost(place))))
    }
    guard lineages.acceptLoss(of: shard, now: loss.lineage) else {
      return end(.failure(.init("no more losses of shard \(shard) can be counted")))
    }
    driver.note(.lossAccepted(shard: shard))
    retryAccepted()
    spreadLineages()
    let record = lineages[shard]
    let waits = links.members.filter { isAsked($0, for: shard) }.map { links[$0].shardID }
    acceptance = LossAcceptance(
      shard: shard, record: record, waits: Set(waits),
      dueNanos: nowNanos + linkLimits.changeNanosMax, end: end)
    proceedWithAcceptance()
    finishEvent()
  }

  private func nothingLost(_ place: Int) -> String {
    let id = links[place].shardID
    return links[place].state.isReady
      ? "shard \(id) has the data that it is to have"
      : "shard \(id) can't be asked which data it has (\(links[place].state.detail))"
  }

  private func isAsked(_ place: Int, for shard: String) -> Bool {
    links[place].shardID != shard && links[place].state.isReady
  }

  private func hasOnRecord(_ place: Int, _ acceptance: LossAcceptance) -> Bool {
    let recorded = links[place].recorded[acceptance.shard]
    return recorded.merged(with: acceptance.record) == recorded
  }

  /// A shard has put something on record, or was lost.
  func proceedWithAcceptance() {
    guard var current = acceptance else { return }
    current.waits = current.waits.filter { id in
      guard let place = links.place(of: id) else { return false }
      return isAsked(place, for: current.shard) && !hasOnRecord(place, current)
    }
    acceptance = current
    if current.waits.isEmpty { endAcceptance() }
  }

  func endAcceptance() {
    guard let ended = acceptance else { return }
    acceptance = nil
    var report = LossReport(record: ended.record)
    for place in links.members where links[place].shardID != ended.shard {
      if isAsked(place, for: ended.shard), hasOnRecord(place, ended) {
        report.recorded.append(links[place].shardID)
      } else {
        report.missing.append(links[place].shardID)
      }
    }
    ended.end(.success(report))
  }
}
