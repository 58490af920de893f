// What calls that look at many keys show to a user who may see only some, and what they do to the
// others: nothing.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Testing
import Users

@Suite(.timeLimit(.minutes(15)))
struct ShownKeysTests {
  private static let users =
    AccessCluster.entry(
      "tenant", may: "read write admin", keys: "prefix mine:", databases: "0-1",
      rest: "keys glob *:shared")
    + AccessCluster.entry("base", may: "read admin", databases: "1")
    + AccessCluster.entry("root", may: "read write admin")
    + AccessCluster.entry("the-router", may: "router")
  /// In database 0 and in database 2.
  private static let own = (0..<20).map { "mine:\($0)" } + ["x:shared"]
  private static let others = (0..<40).map { "other:\($0)" } + ["mine", "x:shared2"]

  private static func with(
    _ body: @Sendable (AccessCluster, Client) async throws -> Void
  ) async throws {
    try await AccessCluster.with(users: users) { cluster in
      let root = Client(port: cluster.router.port, as: "root")
      let tenant = Client(port: cluster.router.port, as: "tenant")
      defer {
        root.close()
        tenant.close()
      }
      for database in [0, 2] as [UInt32] {
        for key in own + others {
          let set = Requests.set(key, "value", database: database)
          #expect(await root.unary(V1.KeyStore.set, set) == nil)
        }
      }
      try await body(cluster, tenant)
    }
  }

  private static func keys(_ response: ByteBuffer) -> [String] {
    response.withUnsafeReadableBytes { bytes in
      ((try? V1.KeysResponse(bytes).keys) ?? RepeatedBytes()).map {
        String(decoding: $0, as: UTF8.self)
      }
    }
  }

  private static func dbSize(
    _ client: Client, database: UInt32 = 0, all: Bool = false
  ) async -> Int64? {
    let request = Requests.written {
      V1.DbSizeRequest(database: database, allDatabases: all).write(into: &$0)
    }
    let (response, error) = await client.call(V1.KeyStore.dbSize, request)
    if error != nil { return nil }
    return response.withUnsafeReadableBytes { try? V1.DbSizeResponse($0).keys }
  }

  @Test func keysAndScanShowHisKeysAndNoOthers() async throws {
    try await Self.with { _, tenant in
      let (response, error) = await tenant.call(V1.KeyStore.keys, ByteBuffer())
      #expect(error == nil)
      #expect(Set(Self.keys(response)) == Set(Self.own))
      let pattern = Requests.written { buffer in
        Requests.with("other:*") {
          V1.KeysRequest(pattern: V1.Pattern(kind: .glob($0))).write(into: &buffer)
        }
      }
      #expect(Self.keys(await tenant.call(V1.KeyStore.keys, pattern).response).isEmpty)
      let (pages, failure) = await tenant.stream(V1.KeyStore.scan, ByteBuffer())
      #expect(failure == nil)
      let scanned = pages.flatMap { page in
        page.withUnsafeReadableBytes { bytes in
          ((try? V1.ScanPage(bytes).keys) ?? RepeatedBytes()).map {
            String(decoding: $0, as: UTF8.self)
          }
        }
      }
      #expect(Set(scanned) == Set(Self.own))
    }
  }

