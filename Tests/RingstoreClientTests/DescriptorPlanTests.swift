// How a process shares out its descriptors.

import Testing

@testable import ringstore

@Suite struct DescriptorPlanTests {
  @Test(arguments: [3, 16, 64, 256, 1_024, 20_000, 1_048_576], [0, 2, 12, 4_096])
  func clientsNeverGetAllDescriptors(_ descriptors: Int, _ outgoing: Int) {
    for asked in [nil, 1, 100, 1_000_000] as [Int?] {
      var connections = ConnectionsAsked()
      connections.maxConnections = asked
      let (limits, isLowered) = DescriptorPlan.limits(
        descriptors: descriptors, outgoing: outgoing, connections)
      #expect(limits.maxConnections >= 1)
      #expect(limits.maxConnections + limits.reserved < max(descriptors, 4))
      #expect(isLowered == (limits.maxConnections < asked ?? 0))
      if let asked { #expect(limits.maxConnections <= asked) }
    }
  }

  @Test func whereThereAreEnoughClientsGetWhatTheyWereToHave() {
    var asked = ConnectionsAsked()
    asked.maxConnections = 10_000
    asked.maxConnectionsOfAddress = 7
    let (limits, isLowered) = DescriptorPlan.limits(descriptors: 20_000, outgoing: 6, asked)
    #expect(limits.maxConnections == 10_000 && limits.maxConnectionsOfAddress == 7)
    #expect(limits.reserved == DescriptorPlan.reserved)
    #expect(!isLowered)
    let most = DescriptorPlan.limits(descriptors: 1 << 20, outgoing: 6, ConnectionsAsked()).limits
    #expect(most.maxConnections == DescriptorPlan.maxConnections)
  }
}
