// A shard with sockets: what its clients get of large replies, streams and Shutdown.

import GRPC
import Logging
import NIOCore
import NIOPosix
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Synchronization
import Testing

@testable import ShardNode

@Suite(.serialized, .timeLimit(.minutes(15)))
struct ShardServerTests {
  @Test func aLargeValueGoesInAndOut() async throws {
    try await withShard { client in
      let text = pattern(3_000_000)
      let _: Ringstore_V1_Status = try await client.call("KeyStore/Set", Requests.set("k", text))
      let value: Ringstore_V1_Value = try await client.call("KeyStore/Get", Requests.key("k"))
      #expect(value.found && value.value.holds(text))
    }
  }

  @Test func aLargeRangeIsOneMessage() async throws {
    try await withShard { client in
      let values = (0..<60_000).map { "value \($0)" }
      let _: Ringstore_V1_Status = try await client.call(
        "KeyStore/RPush", Requests.push("l", values))
      let list: Ringstore_V1_ListValues = try await client.call(
        "KeyStore/LRange", Requests.range("l", 0, -1))
      #expect(list.values.hold(values))
    }
  }

  @Test func aRangeBeyondTheLimitIsStreamed() async throws {
    var limits = Limits.wide
    limits.maxMessageBytes = 700_000
    try await withShard(limits) { client in
      let values = (0..<60_000).map { "value \($0)" }
      for first in stride(from: 0, to: values.count, by: 20_000) {
        let _: Ringstore_V1_Status = try await client.call(
          "KeyStore/RPush", Requests.push("l", Array(values[first..<first + 20_000])))
      }
      await #expect(throws: RPCStatus.self) {
        let _: Ringstore_V1_ListValues = try await client.call(
          "KeyStore/LRange", Requests.range("l", 0, -1))
      }
      let lists: [Ringstore_V1_ListValues] = try await client.stream(
        "KeyStore/LRangeStream", Requests.range("l", 0, -1))
      #expect(lists.count > 5)
      #expect(lists.flatMap(\.values).hold(values))
    }
  }

  @Test func aCallToAShardThatHasEndedGetsAnError() async throws {
    let configuration = ShardConfiguration(id: "a")
    for _ in 0..<5 {
      var own = configuration
      (own.port, own.drainSeconds) = (0, 1)
      let shard = try await ShardServer.start(own, version: "1", logger: Logger(label: "test"))
      let (probe, calls) = (shard.probe, shard.calls)
      // These call all the time, so some of their calls are in progress at the end.
      let callers = (0..<4).map { _ in
        Task {
          while await probe.notReadyReason() != "not serving: the shard has stopped" {
            _ = await probe.metrics()
            _ = await probe.slowCalls()
          }
        }
      }
      // Nothing else would end this one.
      let waiting = Task { () -> CallError? in
        do throws(CallError) {
          let _: Int = try await calls.perform(as: nil) { _, _ in }
          return nil
        } catch {
          return error
        }
      }
      await shard.drain()
      for caller in callers { await caller.value }
      #expect(await waiting.value?.code == .unavailable)
      #expect(await probe.slowCalls().slow.isEmpty)
      #expect(await probe.metrics().value(of: "ringstore_keys") == nil)
      await #expect(throws: CallError.self) {
        let _: Int = try await calls.perform(as: nil) { _, tell in tell(.success(1)) }
      }
    }
  }

  @Test func aShardThatLoadsIsAliveAndNotReadyToEveryProbe() async throws {
    try await withServer { shard, client in
      let loop = shard.service.eventLoop
      let keys = "ringstore.v1.KeyStore"
      func page(_ path: String) async throws -> ServerPage? {
        let service = shard.service
        return try await loop.submit {
          Array(path.utf8).withUnsafeBytes { service.value.front.page(path: $0) }
        }.get()
      }
      try await loop.submit { [service = shard.service] in
        service.value.core.state = .loading
        service.value.core.detail = "40 % of 7 MiB read"
      }.get()
      let reason = "not serving: the shard is loading its data: 40 % of 7 MiB read"
      for service in ["", keys, "KVStore", "KeyStore", "shard/a"] {
        #expect(try await client.health(of: service) == .notServing, "\(service)")
      }
      #expect(try await client.health(of: "ringstore.v1.Cluster") == .serving)
      #expect(try await page("/readyz") == ServerPage(isOK: false, line: reason))
      #expect(try await page("/healthz") == ServerPage(isOK: true, line: "alive, \(reason)"))
      // Of the admin port.
      #expect(await shard.probe.notReadyReason() == reason)
      try await loop.submit { [service = shard.service] in service.value.core.loaded() }.get()
      for service in ["", keys, "shard/a"] {
        #expect(try await client.health(of: service) == .serving, "\(service)")
      }
      #expect(try await page("/readyz") == ServerPage(isOK: true, line: "serving"))
      #expect(await shard.probe.notReadyReason() == nil)
    }
  }

  @Test func aScanReturnsEveryKey() async throws {
    try await withShard { client in
      var request = Ringstore_V1_MSetRequest()
      request.items = (0..<5_000).map { Requests.set("key:\($0)", "v") }
      let _: Ringstore_V1_MSetResponse = try await client.call("KeyStore/MSet", request)
      let pages: [Ringstore_V1_ScanPage] = try await client.stream(
        "KeyStore/Scan", Ringstore_V1_ScanRequest())
      #expect(Set(pages.flatMap(\.keys)).count == 5_000)
      #expect(pages.last?.slotsDone == 16_384)
    }
  }

  @Test func aPipelineContinuesBehindLargeReplies() async throws {
    try await withShard { client in
      let text = pattern(1_000_000)
      let _: Ringstore_V1_Status = try await client.call("KeyStore/Set", Requests.set("k", text))
      var batch = Ringstore_V1_CallBatch()
      for id in 1...40 {
        var call = Ringstore_V1_Call()
        call.id = UInt64(id)
        call.method = id == 40 ? .set : .get
        call.request =
          id == 40
          ? try Requests.set("k", "new").serializedBytes()
          : try Requests.key("k").serializedBytes()
        batch.calls.append(call)
      }
      let batches: [Ringstore_V1_ReplyBatch] = try await client.stream("KeyStore/Pipeline", batch)
      let replies = batches.flatMap(\.replies)
      #expect(replies.map(\.id).sorted() == Array(1...40))
      let values = try replies.filter { $0.id < 40 }.map {
        try Ringstore_V1_Value(serializedBytes: $0.response)
      }
      #expect(values.allSatisfy { $0.value.holds(text) })
    }
  }

  @Test func shutdownGetsAReplyAndIsReportedOnce() async throws {
    let told = Count()
    try await withShard(onShutdown: { told.value.add(1, ordering: .relaxed) }) { client in
      for _ in 0..<2 {
        let _: Ringstore_V1_ShutdownResponse = try await client.call(
          "Cluster/Shutdown", Ringstore_V1_ShutdownRequest())
      }
    }
    #expect(told.value.load(ordering: .relaxed) == 1)
  }

  private func withShard(
    _ limits: Limits = .wide, onShutdown: (@Sendable () -> Void)? = nil,
    _ body: (ShardClient) async throws -> Void
  ) async throws {
    try await withServer(limits, onShutdown: onShutdown) { _, client in try await body(client) }
  }

  private func withServer(
    _ limits: Limits = .wide, onShutdown: (@Sendable () -> Void)? = nil,
    _ body: (ShardServer, ShardClient) async throws -> Void
  ) async throws {
    var configuration = ShardConfiguration(id: "a")
    configuration.port = 0
    configuration.drainSeconds = 1
    configuration.limits = limits
    configuration.onShutdown = onShutdown
    let shard = try await ShardServer.start(
      configuration, version: "1", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let client = ShardClient(port: shard.port)
    do {
      try await body(shard, client)
    } catch {
      client.close()
      await shard.drain()
      throw error
    }
    client.close()
    await shard.drain()
  }
}

