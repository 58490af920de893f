// What a node tells of its slow calls and settings, as the client reads and the command line shows
// it, whatever the node sends.

import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RingstoreClient
@testable import ringstore

@Suite struct NodeReportTests {
  private func slowCall(_ message: Ringstore_V1_SlowCall) throws -> RingstoreSlowCall {
    let bytes: [UInt8] = try message.serializedBytes()
    return try bytes.withUnsafeBytes { RingstoreSlowCall(try V1.SlowCall($0)) }
  }

  private func log(_ calls: [RingstoreSlowCall]) -> RingstoreSlowLog {
    RingstoreSlowLog(slowest: calls, largest: calls, slowMillis: 10, largeBytes: 1 << 20)
  }

  @Test func aSlowCallIsShownWithWhatIsKnownOfIt() throws {
    let call = try slowCall(
      .with {
        ($0.kind, $0.command, $0.unixMillis) = ("call", "get", 1_000)
        ($0.durationMicros, $0.requestBytes, $0.slot) = (12_345, 100, 0)
        $0.keyStart = Data("a\nb".utf8)
      })
    let text = SlowLogText.text(log([call]))
    #expect(text.contains("calls that took 10 ms or longer"))
    #expect(text.contains("1970-01-01T00:00:01.000Z"))
    #expect(text.contains(#"12.3 ms   get      ok       100 B"#) && text.contains(#""a\nb""#))
    let json = SlowLogText.json(log([call])).text
    #expect(json.contains(#""duration_micros":12345"#) && json.contains(#""slot":0"#))
    #expect(!json.contains("database") && !json.contains("calls"))
  }

  @Test func figuresAtTheEndsOfTheirTypesAreShown() throws {
    for number in [Int64.min, -1, .max] {
      let call = try slowCall(
        .with {
          ($0.kind, $0.unixMillis, $0.durationMicros) = ("tick", number, number)
          ($0.requestBytes, $0.replyBytes, $0.calls, $0.slot) = (number, number, .max, .max)
        })
      #expect(!SlowLogText.text(log([call])).isEmpty)
      #expect(SlowLogText.json(log([call])).text.contains("\(number)"))
    }
  }

