// The order of virtual time.

import ClusterSimulation
import Testing

@Suite struct EventQueueTests {
  @Test func eventsComeByTimeAndAtOneMomentInTheOrderPlanned() {
    final class Log { var entries: [Int] = [] }
    let log = Log()
    var queue = EventQueue()
    for (number, due) in [30, 10, 20, 10, 30, 10, 0].enumerated() {
      queue.add(dueNanos: UInt64(due)) { log.entries.append(number) }
    }
    #expect(queue.nextNanos == 0)
    while let event = queue.popFirst() { event.action() }
    #expect(log.entries == [6, 1, 3, 5, 2, 0, 4])
    #expect(queue.nextNanos == nil)
  }
}
