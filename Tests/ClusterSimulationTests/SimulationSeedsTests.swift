// Which runs the environment asks for, and the order of virtual time.

import ClusterSimulation
import Testing

@Suite struct SimulationSeedsTests {
  @Test func `without variables the default number of runs begins with the first`() throws {
    let seeds = try SimulationSeeds(environment: [:], count: 3)
    #expect(seeds.share(0, of: 1) == [1, 2, 3])
  }

  @Test func `one seed is one run`() throws {
    let seeds = try SimulationSeeds(
      environment: ["RINGSTORE_SIMULATION_SEED": "77", "RINGSTORE_SIMULATION_SEEDS": "9"], count: 3)
    #expect(seeds.share(0, of: 1) == [77])
  }

  @Test func `number and first run can be chosen, and workers share them`() throws {
    let seeds = try SimulationSeeds(
      environment: ["RINGSTORE_SIMULATION_SEEDS": "5", "RINGSTORE_SIMULATION_FIRST": "100"],
      count: 3)
    #expect(seeds.share(0, of: 2) == [100, 102, 104])
    #expect(seeds.share(1, of: 2) == [101, 103])
  }

  @Test func `what is no number is refused`() {
    #expect(throws: SimulationSeeds.Malformed.self) {
      try SimulationSeeds(environment: ["RINGSTORE_SIMULATION_SEED": "many"], count: 3)
    }
  }

  @Test func `events come by time, and at one moment in the order planned`() {
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
