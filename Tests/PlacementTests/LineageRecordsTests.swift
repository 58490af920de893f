// What is on record of shards' data: how two records become one, and whom they admit.

import Placement
import TestSeeds
import Testing

@Suite struct LineageRecordsTests {
  private let old = DataLineage(high: 1, low: 1)
  private let new = DataLineage(high: 2, low: 2)

  private func record(_ data: LineageRecord.Data, losses: UInt64 = 0) -> LineageRecord {
    LineageRecord(data, acceptedLosses: losses)
  }

  /// Few lineages, shards and losses, so that they meet.
  private func someRecords(_ random: inout SeededRandom) -> LineageRecords {
    var records = LineageRecords()
    for shard in ["a", "b", "c"] {
      let data: LineageRecord.Data =
        switch random.next() % 5 {
        case 0: .none
        case 1: .disputed
        case let number: .known(DataLineage(high: number, low: 0))
        }
      records[shard] = record(data, losses: random.next() % 3)
    }
    return records
  }

  @Test func theOrderInWhichNodesHearOfEachOtherDoesNotMatter() {
    var random = SeededRandom(seed: 7)
    for _ in 0..<2_000 {
      let some = (0..<3).map { _ in someRecords(&random) }
      func merged(_ order: [Int]) -> LineageRecords {
        var all = LineageRecords()
        for number in order { all.merge(some[number]) }
        return all
      }
      let all = merged([0, 1, 2])
      for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        #expect(merged(order) == all)
      }
      var grouped = some[1]
      grouped.merge(some[2])
      var whole = some[0]
      whole.merge(grouped)
      #expect(whole == all)
      #expect(some.allSatisfy { all.contain($0) })
      let isNew = whole.merge(some[1])
      #expect(!isNew, "what is known is nothing new")
    }
  }

  @Test func aShardWithNothingOnRecordIsAdmittedWhateverItHas() {
    #expect(record(.none).admits(nil))
    #expect(record(.none).admits(old))
  }

  @Test func anotherLineageThanIsOnRecordAndNoneAreRefused() {
    #expect(record(.known(old)).admits(old))
    #expect(!record(.known(old)).admits(new))
    #expect(!record(.known(old)).admits(nil))
  }

  @Test func twoLineagesAreADisputeThatAdmitsNeither() {
    let dispute = record(.known(old)).merged(with: record(.known(new)))
    #expect(dispute == record(.disputed))
    for lineage in [old, new, nil] { #expect(!dispute.admits(lineage)) }
  }

  @Test func anAcceptedLossIsNewerThanWhatWasOnRecord() {
    var records = LineageRecords()
    records["a"] = record(.known(old))
    let before = records
    let isAccepted = records.acceptLoss(of: "a", now: new)
    #expect(isAccepted)
    #expect(records["a"] == record(.known(new), losses: 1))
    #expect(records.admits("a", new) && !records.admits("a", old))
    let isNew = records.merge(before)
    #expect(!isNew, "a peer that was away knows nothing newer")
  }

  @Test func aLossEndsADispute() {
    var records = LineageRecords()
    records["a"] = record(.disputed, losses: 4)
    let isAccepted = records.acceptLoss(of: "a", now: old)
    #expect(isAccepted && records.admits("a", old))
  }

  /// It may get a directory later, as any shard that was in memory only.
  @Test func aShardAcceptedInMemoryOnlyMayGetADirectory() {
    var records = LineageRecords()
    records["a"] = record(.known(old))
    let isAccepted = records.acceptLoss(of: "a", now: nil)
    #expect(isAccepted && records.admits("a", nil))
    let isNoted = records.note(new, of: "a")
    #expect(isNoted)
    #expect(records["a"] == record(.known(new), losses: 1))
  }

  @Test func onlyWhereNothingIsOnRecordIsALineageNoted() {
    var records = LineageRecords()
    let ofNone = records.note(nil, of: "a")
    #expect(!ofNone && records.isEmpty)
    let first = records.note(old, of: "a")
    let second = records.note(new, of: "a")
    #expect(first && !second)
    #expect(records.admits("a", old))
  }

  @Test func onlyWhatIsOnRecordOfListedShardsIsKept() {
    var records = LineageRecords()
    records["a"] = record(.known(old))
    records["gone"] = record(.known(new))
    let kept = records.of([ShardDescription(id: "a", address: ""), .init(id: "b", address: "")])
    #expect(kept.sorted.map(\.shard) == ["a"])
  }

  @Test func aPeerThatHasSaidTheGreatestNumberOfLossesOverflowsNothing() {
    var records = LineageRecords()
    records["a"] = record(.known(old), losses: .max)
    let isAccepted = records.acceptLoss(of: "a", now: new)
    #expect(!isAccepted)
    #expect(records["a"] == record(.known(old), losses: .max))
  }
}