  @Test func dbSizeCountsWhatHeMaySeeOfADatabaseAndOfAll() async throws {
    try await Self.with { cluster, tenant in
      let own = Int64(Self.own.count)
      #expect(await Self.dbSize(tenant) == own)
      #expect(await Self.dbSize(tenant, all: true) == own)
      #expect(await Self.dbSize(tenant, database: 1) == 0)
      let base = Client(port: cluster.router.port, as: "base")
      defer { base.close() }
      #expect(await Self.dbSize(base, all: true) == 0)
      let root = Client(port: cluster.router.port, as: "root")
      defer { root.close() }
      #expect(
        await Self.dbSize(root, all: true)
          == 2 * Int64(Self.own.count + Self.others.count))
    }
  }

  @Test func randomKeyDrawsOneOfHisKeysOrNone() async throws {
    try await Self.with { cluster, tenant in
      for _ in 0..<40 {
        let (response, error) = await tenant.call(V1.KeyStore.randomKey, ByteBuffer())
        #expect(error == nil)
        let key = try response.withUnsafeReadableBytes { bytes in
          let reply = try V1.RandomKeyResponse(bytes)
          return reply.found ? String(decoding: reply.key, as: UTF8.self) : nil
        }
        #expect(Self.own.contains(try #require(key)))
      }
      let none = Requests.written { V1.RandomKeyRequest(database: 1).write(into: &$0) }
      let (response, _) = await tenant.call(V1.KeyStore.randomKey, none)
      #expect(try response.withUnsafeReadableBytes { try !V1.RandomKeyResponse($0).found })
      let table = try AccessCluster.table(
        AccessCluster.entry("tenant", may: "read", keys: "prefix nothing")
          + AccessCluster.entry("the-router", may: "router"))
      await cluster.replaceUsers(with: table)
      let (hidden, error) = await tenant.call(V1.KeyStore.randomKey, ByteBuffer())
      #expect(error == nil)
      #expect(try hidden.withUnsafeReadableBytes { try !V1.RandomKeyResponse($0).found })
    }
  }

  @Test func hotKeysAndBigKeysNameHisKeysAndNoOthers() async throws {
    try await Self.with { cluster, tenant in
      let root = Client(port: cluster.router.port, as: "root")
      defer { root.close() }
      // Often enough for the sample.
      let calls = (0..<4_000).map { number in
        (
          method: UInt32(V1.KeyStore.get.method?.rawValue ?? 0),
          request: Requests.key(number % 2 == 0 ? "mine:1" : "other:1")
        )
      }
      _ = try await root.pipeline(calls).get()
      let hot = await tenant.call(V1.Cluster.hotKeys, ByteBuffer()).response
      let named = try hot.withUnsafeReadableBytes { bytes in
        try V1.HotKeysResponse(bytes).keys.map { String(decoding: $0.key, as: UTF8.self) }
      }
      #expect(!named.isEmpty)
      #expect(named.allSatisfy { Self.own.contains($0) }, "\(named)")
      for all in [false, true] {
        let request = Requests.written {
          V1.BigKeysRequest(count: 100, allDatabases: all).write(into: &$0)
        }
        let big = await tenant.call(V1.Cluster.bigKeys, request).response
        let types = try big.withUnsafeReadableBytes { bytes in
          try V1.BigKeysResponse(bytes).types.map { type in
            (type.keys, type.byBytes.map { String(decoding: $0.key, as: UTF8.self) })
          }
        }
        #expect(types.map(\.0) == [Int64(Self.own.count)])
        #expect(Set(types.flatMap(\.1)) == Set(Self.own))
      }
    }
  }

  @Test func itemsOfCallsOnManyKeysAreRefusedOneByOneAndTheOthersAreDone() async throws {
    try await Self.with { _, tenant in
      let request = Requests.written { buffer in
        for key in ["mine:1", "other:1", "mine:none"] {
          Requests.key(key).withUnsafeReadableBytes {
            buffer.append(V1.MGetRequest.Field.keys, $0)
          }
        }
      }
      let (response, error) = await tenant.call(V1.KeyStore.mGet, request)
      #expect(error == nil)
      let outcomes = try response.withUnsafeReadableBytes { bytes in
        try V1.MGetResponse(bytes).items.map { item -> String in
          switch item.outcome {
          case .value(let value): value.found ? "found" : "missing"
          case .error(let error): String(decoding: error.reason, as: UTF8.self)
          case nil: "nothing"
          }
        }
      }
      #expect(outcomes == ["found", "PERMISSION_DENIED", "missing"])
    }
  }

  @Test func aRefusalIsTheSameWhetherThereIsSuchAKeyOrNot() async throws {
    try await Self.with { _, tenant in
      for rpc in [V1.KeyStore.get, V1.KeyStore.exists, V1.KeyStore.type, V1.KeyStore.delete] {
        let there = await tenant.unary(rpc, Requests.key("other:1"))
        let missing = await tenant.unary(rpc, Requests.key("other:none"))
        #expect(there?.reason == .permissionDenied)
        #expect(there == missing)
        #expect(there?.message.contains("other") == false)
      }
    }
  }

  @Test func aCallOnTwoKeysNeedsBoth() async throws {
    try await Self.with { cluster, tenant in
      let move = { (from: String, to: String) in
        Requests.written { buffer in
          Requests.with(from) { from in
            Requests.with(to) { to in
              V1.ListMoveRequest(key: from, destination: to).write(into: &buffer)
            }
          }
        }
      }
      for port in [cluster.router.port, cluster.shards[0].port, cluster.shards[1].port] {
        let client = Client(port: port, as: "tenant")
        defer { client.close() }
        let calls = [
          ("mine:{q}", "other:{q}"), ("other:{q}", "mine:{q}"), ("mine:{q}", "mine:{q}"),
        ]
        let errors = await calls.asyncMap {
          await client.unary(V1.KeyStore.lMove, move($0.0, $0.1))?.reason
        }
        // A shard that doesn't own the slot says so before it looks at the other key.
        #expect(errors[0] == .permissionDenied || errors[0] == .wrongShard)
        #expect(errors[1] == .permissionDenied)
        #expect(errors[2] != .permissionDenied)
      }
      #expect(
        await tenant.unary(V1.KeyStore.lMove, move("mine:{q}", "other:{q}"))?.reason
          == .permissionDenied)
    }
  }

  @Test func resetIsRefusedToWhoMayTouchOnlySomeKeysAndTakesADatabaseOfWhoHasItWhole() async throws
  {
    try await Self.with { cluster, tenant in
      let all = Requests.written { V1.ResetRequest(allDatabases: true).write(into: &$0) }
      let one = Requests.written { V1.ResetRequest(database: 1).write(into: &$0) }
      #expect(await tenant.unary(V1.KeyStore.reset, one)?.reason == .permissionDenied)
      #expect(await tenant.unary(V1.KeyStore.reset, all)?.reason == .permissionDenied)
      let base = Client(port: cluster.router.port, as: "base")
      defer { base.close() }
      #expect(await base.unary(V1.KeyStore.reset, one) == nil)
      #expect(await base.unary(V1.KeyStore.reset, all)?.reason == .permissionDenied)
      #expect(await base.unary(V1.KeyStore.reset, ByteBuffer())?.reason == .permissionDenied)
      #expect(await Self.dbSize(tenant) == Int64(Self.own.count))
    }
  }
}

extension Array {
  fileprivate func asyncMap<Value>(_ transform: (Element) async -> Value) async -> [Value] {
    var values: [Value] = []
    for element in self { values.append(await transform(element)) }
    return values
  }
}
