// What a router's Hellos over a link carried, and until when the shard must have replied. There is
// one on each lane. Pure; part of a router's core.
//
// The map may change between the two. Then the replies count as replies to the older Hello: which
// of them a refusal refuses isn't known, and one that refuses a map that isn't offered any more
// says nothing about the one that is.

struct LinkHello {
  /// The epoch of its map.
  private(set) var epoch: UInt64 = 0
  /// The round of the agreement in which it was sent; 0: it carried another map than is offered.
  private(set) var round: UInt64 = 0
  /// For the reply to the later one.
  private(set) var dueNanos: UInt64 = 0
  private var isSent = false

  /// A lane is connected, and its Hello is sent.
  mutating func sent(epoch: UInt64, round: UInt64, dueNanos: UInt64) {
    self.epoch = isSent ? min(self.epoch, epoch) : epoch
    self.round = isSent ? min(self.round, round) : round
    self.dueNanos = dueNanos
    isSent = true
  }
}
