// The data of the shards: a router merges the records of the shards, sends each the records that it
// lacks, and closes the link to a shard whose data differs from the record (DATA_LOST). See
// docs/ARCHITECTURE.md, "Lineages".

import NodeCore
import Placement
import RingstoreAPI

/// The lineages in the reply to a Hello.
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

  /// Takes the lineages in the reply to a Hello. Returns whether the shard's data allows its use;
  /// if not, its link is closed.
  func take(_ told: ToldLineages, _ shard: Int, _ generation: UInt64) -> Bool {
    links[shard].lineages.reported(told.lineage)
    heard(told.records, from: shard, isLinkNew: true)
    return isCurrent(shard, generation)
  }

  /// A shard has reported its records.
  ///
  /// - Parameter isLinkNew: whether its link is about to become ready.
  func heard(_ records: LineageRecords, from shard: Int, isLinkNew: Bool = false) {
    links[shard].lineages.reported(records)
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

  /// Records the lineages of shards without a record. Only when the records of all shards of the
  /// map are known, or one that serves has replied: the first shard to reply may be the one that
  /// has lost its data.
  func noteLineages() {
    for place in links.indices where links[place].state.isReady {
      guard agreement.offered.place(of: links[place].shardID) != nil else { continue }
      lineages.note(links[place].lineages.lineage, of: links[place].shardID)
    }
  }

  /// Records lineages if all shards of the map can be used.
  func noteLineagesOfAll() {
    let ready = links.lazy.filter(\.state.isReady).map(\.shardID)
    guard Set(ready).isSuperset(of: agreement.offered.shards.map(\.id)) else { return }
    noteLineages()
    spreadLineages()
  }

  /// Sends each shard the records that it lacks, with the map that it has: when it replies it has
  /// stored them durably.
  func spreadLineages() {
    for place in links.indices where links[place].state.isReady {
      guard links[place].lineages.lacks(lineages),
        agreement.offered.place(of: links[place].shardID) != nil
      else { continue }
      offer(.adopt, agreement.offered, to: place)
    }
  }

  /// Closes the links to shards whose data differs from the record.
  private func dropLost() {
    for place in links.indices {
      let id = links[place].shardID
      guard links[place].state.attemptAtNanos == nil,
        let data = links[place].lineages.refused(by: lineages, shard: id)
      else { continue }
      let generation = links[place].state.generation
      driver.disconnect(shard: place, generation: generation)
      logRefused(place, .dataLost)
      lose(place, LinkRefusal.dataLost.detail(address: links[place].address), .dataLost)
      links[place].lineages.refused(data)
      changeLost(place, links[place].state.detail)
    }
  }

  /// Connects at once to shards whose data differed from the record, but now matches it.
  private func retryAccepted() {
    for place in links.indices {
      let id = links[place].shardID
      guard links[place].lineages.isRecovered(by: lineages, shard: id) else { continue }
      links[place].state.attemptNow(nowNanos: nowNanos)
    }
  }

  /// A map is in force: only the records of listed shards are kept.
  func forgetUnlisted() {
    lineages = lineages.of(agreement.current.shards + agreement.offered.shards)
  }

  // MARK: - Accepting a loss

  /// Makes the cluster accept a shard with its current data. Calls the closure once with the
  /// result, perhaps before this returns.
  package func acceptLoss(of shard: String, end: @escaping LossAcceptanceEnd) {
    guard acceptance == nil else {
      return end(.failure(.init("another loss is being accepted; try again")))
    }
    guard let place = links.place(of: shard), links[place].isMember else {
      return end(.failure(.init("the cluster has no shard \(shard)")))
    }
    guard let loss = links[place].lineages.loss else {
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
      shard: shard, record: record, missing: Set(waits),
      dueNanos: nowNanos + linkLimits.changeNanosMax, end: end)
    proceedWithAcceptance()
    finishEvent()
  }

  private func nothingLost(_ place: Int) -> String {
    let id = links[place].shardID
    return links[place].state.isReady
      ? "shard \(id) has the right data"
      : "shard \(id) can't be reached to check its data (\(links[place].state.detail))"
  }

  private func isAsked(_ place: Int, for shard: String) -> Bool {
    links[place].shardID != shard && links[place].state.isReady
  }

  private func hasOnRecord(_ place: Int, _ acceptance: LossAcceptance) -> Bool {
    links[place].lineages.hasOnRecord(acceptance.record, of: acceptance.shard)
  }

  /// A shard has put something on record, or was lost.
  func proceedWithAcceptance() {
    guard let current = acceptance else { return }
    acceptance?.keepMissing { id in
      guard let place = links.place(of: id) else { return false }
      return isAsked(place, for: current.shard) && !hasOnRecord(place, current)
    }
    if acceptance?.isComplete == true { endAcceptance() }
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
