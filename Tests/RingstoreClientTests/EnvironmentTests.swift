// Variables that are no settings stop no node, and which node `cli` and `health` ask.

import Testing
import ringstore

@Suite struct EnvironmentTests {
  private func remarks(_ environment: [String: String]) -> [String] {
    EnvironmentNames.sorted(environment).remarks
  }

  @Test func anUnknownVariableIsReportedWithWhatMayHaveBeenMeant() {
    #expect(
      remarks(["RINGSTORE_PROT": "1", "PROT": "2"])
        == [
          "the environment variable RINGSTORE_PROT is not a setting of Ringstore; "
            + "did you mean RINGSTORE_PORT?"
        ])
    #expect(
      remarks(["RINGSTORE_COLOUR": "red", "RINGSTORE_DRAIN_SECOND": "1"])
        == [
          "the environment variable RINGSTORE_COLOUR is not a setting of Ringstore",
          "the environment variable RINGSTORE_DRAIN_SECOND is not a setting of Ringstore; "
            + "did you mean RINGSTORE_DRAIN_SECONDS?",
        ])
  }

  @Test func namesOfTheProjectItselfAreIgnored() {
    let names = [
      "IMAGE", "PUBLISH", "SHARD_PORT", "BINARY", "BENCH_BINARY", "TEST_SEED", "HISTORY",
      "CONFIG", "SERVER", "FUZZ", "CLIENT_TLS", "CLIENT_TLS_CA", "CLIENT_TLS_CERTIFICATE",
      "CLIENT_TLS_KEY", "CLIENT_TLS_SERVER_NAME",
    ]
    #expect(
      remarks(Dictionary(uniqueKeysWithValues: names.map { ("RINGSTORE_\($0)", "x") })).isEmpty)
  }

  /// What Kubernetes and Docker's links set for services named ringstore and ringstore-line.
  private let ofServices = [
    "RINGSTORE_SERVICE_HOST": "10.0.0.1", "RINGSTORE_SERVICE_PORT": "50051",
    "RINGSTORE_SERVICE_PORT_GRPC": "50051", "RINGSTORE_PORT": "tcp://10.0.0.1:50051",
    "RINGSTORE_PORT_50051_TCP": "tcp://10.0.0.1:50051", "RINGSTORE_PORT_50051_TCP_PROTO": "tcp",
    "RINGSTORE_PORT_50051_TCP_PORT": "50051", "RINGSTORE_PORT_50051_TCP_ADDR": "10.0.0.1",
    "RINGSTORE_LINE_PORT": "udp://10.0.0.1:9999", "RINGSTORE_LINE_SERVICE_HOST": "10.0.0.1",
    "RINGSTORE_LINE_PORT_9999_UDP_ADDR": "10.0.0.1",
  ]

  @Test func whatAnOrchestratorSetsIsRecognised() throws {
    let told = remarks(ofServices)
    #expect(told.count == 2)
    #expect(told.first?.hasPrefix("RINGSTORE_LINE_PORT is 'udp://10.0.0.1:9999', as orch") == true)
    #expect(told.last?.hasPrefix("RINGSTORE_PORT is 'tcp://10.0.0.1:50051', as orch") == true)
    let sources = SettingSources(
      .shard, flags: [.id: ["a"]], environment: ofServices, file: nil)
    #expect(sources.remarks == told)
    let shard = try sources.shardConfiguration()
    #expect(shard.port == SettingSources.shardPort && shard.linePort == SettingSources.linePort)
  }

  @Test(arguments: [
    ("RINGSTORE_PORT", "50051"), ("RINGSTORE_HOST", "tcp://x"), ("RINGSTORE_SERVICE", "x"),
    ("RINGSTORE_PORT_TCP", "x"), ("RINGSTORE_PORT_X_TCP", "x"), ("RINGSTORE_SERVICE_HOSTS", "x"),
  ])
  func otherNamesAndValuesAreNotTakenForThem(name: String, value: String) {
    #expect(!EnvironmentNames.isOfService(name, value))
  }

  @Test func aPortThatIsNoneIsStillAnError() {
    #expect(throws: ConfigurationError.self) {
      try SettingSources(
        .shard, flags: [.id: ["a"]], environment: ["RINGSTORE_PORT": "http://x"], file: nil
      ).shardConfiguration()
    }
  }

  // MARK: Whom to ask

  private func server(_ flag: String?, _ environment: [String: String]) -> String {
    do throws(ConfigurationError) {
      return try ServerAddress.of(flag: flag, environment: environment).description
    } catch {
      return error.sentence
    }
  }

  @Test func theServerIsTheFlagsThenTheVariablesThenTheUsualOne() {
    let both = ["RINGSTORE_SERVER": "h:1", "RINGSTORE_PORT": "2"]
    #expect(server("[::1]:3", both) == "[::1]:3")
    #expect(server(nil, both) == "h:1")
    #expect(server(nil, ["RINGSTORE_PORT": "2"]) == "127.0.0.1:2")
    #expect(server(nil, ofServices) == "127.0.0.1:50051")
    #expect(server(nil, [:]) == "127.0.0.1:50051")
  }

  @Test func aWrongServerIsNamedWithItsOrigin() {
    let rule = "must be HOST:PORT with a port from 1 to 65535, not 'x'."
    #expect(server("x", [:]) == "--server \(rule)")
    #expect(server(nil, ["RINGSTORE_SERVER": "x"]) == "RINGSTORE_SERVER \(rule)")
    #expect(
      server(nil, ["RINGSTORE_PORT": "0"])
        == "RINGSTORE_PORT must be a port from 1 to 65535, not '0'.")
  }

  // MARK: Ports that collide

  @Test(arguments: NodeKind.allCases)
  func theTwoProtocolsCanNotShareAPort(kind: NodeKind) {
    let flags: [Setting: [String]] = [
      .port: ["7000"], .linePort: ["7000"], .id: ["a"],
      .shards: [kind == .local ? "2" : "a=h:1"],
    ]
    let sources = SettingSources(kind, flags: flags, environment: [:], file: nil)
    let sentence = "the line protocol and gRPC can't share port 7000; --line-port names another."
    #expect(throws: ConfigurationError(sentence)) {
      switch kind {
      case .router: _ = try sources.routerConfiguration()
      case .shard: _ = try sources.shardConfiguration()
      case .local: _ = try sources.localRouterConfiguration()
      }
    }
  }

  @Test func twoPortsThatTheSystemPicksAreNotTheSame() throws {
    let flags: [Setting: [String]] = [.port: ["0"], .linePort: ["0"], .id: ["a"]]
    let shard = try SettingSources(.shard, flags: flags, environment: [:], file: nil)
      .shardConfiguration()
    #expect(shard.linePort == 0)
  }
}
