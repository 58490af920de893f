// How many slots each shard gives and takes when the list of shards changes. Which slots those are
// is decided afterwards (SlotMap+Rebalance.swift).
//
// Owns the counts while a rebalance is worked out. A value; any thread.
//
// Three steps, each only if the change requires it:
//  1. The slots of shards that left go to newcomers up to their share, then to shards whose share
//     grew, the neediest first.
//  2. Newcomers take from shards above their cap, and then, until they have the whole slots of
//     their own share, from the fullest of those above their share. A newcomer never takes more
//     than its cap, and no other shard takes any slots: with hundreds of shards the rounding of
//     small caps may leave a few old shards one slot above theirs, which is better than moving
//     slots between them.
//  3. Where weights changed, shards above their cap give what is above it, to shards whose share
//     grew as long as these have room.
// No shard both gives and takes: givers are above their share, takers below.

struct RebalancePlan {
  /// One shard of the new list.
  struct Member {
    var load: Int
    let cap: Int
    let isNew: Bool
    /// Its fraction of the whole is larger than before (a newcomer's always is).
    let hasGrown: Bool
    var gives = 0
    var takes = 0

    var hasRoom: Bool { load < cap }
    var isOverCap: Bool { load > cap }
  }

  private let shares: WeightedShares
  private(set) var members: [Member]

  init(shares: WeightedShares, members: [Member]) {
    self.shares = shares
    self.members = members
  }

  /// Step 1, for `count` slots whose owner left.
  mutating func placeOrphans(_ count: Int) {
    for _ in 0..<count {
      guard let taker = neediestNewcomerBelowShare() ?? neediestWithRoom() else { return }
      members[taker].load += 1
      members[taker].takes += 1
    }
  }

  /// Step 2.
  mutating func fillNewcomers() {
    while let giver = fullest(where: { !$0.isNew && $0.isOverCap }),
      let taker = neediest(where: { $0.isNew && $0.hasRoom })
    {
      move(from: giver, to: taker)
    }
    while let taker = neediestNewcomerBelowShare(), let giver = fullest(where: { !$0.isNew }),
      shares.excess(of: giver, load: members[giver].load) > 0
    {
      move(from: giver, to: taker)
    }
  }

  /// Step 3.
  mutating func shedToCaps() {
    while let giver = fullest(where: \.isOverCap), let taker = neediestWithRoom() {
      move(from: giver, to: taker)
    }
  }

  private mutating func move(from giver: Int, to taker: Int) {
    members[giver].load -= 1
    members[giver].gives += 1
    members[taker].load += 1
    members[taker].takes += 1
  }

  private func neediestWithRoom() -> Int? {
    neediest(where: { $0.hasGrown && $0.hasRoom }) ?? neediest(where: \.hasRoom)
  }

  private func neediestNewcomerBelowShare() -> Int? {
    var best: (index: Int, excess: Int64)?
    for (index, member) in members.enumerated() where member.isNew {
      guard member.load < shares.wholeShare(of: index) else { continue }
      let excess = shares.excess(of: index, load: member.load)
      if let found = best, found.excess <= excess { continue }
      best = (index, excess)
    }
    return best?.index
  }

  /// The member furthest below its fair share; on a tie the first.
  private func neediest(where isMeant: (Member) -> Bool) -> Int? {
    extreme(where: isMeant, sign: -1)
  }

  /// The member furthest above its fair share; on a tie the first.
  private func fullest(where isMeant: (Member) -> Bool) -> Int? {
    extreme(where: isMeant, sign: 1)
  }

  private func extreme(where isMeant: (Member) -> Bool, sign: Int64) -> Int? {
    var best: (index: Int, excess: Int64)?
    for (index, member) in members.enumerated() where isMeant(member) {
      let excess = sign * shares.excess(of: index, load: member.load)
      if let found = best, found.excess >= excess { continue }
      best = (index, excess)
    }
    return best?.index
  }
}
