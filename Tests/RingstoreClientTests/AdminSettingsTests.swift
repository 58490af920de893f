// Settings of the admin port and the slow log, and what a node tells of its settings.

import Admin
import NodeCore
import RingstoreAPI
import Testing
import ringstore

@Suite struct AdminSettingsTests {
  private func sources(
    _ flags: [Setting: [String]] = [:], environment: [String: String] = [:]
  ) -> SettingSources {
    SettingSources(
      .shard, flags: flags.merging([.id: ["a"]]) { own, _ in own }, environment: environment,
      file: nil)
  }

  private func shown(_ sources: SettingSources, _ setting: Setting) -> NodeSettings.Setting? {
    sources.ledger.settings.settings.first { $0.name == setting.rawValue }
  }

  private func entry(
    _ setting: Setting, _ value: NodeSettings.Value?, _ source: String, _ origin: String = ""
  ) -> NodeSettings.Setting {
    NodeSettings.Setting(name: setting.rawValue, value: value, source: source, origin: origin)
  }

  @Test func thereIsNoAdminPortUnlessItIsRequested() throws {
    #expect(try sources().adminConfiguration() == nil)
    #expect(try sources([.adminPort: ["off"]]).adminConfiguration() == nil)
    let admin = try #require(try sources([.adminPort: ["0"]]).adminConfiguration())
    #expect(admin.port == 0)
    #expect(admin.host == "127.0.0.1")
    #expect(admin.tls == nil)
  }

  @Test(arguments: ["-1", "65536", "on", ""])
  func aPortThatIsNoneIsRefused(port: String) {
    #expect(throws: ConfigurationError.self) {
      try sources([.adminPort: [port]]).adminConfiguration()
    }
  }

  @Test func anAddressThatOthersReachNeedsUsersTLSOrAWordThatItMay() throws {
    let open: [Setting: [String]] = [.adminPort: ["0"], .adminAddress: ["0.0.0.0"]]
    #expect(throws: ConfigurationError.self) { try sources(open).adminConfiguration() }
    for (setting, value) in [(Setting.insecure, "true"), (.users, "users.conf")] {
      let allowed = open.merging([setting: [value]]) { own, _ in own }
      #expect(try sources(allowed).adminConfiguration()?.host == "0.0.0.0")
    }
  }

  @Test func thatAddressIsNamedWithItsSetting() {
    let open: [Setting: [String]] = [.adminPort: ["0"], .adminAddress: ["0.0.0.0"]]
    let error = #expect(throws: ConfigurationError.self) {
      try sources(open).adminConfiguration()
    }
    #expect(error?.sentence.hasPrefix("--admin-address: 0.0.0.0 can be reached") == true)
    let ofNode = #expect(throws: ConfigurationError.self) {
      try sources([:], environment: ["RINGSTORE_HOST": "0.0.0.0"]).shardConfiguration()
    }
    #expect(ofNode?.sentence.hasPrefix("RINGSTORE_HOST: 0.0.0.0 can be reached") == true)
  }

  @Test(
    arguments: [
      ([.port: ["7001"], .adminPort: ["7001"]], "gRPC"),
      ([.adminPort: ["50061"]], "gRPC"),
      ([.linePort: ["7002"], .adminPort: ["7002"]], "the line protocol"),
      ([.host: ["::"], .insecure: ["true"], .port: ["7001"], .adminPort: ["7001"]], "gRPC"),
    ] as [([Setting: [String]], String)])
  func theNodesOwnPortsAreNotForTheAdminPort(flags: [Setting: [String]], other: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try sources(flags).adminConfiguration()
    }
    #expect(
      error?.sentence.hasPrefix("the admin port and \(other) can't share port ") == true,
      "\(String(describing: error))")
  }

  @Test func theSamePortOfAnotherAddressIsAnother() throws {
    let flags: [Setting: [String]] = [
      .port: ["7001"], .adminPort: ["7001"], .adminAddress: ["127.0.0.2"],
    ]
    #expect(try sources(flags).adminConfiguration()?.port == 7_001)
    #expect(try sources([.port: ["0"], .adminPort: ["0"]]).adminConfiguration()?.port == 0)
  }

  @Test func thresholdsOfTheSlowLog0TurnsEachOff() throws {
    let defaults = try sources().shardConfiguration().slowLog
    #expect(defaults == SlowLogSettings())
    let slow = try sources([
      .slowlogMillis: ["0"], .slowlogBytes: ["4KiB"], .slowlogKeys: ["none"],
    ]).shardConfiguration().slowLog
    let log = slow.log { 0 }
    #expect(!log.isSlow(.max - 1))
    #expect(log.isLarge(4_096) && !log.isLarge(4_095))
    #expect(slow.keyForm == .none)
    #expect(throws: ConfigurationError.self) {
      try sources([.slowlogKeys: ["all"]]).shardConfiguration()
    }
  }

  @Test func aNodeTellsWhatItsSettingsAreAndWhereTheyAreFrom() throws {
    let sources = sources(
      [.port: ["7001"], .maxMemory: ["1GiB"]], environment: ["RINGSTORE_CLUSTER": "mine"])
    _ = try sources.shardConfiguration()
    #expect(sources.ledger.settings.kind == "shard")
    for expected in [
      entry(.port, .number(7_001), "flag", "--port"),
      entry(.cluster, .text("mine"), "environment", "RINGSTORE_CLUSTER"),
      entry(.maxMemory, .number(1 << 30), "flag", "--max-memory"),
      entry(.drainSeconds, .number(10), "default"), entry(.dataDir, nil, "default"),
    ] {
      #expect(sources.ledger.settings.settings.contains(expected))
    }
  }

  @Test func aHashSeedIsNotShownWhereItIsFromIs() throws {
    let seed = "000102030405060708090a0b0c0d0e0f"
    let secret = sources([.hashSeed: [seed]])
    _ = try secret.shardConfiguration()
    #expect(
      shown(secret, .hashSeed) == entry(.hashSeed, .text("(secret)"), "flag", "--hash-seed"))
    #expect(!"\(secret.ledger.settings)".contains(seed))
    let open = sources()
    _ = try open.shardConfiguration()
    #expect(shown(open, .hashSeed) == entry(.hashSeed, .text("public"), "default"))
  }

  @Test func descriptorsAreKeptForTheAdminPort() throws {
    var asked = ConnectionsAsked()
    let without = DescriptorPlan.shares(descriptors: 1_000, outgoing: 0, asked).clients
    asked.ofAdmin = AdminLimits().connectionsMax
    let with = DescriptorPlan.shares(descriptors: 1_000, outgoing: 0, asked).clients
    #expect(without.maxConnections - with.maxConnections == AdminLimits().connectionsMax)
  }
}
