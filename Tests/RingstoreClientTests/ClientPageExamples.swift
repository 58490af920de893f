// The examples of docs/CLIENT.md. What stands between "// page: begin" and "// page: end" is on the
// page word for word and in this order, and README.md's example between "// readme: begin" and
// "// readme: end"; ClientPageTests holds them together and runs this.

import RingstoreClient
import Testing

enum ClientPageExamples {
  static func run(host: String, port: Int) async throws {
    try await readme(host, port)
    try await connect(host, port)
    try await configure(host, port)
    try await encrypt(host, port)
    let client = RingstoreClient(host: host, port: port)
    try await client.reset(.allDatabases)
    try await strings(client)
    try await expiry(client)
    try await compareAndSwap(client)
    try await lock(client)
    try await lists(client)
    try await manyKeys(client)
    try await keysOfOneSlot(client)
    try await keyspace(client)
    try await scan(client)
    try await resume(client)
    try await listStream(client)
    try await pipeline(client)
    try await pipelineStream(client)
    try await errors(client)
    try await cancellation(client)
    try await cluster(client)
    client.close()
  }

  private static func readme(_ host: String, _ port: Int) async throws {
    // readme: begin
    let client = RingstoreClient(host: host, port: port)
    try await client.set("greeting", to: "hello")
    let greeting = try await client.getString("greeting")  // "hello"
    let outcomes = await client.pipeline((0..<1000).map { .set("key:\($0)", to: "value") })
    client.close()
    // readme: end
    #expect(greeting == "hello")
    #expect(outcomes.allSatisfy { $0.reason == nil })
  }

  private static func connect(_ host: String, _ port: Int) async throws {
    // page: begin
    let client = RingstoreClient(host: host, port: port)
    try await client.set("greeting", to: "hello")
    let greeting = try await client.getString("greeting")  // "hello"
    let nothing = try await client.getString("nothing")  // nil
    client.close()
    // page: end
    #expect(greeting == "hello")
    #expect(nothing == nil)
  }

  private static func configure(_ host: String, _ port: Int) async throws {
    // page: begin
    var configuration = RingstoreClient.Configuration()
    configuration.timeout = .seconds(5)
    configuration.database = 2
    configuration.maxMessageBytes = 64 << 20
    let client = RingstoreClient(host: host, port: port, configuration: configuration)

    let hurried = RingstoreCallOptions(timeout: .milliseconds(800), database: 3)
    try await client.set("key", to: "value", options: hurried)
    // page: end
    #expect(try await client.exists("key") == false)
    #expect(try await client.exists("key", options: .init(database: 3)))
    client.close()
  }

  private static func encrypt(_ host: String, _ port: Int) async throws {
    // page: begin
    var configuration = RingstoreClient.Configuration()
    configuration.tls = .init(
      authorityFile: "client/ca.pem", certificateFile: "client/certificate.pem",
      keyFile: "client/key.pem")
    let client = RingstoreClient(host: host, port: port, configuration: configuration)
    // page: end
    do throws(RingstoreError) {
      _ = try await client.exists("key")
      Issue.record("a call went through without the files")
    } catch {
      #expect(error.message.contains("client/certificate.pem can't be read"), "\(error)")
    }
    client.close()
  }

  private static func strings(_ client: RingstoreClient) async throws {
    // page: begin
    let version = try await client.set("counter", to: "41")
    let sum = try await client.incrBy("counter", 1)  // 42
    let bytes: [UInt8]? = try await client.get("counter")  // the bytes of "42"
    let type = try await client.type(of: "counter")  // .string
    let existed = try await client.delete("counter")  // true
    // page: end
    #expect(version > 0)
    #expect(sum == 42)
    #expect(bytes == Array("42".utf8))
    #expect(type == .string)
    #expect(existed)
  }

