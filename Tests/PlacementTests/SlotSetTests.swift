// Sets of slots.

import Testing

@testable import Placement

@Suite struct SlotSetTests {
  @Test func aSetHasWhatWasInsertedAndNothingElse() {
    var set = SlotSet.none
    let members: Set<Int> = [0, 63, 64, 8_191, Slots.count - 1]
    for slot in members { set.insert(slot) }
    for slot in 0..<Slots.count { #expect(set.contains(slot) == members.contains(slot)) }
    #expect((0..<Slots.count).allSatisfy(SlotSet.all.contains))
  }

  @Test func whatWasTakenOutIsGone() {
    var set = SlotSet.none
    #expect(set.isEmpty)
    for slot in [5, 64, 900] { set.insert(slot) }
    set.remove(64)
    set.remove(65)
    #expect(set.count == 2 && !set.contains(64) && set.contains(5) && set.contains(900))
  }
}

@Suite struct SlotStatesTests {
  @Test func aStateReplacesTheOneBefore() {
    var states = SlotStates.none
    for state in [SlotState.arriving, .owned, .leaving, .elsewhere, .owned, .arriving] {
      states[77] = state
      #expect(states[77] == state && states[78] == .elsewhere)
      #expect(states.owned.contains(77) == (state == .owned))
    }
  }

  @Test func slotsGoThroughTheirStates() {
    var states = SlotStates.none
    states.adopt { $0 < 10 }
    #expect(states[9] == .arriving && states.owned.isEmpty)
    states.comeIntoForce()
    #expect((0..<Slots.count).allSatisfy { states[$0] == ($0 < 10 ? .owned : .elsewhere) })
    states.adopt { $0 >= 5 && $0 < 15 }
    #expect([0, 5, 12, 20].map { states[$0] } == [.leaving, .owned, .arriving, .elsewhere])
    states.comeIntoForce()
    #expect([0, 5, 12, 20].map { states[$0] } == [.elsewhere, .owned, .owned, .elsewhere])
  }
}
