// What a router's latest Hello to a shard carried, and until when the shard must have replied.
// Pure; part of a router's core.

struct LinkHello {
  /// The epoch of its map.
  private(set) var epoch: UInt64 = 0
  /// The round of the agreement in which it was sent; 0: it carried another map than is offered.
  private(set) var round: UInt64 = 0
  private(set) var dueNanos: UInt64 = 0

  /// A lane is connected, and its Hello is sent.
  mutating func sent(epoch: UInt64, round: UInt64, dueNanos: UInt64) {
    self.epoch = epoch
    self.round = round
    self.dueNanos = dueNanos
  }
}
