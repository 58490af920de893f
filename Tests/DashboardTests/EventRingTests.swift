// What is kept of the events of a process.

import Testing

@testable import Dashboard

@Suite struct EventRingTests {
  @Test func theLatestEventsAreKeptNewestFirst() {
    let ring = EventRing()
    let count = EventRing.eventsMax + 3
    for number in 0..<count {
      ring.note(unixMillis: Int64(number), level: "notice", message: "\(number)", fields: [])
    }
    #expect(ring.latest.map(\.message) == (3..<count).reversed().map { "\($0)" })
    #expect(ring.latest.first?.number == UInt64(count - 1))
  }

  @Test func whatAnEventSaysIsBounded() {
    let ring = EventRing()
    let long = String(repeating: "\u{e9}", count: 5_000)
    ring.note(
      unixMillis: 1, level: "error", message: long,
      fields: (0..<50).map { EventRing.Field("\($0)", long) })
    let bound = EventRing.textBytesMax + 8
    #expect(ring.latest[0].message.utf8.count <= bound)
    #expect(ring.latest[0].fields.count == EventRing.fieldsMax)
    #expect(ring.latest[0].fields.allSatisfy { $0.value.utf8.count <= bound })
  }
}
