// The samples in config/ are loaded as a node would load them, so they can't rot.

import Foundation
import RingstoreAPI
import RouterNode
import Testing
import ringstore

@Suite(.timeLimit(.minutes(15))) struct SampleConfigurationTests {
  private static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "config")

  private func sources(_ kind: NodeKind) async throws -> SettingSources {
    let path = Self.folder.appending(path: "\(kind.rawValue).yaml").path
    let file = try await ConfigFile.load(path, for: kind)
    return SettingSources(kind, flags: [:], environment: [:], file: file)
  }

  @Test(arguments: NodeKind.allCases)
  func aSampleNamesEverySettingOfItsKind(kind: NodeKind) async throws {
    let path = Self.folder.appending(path: "\(kind.rawValue).yaml").path
    let file = try await ConfigFile.load(path, for: kind)
    #expect(file.keys == Set(kind.settings.map(\.rawValue)))
  }

  @Test func theRouterSampleIsARouter() async throws {
    let router = try await sources(.router).routerConfiguration()
    #expect(router.shards.map(\.id) == ["a", "b", "c"])
    #expect(router.shards.map(\.address).last == "127.0.0.1:50063")
    #expect(router.shards.map(\.weight) == [1, 1, 2])
    #expect(router.port == SettingSources.routerPort)
    #expect(router.limits == Limits())
    #expect(router.linkLimits.waitNanosMax == LinkLimits().waitNanosMax)
    #expect(router.linkLimits.callsInFlightMax == LinkLimits().callsInFlightMax)
    #expect(router.linkLimits.bytesInFlightMax == LinkLimits().bytesInFlightMax)
  }

  @Test func theShardSampleHasTheDefaults() async throws {
    let shard = try await sources(.shard).shardConfiguration()
    let defaults = try SettingSources(
      .shard, flags: [.id: ["a"]], environment: [:], file: nil
    ).shardConfiguration()
    #expect(shard.id == "a")
    #expect(shard.limits == defaults.limits)
    #expect(shard.port == defaults.port)
    #expect(shard.drainSeconds == defaults.drainSeconds)
    #expect(shard.cluster == defaults.cluster)
  }

  @Test func theComposeClustersFilesFitTogether() async throws {
    func sources(_ kind: NodeKind, _ environment: [String: String]) async throws -> SettingSources {
      let path = Self.folder.appending(path: "compose-\(kind.rawValue).yaml").path
      let file = try await ConfigFile.load(path, for: kind)
      return SettingSources(kind, flags: [:], environment: environment, file: file)
    }
    let router = try await sources(.router, [:]).routerConfiguration()
    for description in router.shards {
      let shard = try await sources(.shard, ["RINGSTORE_ID": description.id]).shardConfiguration()
      #expect(description.address == "shard-\(shard.id):\(shard.port)")
      #expect(shard.host == "0.0.0.0")
      #expect(shard.limits == router.limits)
      #expect(shard.drainSeconds < 10)
    }
    #expect(router.shards.map(\.id) == ["a", "b", "c"])
    #expect(router.port == SettingSources.routerPort)
    #expect(router.drainSeconds < 10)
  }

  @Test func theLocalSampleHasThreeShards() async throws {
    let sources = try await sources(.local)
    #expect(try sources.localShardConfigurations().map(\.id) == ["s1", "s2", "s3"])
    #expect(try sources.localRouterConfiguration().port == SettingSources.routerPort)
    #expect(try sources.logLevel() == .info)
  }
}