  private static func expiry(_ client: RingstoreClient) async throws {
    // page: begin
    try await client.set("session", to: "abc", expiring: .after(.seconds(30)))
    let session = try await client.read("session")  // bytes, version, remaining
    let isLonger = try await client.expire("session", after: .seconds(60), if: .ifLater)  // true
    let time = try await client.ttl(of: "session")  // remaining, expiresAtUnixMillis
    try await client.persist("session")
    // page: end
    #expect(session?.bytes == Array("abc".utf8))
    #expect(session?.remaining.map { $0 > .zero && $0 <= .seconds(30) } == true)
    #expect(isLonger)
    #expect(time?.remaining.map { $0 > .seconds(30) } == true)
    #expect(try await client.ttl(of: "session")?.remaining == nil)
    try await client.delete("session")
  }

  private static func compareAndSwap(_ client: RingstoreClient) async throws {
    // page: begin
    var isWritten = false
    while !isWritten {
      let profile = try await client.read("profile")
      let changed = (profile?.bytes ?? []) + Array("x".utf8)
      let version = RingstoreCondition.version(profile?.version ?? 0)  // 0: it isn't there
      isWritten = try await client.set("profile", to: changed, if: version) != nil
    }
    // page: end
    #expect(try await client.getString("profile") == "x")
    try await client.delete("profile")
  }

  private static func lock(_ client: RingstoreClient) async throws {
    func write(_ token: UInt64) {}
    let owner = "worker 17"
    // page: begin
    let token = try await client.set(
      "lock", to: owner, if: .absent, expiring: .after(.seconds(30)))
    if let token {
      write(token)  // the protected resource refuses it if it has seen a greater token
      try await client.delete("lock", ifValue: owner)
    }
    // page: end
    #expect(token != nil)
    let isLocked = try await client.exists("lock")
    #expect(!isLocked)
  }

  private static func lists(_ client: RingstoreClient) async throws {
    // page: begin
    try await client.rPush("queue", ["b", "c"])
    let length = try await client.lPush("queue", ["a"])  // 3
    let list = try await client.lRange("queue", 0, -1)  // a, b, c
    let first = try await client.lPop("queue")  // the bytes of "a"

    let ranges = [RingstoreListRange("queue", 0, 0), RingstoreListRange("other")]
    for outcome in try await client.multiRange(ranges) {
      let values = try outcome.get().values
      print("\(values.count) values")
    }
    // page: end
    #expect(length == 3)
    #expect(list.values == ["a", "b", "c"].map { Array($0.utf8) })
    #expect(first == Array("a".utf8))
  }

  private static func manyKeys(_ client: RingstoreClient) async throws {
    // page: begin
    try await client.mSet([(key: "user:1", value: "Ada"), (key: "user:2", value: "Grace")])
    for outcome in try await client.mGet(["user:1", "user:3", "queue"]) {
      switch outcome {
      case .success(let value?): print(String(decoding: value, as: UTF8.self))
      case .success(nil): print("no such key")
      case .failure(let error): print(error)  // "queue" is a list: WRONG_TYPE
      }
    }
    // page: end
  }

  private static func keysOfOneSlot(_ client: RingstoreClient) async throws {
    // page: begin
    let isNew = try await client.mSetIfAbsent([
      (key: "{user:7}:name", value: "Ada"), (key: "{user:7}:mail", value: "ada@example.org"),
    ])
    // page: end
    #expect(isNew)
    // Later examples count the keys.
    #expect(try await client.mDelete(["{user:7}:name", "{user:7}:mail"]).count == 2)
  }

  private static func keyspace(_ client: RingstoreClient) async throws {
    // page: begin
    let users = try await client.keys(matching: .prefix("user:"))  // all of them, or an error

    var token: [UInt8] = []
    repeat {
      let page = try await client.keys(limit: 2, pageToken: token)
      print("\(page.keys.count) keys")
      token = page.nextPageToken
    } while !token.isEmpty

    let count = try await client.dbSize()  // of this database
    let all = try await client.dbSize(.allDatabases)
    let any = try await client.randomKey()  // nil if the database is empty
    // page: end
    #expect(any != nil)
    #expect(users.count == 2)
    #expect(count == 3)
    #expect(all == 3)
  }

