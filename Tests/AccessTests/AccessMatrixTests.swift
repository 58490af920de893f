// The ACL matrix: every command of the table, by every entrance, for every permission, on keys and
// databases that are the caller's and that aren't. It is made from the command table, so that a new
// command is in it, or fails it.

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
struct AccessMatrixTests {
  /// What a call is about, and whether that is the restricted users' own.
  static let targets: [(key: String, database: UInt32, isOwnKey: Bool, isOwnBase: Bool)] = [
    ("mine:1", 1, true, true), ("other:1", 1, false, true), ("mine:1", 2, true, false),
  ]

  /// Whether a user of `AccessCluster` may make a call, as the documentation has it.
  static func mayCall(
    _ command: Command, as user: String, ownKey: Bool, ownBase: Bool
  ) -> Bool {
    let isRestricted = user.hasPrefix("restricted-")
    let may = user.split(separator: "-").last ?? ""
    // Every caller may open a Pipeline; each of its calls needs its own permission.
    if command.id == .pipeline { return true }
    guard may == command.access.rawValue else { return false }
    guard isRestricted else { return true }
    switch command.reach {
    case .namedKeys: return ownKey && ownBase
    case .allowedKeys: return ownBase || !Requests.namesDatabase(command)
    case .wholeDatabases, .everything: return false
    case .node: return true
    }
  }

  /// The refusal of a call, if it is one; of many keys that of the item.
  private static func refusal(
    _ command: Command, _ request: ByteBuffer, by client: Client
  ) async -> CallError? {
    if command.isStreaming {
      return await client.stream(command.rpc, request, max: 1).error
    }
    let (response, error) = await client.call(command.rpc, request)
    if error != nil || command.routing != .manyKeys { return error }
    return firstItemError(response)
  }

  /// The items of all replies to calls on many keys have their errors in the same place.
  private static func firstItemError(_ response: ByteBuffer) -> CallError? {
    response.withUnsafeReadableBytes { bytes -> CallError? in
      guard let items = try? V1.ManyStatusesResponse(bytes).items else { return nil }
      for item in items { if case .error(let error) = item.outcome { return CallError(error) } }
      return nil
    }
  }

  private static func check(port: Int) async throws {
    for user in AccessCluster.names {
      let client = Client(port: port, as: user)
      defer { client.close() }
      for command in CommandTable.all {
        for target in targets {
          let request = try #require(
            Requests.of(command, key: target.key, database: target.database),
            "\(command.name) has no request here: add it to Requests.of")
          let expected = mayCall(
            command, as: user, ownKey: target.isOwnKey, ownBase: target.isOwnBase)
          let error = await refusal(command, request, by: client)
          let wasRefused = error?.reason == .permissionDenied
          #expect(
            wasRefused == !expected,
            "\(user): \(command.name) of \(target.key) in \(target.database): \(error as Any)")
          #expect(error?.reason != .unauthenticated)
        }
      }
    }
  }

  @Test func overGRPCThroughARouter() async throws {
    try await AccessCluster.with { try await Self.check(port: $0.router.port) }
  }

  @Test func overGRPCOnAShardItself() async throws {
    try await AccessCluster.with { try await Self.check(port: $0.shards[0].port) }
  }

  @Test func withoutCredentialsAndWithWrongOnesNoEntranceServesACall() async throws {
    try await AccessCluster.with { cluster in
      for port in [cluster.router.port, cluster.shards[0].port] {
        for token in [nil, "root.rst_guess", "unknown.rst_guess", "root"] as [String?] {
          let client = Client(port: port, token: token)
          defer { client.close() }
          for command in CommandTable.all {
            let request = try #require(Requests.of(command, key: "mine:1", database: 0))
            let error = await Self.refusal(command, request, by: client)
            #expect(error?.code == .unauthenticated, "\(command.name): \(error as Any)")
            #expect(error?.reason == .unauthenticated)
          }
          for method in LegacyMethod.allCases {
            let error = await client.unary(method.rpc, ByteBuffer())
            #expect(error?.reason == .unauthenticated, "\(method)")
          }
          for method in StandardMethod.allCases {
            let error = await client.first(path: method.path)
            #expect((error?.reason == .unauthenticated) == !method.isOpenToAll, "\(method)")
          }
        }
      }
    }
  }

  @Test func ofTheStandardServicesThoseThatAreNotOpenToAllAreForAdministrators() async throws {
    try await AccessCluster.with { cluster in
      for user in ["nothing", "read", "write", "admin"] {
        let client = Client(port: cluster.router.port, as: user)
        defer { client.close() }
        for method in StandardMethod.allCases where !method.isOpenToAll {
          let error = await client.first(path: method.path)
          #expect((error?.reason == .permissionDenied) == (user != "admin"), "\(user) \(method)")
        }
      }
    }
  }

  @Test(arguments: [true, false])
  func inAPipelineEachCallIsAuthorized(throughRouter: Bool) async throws {
    try await AccessCluster.with { cluster in
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      let commands = CommandTable.all.filter { $0.method != nil }
      #expect(commands.count > 30)
      for user in AccessCluster.names {
        let client = Client(port: port, as: user)
        defer { client.close() }
        for target in Self.targets {
          var calls: [(method: UInt32, request: ByteBuffer)] = []
          for command in commands {
            let request = try #require(
              Requests.of(command, key: target.key, database: target.database))
            calls.append((command.method ?? 0, request))
          }
          let errors = try await client.pipeline(calls).get()
          for (command, error) in zip(commands, errors) {
            let expected = Self.mayCall(
              command, as: user, ownKey: target.isOwnKey, ownBase: target.isOwnBase)
            #expect(
              (error?.reason == .permissionDenied) == !expected,
              "\(user): \(command.name) of \(target.key) in \(target.database): \(error as Any)")
          }
        }
      }
    }
  }

  @Test(arguments: [true, false])
  func theLegacyServicesPassTheSameAuthorizer(throughRouter: Bool) async throws {
    let writes: Set<LegacyMethod> = [.setVal, .set, .delete, .lPush]
    let nested: Set<LegacyMethod> = [.set, .lPush, .lRange]
    try await AccessCluster.with { cluster in
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      for user in AccessCluster.names {
        let client = Client(port: port, as: user)
        defer { client.close() }
        for method in LegacyMethod.allCases {
          for (key, isOwn) in [("mine:1", true), ("other:1", false)] {
            // The name of the key is the first field of all their requests, in a message or not.
            let name = Requests.written { buffer in
              Requests.with(key) { buffer.append(BytesField(1), $0) }
            }
            let request = Requests.written { buffer in
              name.withUnsafeReadableBytes { buffer.append(BytesField(1), $0) }
            }
            let error = await client.unary(
              method.rpc, nested.contains(method) ? request : name)
            let needs = writes.contains(method) ? "write" : "read"
            // LPop needs both.
            let expected =
              method != .lPop && user.hasSuffix(needs)
              && (isOwn || !user.hasPrefix("restricted-"))
            #expect(
              (error?.reason == .permissionDenied) == !expected,
              "\(user): \(method) of \(key): \(error as Any)")
          }
        }
      }
    }
  }
}
