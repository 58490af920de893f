// Credentials that come and go while connections are open, bounds on what a user may use, and links.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Synchronization
import Testing
import Users

@Suite(.timeLimit(.minutes(15)))
struct CredentialLifeTests {
  private static let router = AccessCluster.entry("the-router", may: "router")

  @Test func aTokenThatIsTakenAwayLetsNothingMoreThroughAnOpenConnection() async throws {
    try await AccessCluster.with { cluster in
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      #expect(await client.unary(V1.KeyStore.get, Requests.key("k")) == nil)
      let table = try AccessCluster.table(AccessCluster.entry("read", may: "read") + Self.router)
      await cluster.replaceUsers(with: table)
      #expect(
        await client.unary(V1.KeyStore.get, Requests.key("k"))?.reason == .unauthenticated)
      #expect(await client.unary(V1.KeyStore.dbSize, ByteBuffer())?.reason == .unauthenticated)
    }
  }

  @Test(arguments: [true, false])
  func aPipelineThatIsOpenEndsWithItsToken(throughRouter: Bool) async throws {
    try await AccessCluster.with { cluster in
      let client = Client(
        port: throughRouter ? cluster.router.port : cluster.shards[0].port, as: "root")
      defer { client.close() }
      let stream = client.open(V1.KeyStore.pipeline)
      func sendGet(_ id: UInt64) async throws {
        try await stream.send { batch in
          Requests.key("k").withUnsafeReadableBytes {
            batch.writeCall(
              .pipeline, id: id, method: UInt32(V1.KeyStore.get.method?.rawValue ?? 0), request: $0)
          }
        }
      }
      var messages = stream.messages.makeAsyncIterator()
      try await sendGet(1)
      #expect(try await messages.next() != nil)
      // Fewer rights are in force with the next batch, without an end.
      await cluster.replaceUsers(
        with: try AccessCluster.table(AccessCluster.entry("root", may: "write") + Self.router))
      try await sendGet(2)
      let denied = try #require(try await messages.next())
      let code = try denied.withUnsafeReadableBytes { bytes in
        try V1.ReplyBatch(bytes).replies.map(\.code)
      }
      #expect(code == [StatusCode.permissionDenied.rawValue])
      await cluster.replaceUsers(with: try AccessCluster.table(Self.router))
      try await sendGet(3)
      do throws(RPCStatus) {
        _ = try await messages.next()
        Issue.record("the Pipeline continues")
      } catch {
        #expect(error.code == .unauthenticated)
      }
    }
  }

  /// A key of the first shard, for calls that ask it directly.
  private static func keyOfFirstShard(_ client: Client) async throws -> String {
    for number in 0..<1_000 {
      let key = "mine:\(number)"
      if await client.unary(V1.KeyStore.exists, Requests.key(key)) == nil { return key }
    }
    throw CancellationError()
  }

  private static func pop(_ key: String) -> ByteBuffer {
    Requests.written { buffer in
      Requests.with(key) { V1.PopRequest(key: $0, waitMillis: 600_000).write(into: &buffer) }
    }
  }

  private static func waitUntil(
    parked count: Int64, _ client: Client, _ prefix: String
  ) async throws {
    while true {
      let (response, error) = await client.call(V1.Cluster.stats, ByteBuffer())
      if let error { throw error }
      let parked = try response.withUnsafeReadableBytes { bytes in
        try V1.StatsResponse(bytes).counters.first {
          String(decoding: $0.key, as: UTF8.self) == "\(prefix)parked_calls"
        }?.value
      }
      if parked == count { return }
      try await Task.sleep(for: .milliseconds(2))
    }
  }

  @Test(arguments: [true, false])
  func aPopThatWaitsEndsWhenItsUserMayNotMakeItAnyMore(throughRouter: Bool) async throws {
    func users(_ worker: String) throws -> UserTable {
      try AccessCluster.table(
        worker + AccessCluster.entry("root", may: "read write admin") + Self.router)
    }
    let first = AccessCluster.entry("worker", may: "write", rest: "rate 1000")
    let slower = AccessCluster.entry("worker", may: "write", rest: "rate 10")
    let other = AccessCluster.entry("worker", may: "write", keys: "prefix theirs:")
    try await AccessCluster.with { cluster in
      await cluster.replaceUsers(with: try users(first))
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      let prefix = throughRouter ? NodeCounters.routerPrefix : NodeCounters.shardPrefix
      let (root, worker) = (Client(port: port, as: "root"), Client(port: port, as: "worker"))
      defer {
        root.close()
        worker.close()
      }
      let key = try await Self.keyOfFirstShard(root)
      for (change, reason) in [(other, ErrorReason.permissionDenied), ("", .unauthenticated)] {
        await cluster.replaceUsers(with: try users(first))
        async let waiting = worker.unary(V1.KeyStore.lPop, Self.pop(key))
        try await Self.waitUntil(parked: 1, root, prefix)
        // It continues if the user has the same rights as before.
        await cluster.replaceUsers(with: try users(slower))
        try await Self.waitUntil(parked: 1, root, prefix)
        await cluster.replaceUsers(with: try users(change))
        #expect(await waiting?.reason == reason)
        try await Self.waitUntil(parked: 0, root, prefix)
      }
    }
  }

  @Test(arguments: [true, false])
  func aListStreamEndsWhenItsUserMayNotReadItAnyMore(throughRouter: Bool) async throws {
    func users(_ reader: String) throws -> UserTable {
      try AccessCluster.table(
        reader + AccessCluster.entry("root", may: "read write") + Self.router)
    }
    let first = AccessCluster.entry("reader", may: "read", rest: "rate 1000")
    let slower = AccessCluster.entry("reader", may: "read", rest: "rate 10")
    let other = AccessCluster.entry("reader", may: "read", keys: "prefix theirs:")
    try await AccessCluster.with { cluster in
      await cluster.replaceUsers(with: try users(first))
      let port = throughRouter ? cluster.router.port : cluster.shards[0].port
      let (root, reader) = (Client(port: port, as: "root"), Client(port: port, as: "reader"))
      defer {
        root.close()
        reader.close()
      }
      let key = try await Self.keyOfFirstShard(root)
      // More than fits into all buffers between the list and a client that doesn't read.
      for _ in 0..<16 { try await Self.push(key, values: 8, bytes: 256 << 10, root) }
      for (change, reason) in [(other, ErrorReason.permissionDenied), ("", .unauthenticated)] {
        await cluster.replaceUsers(with: try users(first))
        let stream = reader.open(V1.KeyStore.lRangeStream)
        try await stream.send { $0.writeImmutableBuffer(Self.wholeList(key)) }
        stream.halfClose()
        var messages = stream.messages.makeAsyncIterator()
        #expect(try await messages.next() != nil)
        // It continues if the user has the same rights as before.
        await cluster.replaceUsers(with: try users(slower))
        #expect(try await messages.next() != nil)
        await cluster.replaceUsers(with: try users(change))
        do throws(RPCStatus) {
          while try await messages.next() != nil {}
          Issue.record("the whole list came")
        } catch {
          #expect(CallError(error).reason == reason)
        }
      }
    }
  }

  private static func wholeList(_ key: String) -> ByteBuffer {
    Requests.written { buffer in
      Requests.with(key) { V1.ListRange(key: $0, start: 0, stop: -1).write(into: &buffer) }
    }
  }

  private static func push(
    _ key: String, values: Int, bytes: Int, _ client: Client
  ) async throws {
    let value = [UInt8](repeating: 7, count: bytes)
    let request = Requests.written { buffer in
      Requests.with(key) { buffer.append(V1.ListInsert.Field.key, $0) }
      value.withUnsafeBytes { value in
        for _ in 0..<values { buffer.append(V1.ListInsert.Field.values, value) }
      }
    }
    if let error = await client.unary(V1.KeyStore.rPush, request) { throw error }
  }

  @Test func usersChangeWhileCallsRunAndEachCallIsJudgedByTheOldOnesOrTheNewOnes() async throws {
    try await AccessCluster.with(threads: 2) { cluster in
      let tables = [
        try AccessCluster.table(AccessCluster.entry("root", may: "read write") + Self.router),
        try AccessCluster.table(AccessCluster.entry("root", may: "write") + Self.router),
      ]
      let outcomes = await withTaskGroup(of: [ErrorReason?].self) { group in
        for _ in 0..<4 {
          group.addTask {
            let client = Client(port: cluster.router.port, as: "root")
            defer { client.close() }
            var reasons: [ErrorReason?] = []
            for _ in 0..<200 {
              reasons.append(await client.unary(V1.KeyStore.get, Requests.key("k"))?.reason)
            }
            return reasons
          }
        }
        for number in 0..<200 {
          cluster.users.replace(with: tables[number % 2])
          await Task.yield()
        }
        return await group.reduce(into: []) { $0 += $1 }
      }
      #expect(outcomes.count == 800)
      #expect(outcomes.allSatisfy { $0 == nil || $0 == .permissionDenied })
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      await cluster.replaceUsers(with: tables[1])
      #expect(
        await client.unary(V1.KeyStore.get, Requests.key("k"))?.reason == .permissionDenied)
      await cluster.replaceUsers(with: tables[0])
      #expect(await client.unary(V1.KeyStore.get, Requests.key("k")) == nil)
    }
  }

  @Test func twoCredentialsOfOneCallOrAnotherSchemeAreNone() async throws {
    try await AccessCluster.with { cluster in
      let client = Client(port: cluster.router.port, token: nil)
      defer { client.close() }
      let good = "Bearer \(AccessCluster.token("root"))"
      for values in [["Basic abc"], [good, good], [good, "Bearer x"], [""]] {
        var metadata = Metadata()
        for value in values { metadata.add("authorization", value) }
        let error = await client.call(V1.KeyStore.get, Requests.key("k"), metadata: metadata).error
        #expect(error?.reason == .unauthenticated, "\(values)")
      }
      var metadata = Metadata()
      metadata.add("authorization", good)
      #expect(
        await client.call(V1.KeyStore.get, Requests.key("k"), metadata: metadata).error == nil)
    }
  }

  @Test func callsWithoutCredentialsAreAnonymoussWhereTheFileHasThatUser() async throws {
    let text =
      """
      user anonymous
        may read
        keys prefix public:
        databases 0

      """ + Self.router + AccessCluster.entry("root", may: "read write admin")
    try await AccessCluster.with(users: text) { cluster in
      let client = Client(port: cluster.router.port, token: nil)
      defer { client.close() }
      #expect(await client.unary(V1.KeyStore.get, Requests.key("public:1")) == nil)
      #expect(
        await client.unary(V1.KeyStore.get, Requests.key("x"))?.reason == .permissionDenied)
      let set = Requests.set("public:1", "v")
      #expect(await client.unary(V1.KeyStore.set, set)?.reason == .permissionDenied)
    }
  }

  // MARK: - Bounds

  @Test func aUserMakesNoMoreCallsASecondThanHeMayHoweverTheyCome() async throws {
    let text =
      AccessCluster.entry("slow", may: "read", rest: "rate 5") + Self.router
      + AccessCluster.entry("root", may: "read write admin")
    try await AccessCluster.with(users: text) { cluster in
      let client = Client(port: cluster.router.port, as: "slow")
      defer { client.close() }
      let get = (
        method: UInt32(V1.KeyStore.get.method?.rawValue ?? 0), request: Requests.key("k")
      )
      let errors = try await client.pipeline(Array(repeating: get, count: 200)).get()
      #expect(errors.prefix(5).allSatisfy { $0 == nil })
      let refused = errors.compactMap { $0 }
      #expect(refused.count >= 190)
      #expect(refused.allSatisfy { $0.reason == .rateLimited && $0.code == .resourceExhausted })
      #expect(refused.allSatisfy { $0.retryDelayMillis ?? 0 > 0 })
      // One bound for all entrances.
      let reasons = await withTaskGroup(of: ErrorReason?.self) { calls in
        for _ in 0..<200 {
          calls.addTask { await client.unary(V1.KeyStore.get, Requests.key("k"))?.reason }
        }
        return await calls.reduce(into: []) { $0.append($1) }
      }
      #expect(reasons.contains(.rateLimited))
      let root = Client(port: cluster.router.port, as: "root")
      defer { root.close() }
      #expect(await root.unary(V1.KeyStore.get, Requests.key("k")) == nil)
      #expect(cluster.users.ledger.count(of: .rate) > 190)
    }
  }

  @Test func aUserHasNoMoreConnectionsThanHeMayAndGetsAPlaceWhenOneEnds() async throws {
    let text =
      AccessCluster.entry("few", may: "read", rest: "connections 2") + Self.router
      + AccessCluster.entry("root", may: "read write admin")
    try await AccessCluster.with(users: text) { cluster in
      let clients = (0..<2).map { _ in Client(port: cluster.router.port, as: "few") }
      for client in clients {
        #expect(await client.unary(V1.KeyStore.get, Requests.key("k")) == nil)
      }
      let third = Client(port: cluster.router.port, as: "few")
      defer { third.close() }
      #expect(
        await third.unary(V1.KeyStore.get, Requests.key("k"))?.reason == .tooManyConnections)
      clients[0].close()
      while await third.unary(V1.KeyStore.get, Requests.key("k")) != nil {
        try await Task.sleep(for: .milliseconds(5))
      }
      clients[1].close()
    }
  }

  // MARK: - Links

  @Test(arguments: [nil, "root"] as [String?])
  func aShardServesLinksToRoutersOnly(user: String?) async throws {
    try await AccessCluster.with(routerToken: user.map { AccessCluster.token($0) }) { cluster in
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      let error = await client.unary(V1.KeyStore.get, Requests.key("k"))
      #expect(error?.code == .unavailable)
      let direct = Client(port: cluster.shards[0].port, token: user.map { AccessCluster.token($0) })
      defer { direct.close() }
      let (_, refusal) = await direct.stream(LinkV1.Link.exchange, ByteBuffer())
      #expect(refusal?.reason == (user == nil ? .unauthenticated : .permissionDenied))
      #expect(cluster.users.ledger.count(of: user == nil ? .credentials : .permission) > 0)
    }
  }

  /// A silent router would still get news of maps.
  @Test func aSilentLinkEndsWhenItsRouterIsOneNoMore() async throws {
    try await AccessCluster.with { cluster in
      let peer = Client(port: cluster.shards[0].port, as: "the-router")
      defer { peer.close() }
      let link = peer.open(LinkV1.Link.exchange)
      try await link.send { _ in }
      // One connection: the link is open when this has its reply.
      #expect(
        await peer.unary(V1.KeyStore.get, Requests.key("k"))?.reason == .permissionDenied)
      await cluster.replaceUsers(
        with: try AccessCluster.table(AccessCluster.entry("the-router", may: "read")))
      do throws(RPCStatus) {
        var frames = link.messages.makeAsyncIterator()
        while try await frames.next() != nil {}
        Issue.record("the link ended well")
      } catch {
        #expect(CallError(error).reason == .permissionDenied)
      }
    }
  }

  @Test func aLinkEndsWhenItsRouterIsOneNoMoreAndComesBackWhenItIsAgain() async throws {
    try await AccessCluster.with { cluster in
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      let users = cluster.users.table
      cluster.users.replace(
        with: try AccessCluster.table(
          AccessCluster.entry("root", may: "read") + AccessCluster.entry("the-router", may: "read"))
      )
      while await client.unary(V1.KeyStore.get, Requests.key("k"))?.code != .unavailable {
        try await Task.sleep(for: .milliseconds(5))
      }
      cluster.users.replace(with: users)
      while await client.unary(V1.KeyStore.get, Requests.key("k")) != nil {
        try await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  // MARK: - The audit log

  @Test func everyCallOfAdministrationIsAuditedAndSoIsItsOutcome() async throws {
    try await AccessCluster.with { cluster in
      for user in ["root", "read"] {
        let client = Client(port: cluster.router.port, as: user)
        defer { client.close() }
        _ = await client.unary(V1.KeyStore.reset, ByteBuffer())
        _ = await client.unary(V1.KeyStore.set, Requests.set("k", "v"))
      }
      let entries = cluster.audited.all
      #expect(entries.map(\.user) == ["root", "read"])
      #expect(entries.allSatisfy { $0.call == "Reset" && $0.peer.hasPrefix("127.0.0.1:") })
      #expect(entries.map(\.outcome) == [.ok, .permissionDenied])
    }
  }

  @Test func callsAboutANodeAreAuditedWithWhatTheyDidAndToWhich() async throws {
    func level(_ level: String) -> ByteBuffer {
      var request = ByteBuffer()
      var level = level
      level.withUTF8 {
        V1.LogLevelRequest(level: UnsafeRawBufferPointer($0)).write(into: &request)
      }
      return request
    }
    func kill(_ id: UInt64, of node: String) -> ByteBuffer {
      var request = ByteBuffer()
      var node = node
      node.withUTF8 {
        V1.KillClientRequest(node: UnsafeRawBufferPointer($0), id: id).write(into: &request)
      }
      return request
    }
    try await AccessCluster.with { cluster in
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      for node in ["", "a"] {
        _ = await client.unary(V1.Cluster.killClient, kill(999_999, of: node))
      }
      _ = await client.unary(V1.Cluster.logLevel, level(""))
      _ = await client.unary(V1.Cluster.logLevel, level("debug"))
      let details = cluster.audited.all.map(\.details.fields)
      #expect(
        details == [
          ["id": "999999", "found": "false"], ["id": "999999", "found": "false", "node": "a"], [:],
          ["level": "debug"],
        ])
    }
  }

  @Test func writesAreNotedWhereThatIsRequestedWithTheirKeys() async throws {
    try await AccessCluster.with(notesWrites: true) { cluster in
      let client = Client(port: cluster.router.port, as: "root")
      defer { client.close() }
      _ = await client.unary(V1.KeyStore.set, Requests.set("one", "v"))
      _ = await client.unary(V1.KeyStore.get, Requests.key("one"))
      let set = UInt32(V1.KeyStore.set.method?.rawValue ?? 0)
      _ = await client.pipeline([(set, Requests.set("two", "v"))])
      let lines = try await LineClient(port: try #require(cluster.router.linePort))
      _ = try await lines.send("AUTH \(AccessCluster.token("root"))", "SET three v")
      let entries = cluster.audited.all
      #expect(
        entries.map { String(decoding: $0.key ?? [], as: UTF8.self) } == ["one", "two", "three"])
      #expect(entries.map(\.outcome) == [.ok, nil, .ok])
      #expect(entries.allSatisfy { $0.call == "Set" && $0.user == "root" })
      try await lines.close()
    }
  }
}
