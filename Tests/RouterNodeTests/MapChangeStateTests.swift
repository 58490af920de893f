// A change of the list of shards, as the value that says how far it has come.

import Placement
import Testing

@testable import RouterNode

@Suite struct MapChangeStateTests {
  private let before: SlotMap
  private let first: SlotMap
  private let second: SlotMap

  init() throws {
    let shards = ["a", "b"].map { ShardDescription(id: $0, address: "h:1", weight: 1) }
    before = try SlotMap.initial(shards)
    let newcomer = ShardDescription(id: "c", address: "h:3", weight: 1)
    first = try before.rebalanced(to: shards + [newcomer])
    second = try first.rebalanced(to: [shards[1], newcomer])
  }

  private func change() -> MapChange {
    MapChange(
      to: second.shards, by: [first, second], MapChangeReport(epoch: second.epoch), isPlan: false,
      dueNanos: 1, end: { _ in })
  }

  @Test func allQueriedShardsHaveToAgree() {
    var change = change()
    change.ask(["a", "b"])
    #expect(change.asks(about: first.epoch) && !change.asks(about: second.epoch))
    #expect(change.awaits("a") == .reply && change.awaits("c") == nil)
    change.agreed("a")
    change.agreed("c")
    #expect(!change.isChecked && change.awaits("a") == nil)
    change.agreed("b")
    #expect(change.isChecked)
  }

  @Test func noShardIsQueriedIfNoneLosesSlots() {
    var change = change()
    change.ask([])
    #expect(change.isChecked)
  }

  @Test func newShardsAreReachedBeforeTheMapIsOffered() {
    var change = change()
    change.ask([])
    #expect(change.dialedMap == nil)
    change.dial(["c"])
    #expect(change.dialedMap?.epoch == first.epoch && change.awaits("c") == .link)
    #expect(!change.isChecked && !change.asks(about: first.epoch), "the replies came before")
    #expect(!change.hasReachedAll && !change.isAdopting)
    change.reached("a")
    #expect(!change.hasReachedAll)
    change.reached("c")
    #expect(change.hasReachedAll)
    #expect(change.adopt()?.epoch == first.epoch)
    #expect(change.isAdopting && change.dialedMap == nil && change.awaits("c") == nil)
  }

  @Test func eachStepIsProposedWhenTheOneBeforeItIsInForce() {
    var change = change()
    guard case .nothing = change.cameIntoForce(first) else {
      Issue.record("no shard has got the map yet")
      return
    }
    _ = change.adopt()
    guard case .propose(let next) = change.cameIntoForce(first) else {
      Issue.record("the second step is missing")
      return
    }
    #expect(next.epoch == second.epoch)
    guard case .complete = change.cameIntoForce(second) else {
      Issue.record("there is no third step")
      return
    }
    #expect(change.next == nil)
  }

  @Test func aMapOfAnotherRouterOvertakesTheChange() throws {
    var change = change()
    _ = change.adopt()
    let other = try before.rebalanced(
      to: before.shards + [ShardDescription(id: "z", address: "h:9", weight: 1)])
    #expect(other.epoch == first.epoch)
    guard case .overtaken = change.cameIntoForce(other) else {
      Issue.record("another map of the same epoch is another map")
      return
    }
  }

  @Test func aRefusalCountsOnlyOfTheMapThatIsBeingAdopted() {
    var change = change()
    change.refused("too early", epoch: first.epoch)
    #expect(change.refusal == nil)
    _ = change.adopt()
    change.refused("of another map", epoch: second.epoch)
    #expect(change.refusal == nil)
    change.refused("it holds keys", epoch: first.epoch)
    #expect(change.refusal == "it holds keys")
  }
}