  @Test func settingsComeThroughTheCallAsTheyAre() throws {
    let sent = NodeSettings(
      kind: "shard",
      [
        .init(name: "port", value: .number(0), source: "flag", origin: "--port"),
        .init(name: "insecure", value: .flag(false), source: "default", origin: ""),
        .init(name: "cluster", value: .text(""), source: "file", origin: "cluster in f"),
        .init(name: "shards", value: .list(["a=h:1", ""]), source: "flag", origin: "--shard"),
        .init(name: "data_dir", value: nil, source: "default", origin: ""),
      ])
    let told = try sent.message.withUnsafeReadableBytes { bytes in
      try V1.ConfigResponse(bytes).settings.map { RingstoreSetting($0) }
    }
    #expect(
      told.map(\.value) == [.number(0), .flag(false), .text(""), .list(["a=h:1", ""]), nil])
    #expect(told.map(\.name) == sent.settings.map(\.name))
    #expect(told.map(\.source) == sent.settings.map(\.source))
    #expect(told.map(\.origin) == sent.settings.map(\.origin))
  }

  // MARK: - What a node is and does

  private func cluster(_ node: Ringstore_V1_Node) throws -> RingstoreClusterDescription {
    let reply = Ringstore_V1_DescribeResponse.with {
      $0.cluster = "c"
      $0.nodes = [node]
      $0.map.shards = [
        .with {
          $0.id = "a"
          ($0.lineage.id, $0.lineage.acceptedLosses) = (Data([0xab, 1]), 2)
        }
      ]
    }
    let bytes: [UInt8] = try reply.serializedBytes()
    return try bytes.withUnsafeBytes {
      RingstoreClusterDescription(try V1.DescribeResponse($0))
    }
  }

  private func shard(_ durations: [UInt64]) -> Ringstore_V1_Node {
    .with {
      ($0.id, $0.role, $0.state, $0.memoryBytes) = ("a", .shard, .serving, 3 << 20)
      ($0.memoryLimitBytes, $0.errors, $0.durations) = (64 << 20, 5, durations)
    }
  }

  @Test func aDescriptionHasAllThatANodeHasReported() throws {
    let json = ClusterTable.json(try cluster(shard([1, 0, 7]))).text
    for part in [
      #""memory_limit_bytes":67108864"#, #""errors":5"#, #""durations":[1,0,7]"#,
      #""lineage":{"id":"ab01","accepted_losses":2,"disputed":false}"#,
    ] {
      #expect(json.contains(part))
    }
    #expect(ClusterTable.text(try cluster(shard([]))).contains("3.0 MiB of 64.0 MiB"))
    var away = shard([])
    away.state = .unreachable
    #expect(ClusterTable.json(try cluster(away)).text.contains(#""durations":null"#))
  }

  @Test func topTellsHowLongCallsTookBetweenTwoLooks() throws {
    func look(_ durations: [UInt64]) throws -> TopLook {
      let cluster = try cluster(shard(durations))
      return TopLook(
        time: .now, cluster: cluster, nodes: cluster.nodes.map { .init(node: $0, counters: [:]) })
    }
    let table = TopTable(before: try look([1_000]), now: try look([1_000, 98, 0, 0, 0, 2]))
    #expect(table.json.text.contains(#""p50_micros":2,"p99_micros":6"#))
    let shown = table.text(columns: .max)
    #expect(shown.contains("P99") && shown.contains("2 us  6 us"))
    let quiet = TopTable(before: try look([1_000]), now: try look([1_000]))
    #expect(quiet.json.text.contains(#""p50_micros":null,"p99_micros":null"#))
  }

  @Test func topNamesTheColumnsForWhichATerminalIsTooNarrow() throws {
    let cluster = try cluster(shard([]))
    let look = TopLook(
      time: .now, cluster: cluster, nodes: cluster.nodes.map { .init(node: $0, counters: [:]) })
    let table = TopTable(before: look, now: look)
    let lines = table.text(columns: 100).split(separator: "\n")
    #expect(lines[1].hasSuffix("WAITING") && lines[1].count <= 100)
    #expect(
      lines.last == "(a wider terminal also shows EVICTED/S, EXPIRED/S, BUSIEST CALLS)")
    let wide = table.text(columns: .max)
    #expect(wide.contains("BUSIEST CALLS") && !wide.contains("a wider terminal"))
    // However narrow it is, there is something.
    #expect(table.text(columns: 10).contains("NODE"))
  }

  @Test func topSaysWhyThereAreNoRates() throws {
    let cluster = try cluster(shard([]))
    func look(_ problems: [String?]) -> TopLook {
      TopLook(
        time: .now, cluster: cluster,
        nodes: problems.map { .init(node: cluster.nodes[0], counters: [:], problem: $0) })
    }
    func text(_ problems: [String?]) -> String {
      TopTable(before: look(problems), now: look(problems)).text(columns: .max)
    }
    #expect(text(["no.", "no."]).hasSuffix("\nno rates: no."))
    #expect(text(["no.", nil]).hasSuffix("\na: no rates: no."))
    #expect(!text([nil, nil]).contains("no rates"))
    let json = TopTable(before: look(["no."]), now: look(["no."])).json.text
    #expect(json.contains(#""no_rates_because":"no.""#))
  }

  @Test func topShowsCountersAtTheEndsOfTheirType() throws {
    let cluster = try cluster(shard([.max, .max]))
    func look(_ count: Int) -> TopLook {
      let names = ["calls_total", "errors_total", "calls_get_total", "evicted_keys_total"]
      let counters = Dictionary(uniqueKeysWithValues: names.map { ("ringstore_\($0)", count) })
      return TopLook(
        time: .now, cluster: cluster,
        nodes: cluster.nodes.map { .init(node: $0, counters: counters) })
    }
    let table = TopTable(before: look(.min), now: look(.max))
    #expect(table.text(columns: .max).contains("get "))
    #expect(!table.json.text.isEmpty)
  }

  @Test func digestsWhoseKeysExceedTheirTypeAreAddedUp() {
    let digest = RingstoreDigest(keys: .max, expiringKeys: .max, digest: .max)
    #expect((digest + digest).digest == UInt64.max - 1)
  }

  // MARK: - Texts of a server

  private static let hostile = "x\u{1b}[31m\nROW\u{7}"

  @Test func controlCharactersOfAServerAreEscapedAndLinesStayOne() throws {
    var node = shard([])
    (node.id, node.address, node.version) = (Self.hostile, Self.hostile, Self.hostile)
    node.detail = Self.hostile
    let cluster = try cluster(node)
    let look = TopLook(
      time: .now, cluster: cluster, nodes: cluster.nodes.map { .init(node: $0, counters: [:]) })
    let error = RingstoreError(code: .internal, message: Self.hostile)
    let reload = RingstoreReload(
      epoch: 1, added: [Self.hostile], dropped: [], readdressed: [],
      moves: [.init(from: Self.hostile, to: "b", slots: 1)], obstacle: Self.hostile)
    for text in [
      ClusterTable.text(cluster), TopTable(before: look, now: look).text(columns: .max),
      ReloadText.text(reload, isPlan: true),
      KeyReportText.text(RingstoreKeyReport<[RingstoreHotKey]>(found: [], unreachable: [error])),
      String(decoding: ShownReply.error(error).bytes(raw: false), as: UTF8.self),
      String(decoding: ShownReply.word(Self.hostile).bytes(raw: false), as: UTF8.self),
    ] {
      #expect(text.contains(#"x\x1b[31m"#), "\(text)")
      #expect(!text.contains("\u{1b}") && !text.contains("\nROW"), "\(text)")
    }
  }

  @Test func oneLongCellDoesNotWidenATableOfManyRowsWithoutLimit() {
    let long = String(repeating: "x", count: 1 << 20)
    let rows = [[long, "y"]] + [[String]](repeating: ["a", "b"], count: 1 << 14)
    let bytes = ClusterTable.aligned(rows).reduce(0) { $0 + $1.utf8.count }
    #expect(bytes < 32 << 20)
  }
}
