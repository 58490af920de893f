// Calls whose messages are in gzip: a call that its caller may not make is refused before its
// message is inflated.

import Commands
import GRPC
import LegacyServices
import NIOCore
import NodeCore
import RingstoreAPI
import StandardServices
import Testing
import Users

@Suite(.timeLimit(.minutes(15)))
struct CompressedAccessTests {
  /// Whether the message was inflated, as far as the limits allow: the status says so.
  private static func wasInflated(_ error: CallError?) -> Bool {
    error?.code == .resourceExhausted && error?.reason == nil
      && error?.message.contains("inflates") == true
  }

  private static func entry(_ name: String, rate: Int) -> String {
    AccessCluster.standardUsers + AccessCluster.entry(name, may: "read", rest: "rate \(rate)")
  }

  @Test(arguments: [true, false])
  func commandsAreInflatedOnlyForCallersWhoMayCallThem(throughRouter: Bool) async throws {
    try await AccessCluster.with { cluster in
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      for user in ["nothing", "read", "write", "admin", "restricted-admin", nil] as [String?] {
        let client = Client(port: port, as: user)
        defer { client.close() }
        for command in CommandTable.all {
          let error = await client.bomb(path: command.rpc.path)
          guard let user else {
            #expect(error?.reason == .unauthenticated, "\(command.name): \(error as Any)")
            continue
          }
          if AccessMatrixTests.mayCall(command, as: user, ownKey: true, ownBase: true) {
            #expect(Self.wasInflated(error), "\(user): \(command.name): \(error as Any)")
          } else {
            #expect(
              error?.reason == .permissionDenied, "\(user): \(command.name): \(error as Any)")
          }
        }
      }
    }
  }

  @Test(arguments: [true, false])
  func callsOfTheOtherServicesAreInflatedOnlyForCallersWhoMayMakeThem(
    throughRouter: Bool
  ) async throws {
    try await AccessCluster.with { cluster in
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      for user in ["nothing", "read", "write", "admin"] {
        let client = Client(port: port, as: user)
        defer { client.close() }
        let calls =
          StandardMethod.allCases.map { ($0.path, $0.isOpenToAll || user == "admin") }
          + LegacyMethod.allCases.map { ($0.path, $0.needs == [user == "read" ? .read : .write]) }
        for (path, may) in calls {
          let error = await client.bomb(path: path)
          // The two that may do nothing with keys may make no call of the legacy services.
          let isAllowed = may && (path.hasPrefix("/grpc.") || ["read", "write"].contains(user))
          #expect(
            isAllowed ? Self.wasInflated(error) : error?.reason == .permissionDenied,
            "\(user): \(path): \(error as Any)")
        }
      }
    }
  }

  /// A message that can't be inflated costs as much as a call, and counts as one.
  @Test func theRateOfAUserLimitsWhatIsInflated() async throws {
    try await AccessCluster.with(users: Self.entry("slow", rate: 1)) { cluster in
      let client = Client(port: cluster.router.port, as: "slow")
      defer { client.close() }
      var refused = 0
      for _ in 0..<20 {
        let error = await client.bomb(path: V1.KeyStore.get.path)
        if error?.reason == .rateLimited { refused += 1 } else { #expect(Self.wasInflated(error)) }
      }
      #expect(refused > 0)
    }
  }

  @Test func aCompressedCallCountsOnce() async throws {
    try await AccessCluster.with(users: Self.entry("slow", rate: 1)) { cluster in
      let client = Client(port: cluster.router.port, as: "slow")
      defer { client.close() }
      // If it counted twice it would exceed the rate itself.
      let key = Requests.key(String(repeating: "k", count: 500))
      #expect(await client.compressed(V1.KeyStore.get, key) == nil)
    }
  }

  @Test func callsRefusedBeforeTheirMessagesAreInflatedAreAuditedAndCounted() async throws {
    try await AccessCluster.with(notesWrites: true) { cluster in
      let client = Client(port: cluster.router.port, as: "read")
      defer { client.close() }
      for rpc in [V1.KeyStore.reset, V1.KeyStore.set, V1.Cluster.backup] {
        #expect(await client.bomb(path: rpc.path)?.reason == .permissionDenied)
      }
      #expect(cluster.audited.all.map(\.call) == ["Reset", "Set", "Backup"])
      #expect(cluster.audited.all.allSatisfy { $0.outcome == .permissionDenied })
      #expect(cluster.audited.all.allSatisfy { $0.user == "read" && $0.key == nil })
      #expect(cluster.users.ledger.count(of: .permission) == 3)
    }
  }
}
