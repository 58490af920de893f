// Settings: which source wins, and the sentence for each way in which one can be wrong.

import Foundation
import Logging
import RingstoreAPI
import Store
import Testing
import ringstore

@Suite(.timeLimit(.minutes(15))) struct SettingsTests {
  private func sources(
    _ kind: NodeKind = .shard, flags: [Setting: [String]] = [:],
    environment: [String: String] = [:], file text: String? = nil
  ) async throws -> SettingSources {
    var file: ConfigFile?
    if let text { file = try await Self.load(text, kind) }
    return SettingSources(kind, flags: flags, environment: environment, file: file)
  }

  private static func load(_ text: String, _ kind: NodeKind) async throws -> ConfigFile {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "ringstore-settings-\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: path)
    defer { try? FileManager.default.removeItem(at: path) }
    return try await ConfigFile.load(path.path, for: kind)
  }

  private func sentence(_ body: () async throws -> Void) async -> String {
    do {
      try await body()
      return "(accepted)"
    } catch let error as ConfigurationError {
      return error.sentence
    } catch {
      return "(another error: \(error))"
    }
  }

  // MARK: Who wins

  @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() async throws {
    let file = "id: from-file\nport: 1\ndrain_seconds: 3\n"
    let environment = ["RINGSTORE_PORT": "2", "RINGSTORE_DRAIN_SECONDS": "4"]
    let shard = try await sources(
      flags: [.port: ["5"]], environment: environment, file: file
    ).shardConfiguration()
    #expect(shard.id == "from-file")
    #expect(shard.drainSeconds == 4)
    #expect(shard.port == 5)
  }

  @Test func aRoutersShardsComeFromAnySource() async throws {
    let listed = "shards: [a=h:1, 'b=[::1]:2,weight=0.5']\n"
    let fromFile = try await sources(.router, file: listed).routerConfiguration().shards
    let fromEnvironment = try await sources(
      .router, environment: ["RINGSTORE_SHARDS": " a=h:1  b=[::1]:2,weight=0.5 "]
    ).routerConfiguration().shards
    let fromFlags = try await sources(
      .router, flags: [.shards: ["a=h:1", "b=[::1]:2,weight=0.5"]]
    ).routerConfiguration().shards
    #expect(fromFile == fromEnvironment)
    #expect(fromFile == fromFlags)
    #expect(fromFile.map(\.address) == ["h:1", "[::1]:2"])
    #expect(fromFile.map(\.weight) == [1, 0.5])
  }

  @Test func aFileOfCommentsSetsNothing() async throws {
    let shard = try await sources(flags: [.id: ["a"]], file: "# nothing\n\n  # at all\n")
    #expect(try shard.shardConfiguration().port == SettingSources.shardPort)
  }

  // MARK: What is refused

  @Test func unknownKeysAreErrors() async {
    for (file, key) in [("prot: 1\n", "prot"), ("port:\n  number: 1\n", "port.number")] {
      let said = await sentence { _ = try await sources(file: file) }
      #expect(said.hasPrefix("'\(key)' in "), "\(said)")
      #expect(said.contains("is not a setting of a shard node"))
    }
    let near = await sentence { _ = try await sources(file: "fsyncc: always\n") }
    #expect(near.hasSuffix("is not a setting of a shard node; did you mean fsync?"), "\(near)")
    let ofOthers = await sentence { _ = try await sources(.router, file: "max_memroy: 1\n") }
    #expect(
      ofOthers.hasSuffix(
        "of a router node; did you mean max_memory, a setting of shard and local nodes?"),
      "\(ofOthers)")
    let exact = await sentence { _ = try await sources(.router, file: "max_memory: 1\n") }
    #expect(exact.hasSuffix("of a router node; it is one of shard and local nodes."), "\(exact)")
    let far = await sentence { _ = try await sources(file: "xy: 1\n") }
    #expect(far.contains("the settings are id, host,"), "\(far)")
    let empty = await sentence { _ = try await sources(file: "prot: {}\n") }
    #expect(empty.contains("uses '{'"), "\(empty)")
  }

  @Test func aSettingOfAnotherKindIsUnknownInAFileAndPassedOverInTheEnvironment() async throws {
    let said = await sentence { _ = try await sources(file: "threads: 2\n") }
    #expect(said.contains("'threads' in "), "\(said)")
    let shard = try await sources(
      flags: [.id: ["a"]],
      environment: ["RINGSTORE_THREADS": "2", "RINGSTORE_HISTORY": "off", "OTHER": "x"])
    #expect(try shard.shardConfiguration().id == "a")
  }

  @Test func filesThatAreNoYAMLOrAreMissingAreErrors() async {
    #expect(
      await sentence { _ = try await ConfigFile.load("/nowhere/x.yaml", for: .shard) }
        == "the configuration file /nowhere/x.yaml can't be read: No such file or directory.")
    for text in ["port: [1", "port: 1\nport: 2\n", "- a\n", "port: [1, 2]\n"] {
      let said = await sentence {
        _ = try await sources(flags: [.id: ["a"]], file: text).shardConfiguration()
      }
      #expect(!said.hasPrefix("("), "\(text) -> \(said)")
      #expect(!said.contains("\n"))
    }
  }

  @Test(arguments: [
    (Setting.port, "-1"), (.port, "65536"), (.port, "x"), (.port, ""), (.drainSeconds, "3601"),
    (.databases, "0"), (.maxItems, "0"), (.maxMessageBytes, "1023"),
    (.maxKeyBytes, "65537"), (.maxMessageBytes, "67108865"), (.maxPinnedBytes, "1048575"),
    (.replyMemoryBytes, "1048575"), (.clientMemoryBytes, "1048575"),
    (.maxConnectionAgeSeconds, "-1"), (.maxConnectionAgeSeconds, "2592001"),
    (.maxConnectionAgeGraceSeconds, "86401"), (.maxStreamsPerConnection, "0"),
    (.connectionMemoryBytes, "1"),
    (.maxMemory, "1"), (.maxMemory, "1GB"), (.maxMemory, "-1"), (.evictionPolicy, "lru"),
    (.maxPinnedBytes, "1.5MiB"), (.maxPinnedBytes, "68719476737"), (.maxPinnedSeconds, "0"),
    (.maxPinnedSeconds, "3601"), (.maxParkedCalls, "-1"), (.maxParkedCalls, "1000001"),
    (.host, ""),
    (.host, "a b"), (.host, "a,b"), (.cluster, "two words"), (.id, ""), (.id, "a/b"),
    (.id, String(repeating: "x", count: 65)),
  ])
  func badValuesGetASentenceThatNamesThem(setting: Setting, value: String) async {
    var flags: [Setting: [String]] = [.id: ["a"]]
    flags[setting] = [value]
    let said = await sentence { _ = try await sources(flags: flags).shardConfiguration() }
    #expect(said.hasPrefix(setting.flag(.shard)), "\(said)")
    #expect(said.contains("'\(value)'"))
  }

  @Test(arguments: [
    (Setting.linkTimeoutSeconds, "1"), (.linkTimeoutSeconds, "61"),
    (.overloadWaitSeconds, "0"), (.overloadWaitSeconds, "601"), (.maxCallsPerShard, "0"),
    (.maxBytesPerShard, "1"),
    (.largeReplyMemoryBytes, "1048575"), (.largeReplyMemoryBytes, "x"),
  ])
  func badBoundsOfLinksAreNamed(setting: Setting, value: String) async {
    let flags: [Setting: [String]] = [.shards: ["a=h:1"], setting: [value]]
    let said = await sentence { _ = try await sources(.router, flags: flags).routerConfiguration() }
    #expect(said.hasPrefix(setting.flag(.router)), "\(said)")
    #expect(said.contains("'\(value)'"))
  }

  @Test func veryManyWaitingCallsMayHoldMoreMemory() async throws {
    let flags: [Setting: [String]] = [.id: ["a"], .maxParkedCalls: ["200000"]]
    let shard = try await sources(flags: flags).shardConfiguration()
    #expect(shard.limits.parkedBytesMax == 200_000 << 10)
  }

  @Test func boundsReachTheNodesThatKeepThem() async throws {
    let flags: [Setting: [String]] = [
      .maxMemory: ["64MiB"], .evictionPolicy: ["allkeys-lru"],
      .maxPinnedBytes: ["2000000"], .maxPinnedSeconds: ["7"], .maxParkedCalls: ["8"],
      .largeReplyMemoryBytes: ["3000000"],
      .linkTimeoutSeconds: ["6"], .overloadWaitSeconds: ["9"],
      .maxCallsPerShard: ["11"], .maxBytesPerShard: ["4000000"],
      .replyMemoryBytes: ["5000000"], .clientMemoryBytes: ["100MiB"],
    ]
    let local = try await sources(.local, flags: flags)
    let router = try local.localRouterConfiguration()
    #expect(router.limits.largeReplyMemoryBytesMax == 3_000_000)
    #expect(router.limits.replyMemoryBytesMax == 5_000_000)
    #expect(router.limits.clientMemoryBytes == 100 << 20)
    #expect(router.linkLimits.silenceNanosMax == 6_000_000_000)
    #expect(router.linkLimits.waitNanosMax == 9_000_000_000)
    #expect(router.linkLimits.callsInFlightMax == 11)
    #expect(router.linkLimits.bytesInFlightMax == 4_000_000)
    for shard in try local.localShardConfigurations() {
      #expect(shard.limits.maxPinnedBytes == 2_000_000)
      #expect(shard.limits.viewNanosMax == 7_000_000_000)
      #expect(shard.limits.parkedCallsMax == 8 && shard.limits.parkedBytesMax == 64 << 20)
      #expect(shard.memory == MemoryLimit(bytes: 64 << 20, policy: .allKeysLRU))
    }
    var ofShard = flags.filter {
      [
        .maxMemory, .evictionPolicy, .maxPinnedBytes, .maxPinnedSeconds, .maxParkedCalls,
        .replyMemoryBytes, .clientMemoryBytes,
      ].contains($0.key)
    }
    ofShard[.id] = ["a"]
    let shard = try await sources(flags: ofShard).shardConfiguration()
    #expect(shard.memory == MemoryLimit(bytes: 64 << 20, policy: .allKeysLRU))
    #expect(shard.limits.maxPinnedBytes == 2_000_000)
    #expect(shard.limits.viewNanosMax == 7_000_000_000)
    #expect(shard.limits.replyMemoryBytesMax == 5_000_000)
    #expect(shard.limits.clientMemoryBytes == 100 << 20)
  }

  @Test func memoryWithoutALimitIsTheDefaultAndKnowsNoPolicy() async throws {
    let none = try await sources(flags: [.id: ["a"]]).shardConfiguration()
    #expect(none.memory == MemoryLimit())
    let zero = try await sources(flags: [.id: ["a"], .maxMemory: ["0"]]).shardConfiguration()
    #expect(zero.memory == MemoryLimit())
    let said = await sentence {
      _ = try await sources(flags: [.id: ["a"], .evictionPolicy: ["volatile-lru"]])
        .shardConfiguration()
    }
    #expect(said == "eviction_policy is volatile-lru, but max_memory sets no limit.")
  }

  @Test func memoryForClientsHasRoomForMessagesOfEachThread() async throws {
    let flags: [Setting: [String]] = [
      .threads: ["4"], .maxMessageBytes: ["67108864"], .shards: ["a=h:1"],
    ]
    let router = try await sources(.router, flags: flags).routerConfiguration()
    #expect(router.limits.clientMemoryBytes == 4 * 8 * 67_108_864)
    let said = await sentence {
      let few = flags.merging([.clientMemoryBytes: ["536870912"]]) { $1 }
      _ = try await sources(.router, flags: few).routerConfiguration()
    }
    #expect(
      said.hasPrefix("client_memory_bytes (536870912) must be at least 2147483648"), "\(said)")
  }

  @Test func boundsOfConnectionsReachTheServer() async throws {
    let flags: [Setting: [String]] = [
      .id: ["a"], .maxConnectionAgeSeconds: ["600"], .maxConnectionAgeGraceSeconds: ["5"],
      .maxStreamsPerConnection: ["7"], .connectionMemoryBytes: ["16MiB"],
    ]
    let server = try await sources(flags: flags).shardConfiguration().server
    #expect(server.ageNanosMax == 600_000_000_000)
    #expect(server.ageGraceNanos == 5_000_000_000)
    #expect(server.maxConcurrentStreams == 7)
    #expect(server.connectionMemoryBytes == 16 << 20)
    let plain = try await sources(flags: [.id: ["a"]]).shardConfiguration().server
    #expect(plain.ageNanosMax == 0)
    #expect(plain.connectionMemoryBytes == nil)
  }

  @Test(arguments: ["8388607", "1GiB"])
  func theMemoryOfAConnectionLiesBetweenItsMessagesAndThatOfAll(_ bytes: String) async {
    let flags: [Setting: [String]] = [.id: ["a"], .connectionMemoryBytes: [bytes]]
    let said = await sentence { _ = try await sources(flags: flags).shardConfiguration() }
    #expect(said.hasPrefix("connection_memory_bytes ("), "\(said)")
    #expect(said.contains("(8388608) and at most client_memory_bytes (536870912)"))
  }

  @Test func boundsOfAnotherKindOfNodeAreNotLookedAt() async throws {
    let shard = try await sources(
      flags: [.id: ["a"]], environment: ["RINGSTORE_LARGE_REPLY_MEMORY_BYTES": "x"]
    ).shardConfiguration()
    #expect(shard.limits.largeReplyMemoryBytesMax == Limits().largeReplyMemoryBytesMax)
    let router = try await sources(
      .router, flags: [.shards: ["a=h:1"]], environment: ["RINGSTORE_MAX_PINNED_SECONDS": "x"]
    ).routerConfiguration()
    #expect(router.shards.count == 1)
    let said = await sentence { _ = try await sources(.router, file: "max_pinned_seconds: 5\n") }
    #expect(said.contains("is not a setting of a router node"), "\(said)")
  }

  @Test func aKeyMustFitIntoAMessage() async {
    let said = await sentence {
      _ = try await sources(
        flags: [.id: ["a"], .maxKeyBytes: ["4096"], .maxMessageBytes: ["4096"]]
      ).shardConfiguration()
    }
    #expect(said.hasPrefix("max_key_bytes (4096) must be below"), "\(said)")
  }

  @Test func logLevelsAreNamed() async throws {
    #expect(try await sources(flags: [.logLevel: ["debug"]]).logLevel() == .debug)
    let said = await sentence { _ = try await sources(flags: [.logLevel: ["loud"]]).logLevel() }
    #expect(said.contains("--log-level must be one of trace, debug"), "\(said)")
  }

  @Test func aMissingRequiredSettingIsReported() async {
    let shard = await sentence { _ = try await sources().shardConfiguration() }
    #expect(shard.hasPrefix("a shard needs an id"), "\(shard)")
    let router = await sentence { _ = try await sources(.router).routerConfiguration() }
    #expect(router.hasPrefix("a router needs its shards"), "\(router)")
  }

  @Test(arguments: [
    ("a", "must be ID=HOST:PORT"), ("=h:1", "the id in"), ("a b=h:1", "the id in"),
    ("a=h", "the address of shard 'a'"), ("a=h:0", "the address of shard 'a'"),
    ("a=h:65536", "the address"), ("a=h:+1", "the address"), ("a=::1:5", "the address"),
    ("a=[h]:5", "the address"), ("a=:5", "the address"), ("a=h:1,weight=0", "the weight"),
    ("a=h:1,weight=-1", "the weight"), ("a=h:1,weight=nan", "the weight"),
    ("a=h:1,weight=inf", "the weight"), ("a=h:1,weight=", "the weight"),
    ("a=h:1,wight=2", "must be ID=HOST:PORT"), ("a=h:1,", "must be ID=HOST:PORT"),
    ("a=h:1,weight=1,weight=2", "must be ID=HOST:PORT"),
  ])
  func badShardsGetASentence(entry: String, part: String) async {
    let said = await sentence {
      _ = try await sources(.router, flags: [.shards: [entry]]).routerConfiguration()
    }
    #expect(said.contains(part), "\(entry) -> \(said)")
  }

  @Test func noShardIsCalledRouter() async {
    let reserved =
      "a shard can't have the id 'router': in calls about a node it stands for the router."
    let shard = await sentence {
      _ = try await sources(.shard, flags: [.id: ["router"]]).shardConfiguration()
    }
    #expect(shard == reserved)
    let listed = await sentence {
      _ = try await sources(.router, flags: [.shards: ["a=h:1", "router=h:2"]])
        .routerConfiguration()
    }
    #expect(listed == reserved)
    let others = try? ShardList.parse(["Router=h:1", "routers=h:2"], origin: "--shard")
    #expect(others?.map(\.id) == ["Router", "routers"])
  }

  @Test func shardsAreListedOnceAndBounded() async {
    let twice = await sentence { _ = try ShardList.parse(["a=h:1", "a=h:2"], origin: "--shard") }
    #expect(twice == "--shard lists the shard 'a' more than once.")
    let shared = await sentence { _ = try ShardList.parse(["a=h:1", "b=h:1"], origin: "--shard") }
    #expect(shared.contains("one address, h:1"), "\(shared)")
    let many = (0...ShardList.countMax).map { "s\($0)=h\($0):1" }
    let tooMany = await sentence { _ = try ShardList.parse(many, origin: "--shard") }
    #expect(tooMany.contains("lists 1025 shards"), "\(tooMany)")
    #expect(
      await sentence { _ = try ShardList.parse(Array(many.dropLast()), origin: "x") }
        == "(accepted)")
  }
}
