// How a process shares out its descriptors.

import Testing

@testable import ringstore

@Suite struct DescriptorPlanTests {
  @Test(arguments: [3, 16, 64, 256, 1_024, 20_000, 1_048_576], [0, 2, 12, 4_096])
  func clientsNeverGetAllDescriptors(_ descriptors: Int, _ outgoing: Int) {
    for asked in [nil, 1, 100, 1_000_000] as [Int?] {
      var connections = ConnectionsAsked()
      connections.maxConnections = asked
      connections.ofAdmin = 32
      let shares = DescriptorPlan.shares(
        descriptors: descriptors, outgoing: outgoing, connections)
      let clients = shares.clients.maxConnections
      let all = DescriptorPlan.own + clients + shares.clients.reserved + shares.admin
      #expect(clients >= 1 && shares.admin >= 1)
      #expect(all <= max(descriptors, DescriptorPlan.own + 3), "the process has its own")
      #expect(shares.isLowered == (clients < asked ?? 0))
      if let asked { #expect(clients <= asked) }
    }
  }

  @Test func whereThereAreEnoughClientsGetWhatTheyWereToHave() {
    var asked = ConnectionsAsked()
    asked.maxConnections = 10_000
    asked.maxConnectionsOfAddress = 7
    asked.ofAdmin = 32
    let shares = DescriptorPlan.shares(descriptors: 20_000, outgoing: 6, asked)
    #expect(shares.clients.maxConnections == 10_000 && shares.clients.maxConnectionsOfAddress == 7)
    #expect(shares.clients.reserved == DescriptorPlan.reserved && shares.admin == 32)
    #expect(!shares.isLowered)
    let most = DescriptorPlan.shares(descriptors: 1 << 20, outgoing: 6, ConnectionsAsked()).clients
    #expect(most.maxConnections == DescriptorPlan.maxConnections)
  }
}