private final class Count: Sendable {
  let value = Atomic(0)
}

/// Calls by their paths.
private struct ShardClient {
  private let channel: ClientChannel

  init(port: Int) {
    var configuration = ClientChannelConfiguration()
    configuration.connection.maxMessageBytes = 64 << 20
    configuration.connection.connectTimeout = .minutes(10)
    channel = ClientChannel(
      host: "127.0.0.1", port: port, eventLoop: MultiThreadedEventLoopGroup.singleton.any(),
      configuration: configuration)
  }

  func call<Response: Message>(_ path: String, _ request: some Message) async throws -> Response {
    let bytes: [UInt8] = try request.serializedBytes()
    let response = try await channel.unary(
      path: "/ringstore.v1.\(path)", timeout: .minutes(10), retrySafe: false
    ) { $0.writeBytes(bytes) }
    return try Response(serializedBytes: Array(response.readableBytesView))
  }

  func stream<Response: Message>(_ path: String, _ request: some Message) async throws -> [Response]
  {
    let bytes: [UInt8] = try request.serializedBytes()
    var responses: [Response] = []
    let messages = try await channel.serverStreaming(
      path: "/ringstore.v1.\(path)", timeout: .minutes(10)
    ) { $0.writeBytes(bytes) }
    for try await message in messages {
      responses.append(try Response(serializedBytes: Array(message.readableBytesView)))
    }
    return responses
  }

  /// What the standard health service says of a service.
  func health(
    of service: String
  ) async throws -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
    var request = Grpc_Health_V1_HealthCheckRequest()
    request.service = service
    let bytes: [UInt8] = try request.serializedBytes()
    let response = try await channel.unary(
      path: "/grpc.health.v1.Health/Check", timeout: .minutes(10)
    ) { $0.writeBytes(bytes) }
    return try Grpc_Health_V1_HealthCheckResponse(
      serializedBytes: Array(response.readableBytesView)
    ).status
  }

  func close() {
    channel.close()
  }
}