  private static func scan(_ client: RingstoreClient) async throws {
    var found = 0
    // page: begin
    for try await key in client.scan(matching: .glob("user:*"), type: .string).keys {
      print(String(decoding: key, as: UTF8.self))
      found += 1
    }
    // page: end
    #expect(found == 2)
  }

  private static func resume(_ client: RingstoreClient) async throws {
    var found: Set<[UInt8]> = []
    // page: begin
    var token: [UInt8] = []  // empty: from the beginning
    var isDone = false
    while !isDone {
      do {
        for try await page in client.scan(matching: .prefix("user:"), resumeToken: token) {
          found.formUnion(page.keys)
          token = page.resumeToken
          print("\(Int(page.progress * 100)) %")
        }
        isDone = true
      } catch {
        guard error.code == .unavailable else { throw error }
        try await Task.sleep(for: error.retryDelay ?? .seconds(1))
      }
    }
    // page: end
    #expect(found.count == 2)
  }

  private static func listStream(_ client: RingstoreClient) async throws {
    var bytes = 0
    // page: begin
    for try await value in client.listStream("queue") {
      bytes += value.count
    }

    for try await chunk in client.listStream("queue", 0, 999).chunks {
      print("\(chunk.values.count) values from \(chunk.firstIndex) of \(chunk.length)")
    }
    // page: end
    #expect(bytes == 2)
  }

  private static func pipeline(_ client: RingstoreClient) async throws {
    // page: begin
    let commands = (0..<1_000).map { RingstoreCommand.set("key:\($0)", to: "value") }
    let outcomes = await client.pipeline(commands)
    for case .failure(let error) in outcomes where error.isOutcomeUnknown {
      print("this one may have been executed: \(error)")
    }
    // page: end
    #expect(outcomes.count == 1_000)
    for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
  }

  private static func pipelineStream(_ client: RingstoreClient) async throws {
    var sum: Int64 = 0
    // page: begin
    let (commands, source) = AsyncStream.makeStream(of: RingstoreCommand.self)
    let producer = Task {
      for number in 1...5_000 { source.yield(.incrBy("total", Int64(number))) }
      source.finish()
    }

    for await outcome in client.pipeline(commands, pendingMax: 512) {
      if case .integer(let total) = try outcome.get() { sum = total }
    }
    // page: end
    await producer.value
    #expect(sum == 12_502_500)
  }

  private static func errors(_ client: RingstoreClient) async throws {
    // page: begin
    do {
      try await client.lPush("greeting", ["x"])
    } catch {
      switch error.reason {
      case .wrongType?: print("another client stored a string there")
      case .shardUnavailable?: print("retry in \(error.retryDelay ?? .seconds(1))")
      default: print("\(error.code.name): \(error.message)")
      }
      if error.isOutcomeUnknown {
        let length = try await client.lLen("greeting")
        print("it may have been executed; the list has \(length) values now")
      }
    }
    // page: end
  }

  private static func cancellation(_ client: RingstoreClient) async throws {
    // page: begin
    let counting = Task {
      var count = 0
      for try await _ in client.scan().keys { count += 1 }
      return count
    }
    counting.cancel()
    // page: end
    let outcome = await counting.result
    if case .failure(let error) = outcome {
      #expect((error as? RingstoreError)?.code == .cancelled)
    }
  }

  private static func cluster(_ client: RingstoreClient) async throws {
    // page: begin
    let cluster = try await client.describe()
    for node in cluster.nodes where node.state != .serving {
      print("\(node.id) is \(node.state): \(node.detail)")
    }
    let counters = try await client.stats()
    for (name, count) in counters.sorted(by: { $0.key < $1.key }) {
      print("\(name) \(count)")
    }
    // page: end
    #expect(cluster.nodes.count == 3)
    #expect(!counters.isEmpty)
    // page: begin
    if let facts = try await client.inspect("user:1") {
      print("\(facts.bytes) bytes on \(facts.shard), idle for \(facts.idle)")
    }
    // page: end
    let facts = try await client.inspect("user:1")
    #expect(facts?.type == .string && facts?.encoding == .inline && facts?.length == 3)
  }
}
