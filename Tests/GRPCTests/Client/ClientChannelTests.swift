// The async client against the real server over loopback.

import Logging
import NIOCore
import NIOPosix
import Testing

@testable import GRPC

/// A server and a client on one event loop thread each, gone after `body`.
func withLoopback(
  configuration: ClientChannelConfiguration = ClientChannelConfiguration(),
  server: ServerConfiguration = ServerConfiguration(),
  _ body: (ClientChannel, GRPCServer, ServiceLog) async throws -> Void
) async throws {
  let log = ServiceLog()
  let group = MultiThreadedEventLoopGroup.singleton
  let running = try await GRPCServer.start(
    host: "127.0.0.1", port: 0, group: group, configuration: server.patient,
    logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
  ) { _ in TestService(log: log) }
  var configuration = configuration
  configuration.connection.connectTimeout = .minutes(10)
  let channel = ClientChannel(
    host: "127.0.0.1", port: running.port, eventLoop: group.next(), configuration: configuration)
  do {
    try await body(channel, running, log)
  } catch {
    channel.close()
    await running.drain(gracePeriod: .zero)
    throw error
  }
  channel.close()
  await running.drain(gracePeriod: .zero)
}

extension ServerConfiguration {
  /// Of a server whose machine may be busy with other tests: it ends no client for being slow.
  var patient: Self {
    var configuration = self
    configuration.progressTimeoutNanos = 3_600 * 1_000_000_000
    configuration.handshakeTimeoutNanos = 3_600 * 1_000_000_000
    return configuration
  }
}

/// Waits until something that happens on another thread is seen. The bound only turns a hang into a
/// failure.
func eventually(_ condition: () -> Bool) async -> Bool {
  for _ in 0..<60_000 {
    if condition() { return true }
    try? await Task.sleep(for: .milliseconds(1))
  }
  return condition()
}

@Suite(.timeLimit(.minutes(15))) struct ClientChannelTests {
  @Test func unaryCallsGetTheirReplies() async throws {
    try await withLoopback { channel, _, _ in
      for size in [0, 1, 70_000, 3_000_000] {
        let reply = try await channel.unary(path: "/t/Echo") {
          $0.writeRepeatingByte(9, count: size)
        }
        #expect(reply.readableBytes == size)
      }
    }
  }

  @Test func manyCallsAtOnceShareOneConnection() async throws {
    var server = ServerConfiguration()
    server.maxConcurrentStreams = 10
    try await withLoopback(server: server) { channel, _, log in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<300 {
          group.addTask {
            let reply = try await channel.unary(path: "/t/Echo") { $0.writeString("\(number)") }
            #expect(String(buffer: reply) == "\(number)")
          }
        }
        try await group.waitForAll()
      }
      #expect(log.calls == 300)
    }
  }

  @Test func metadataReachesTheServiceWithBinaryValuesDecoded() async throws {
    try await withLoopback { channel, _, _ in
      var metadata = Metadata()
      metadata.add("Trace", " a b ")
      metadata.addBinary("blob-bin", [0, 1, 255])
      let reply = try await channel.unary(path: "/t/Metadata", metadata: metadata) { _ in }
      #expect(String(buffer: reply) == "trace=a b;blob-bin=[0, 1, 255];")
    }
  }

  @Test func aFailureComesWithWordsDetailsAndPushback() async throws {
    try await withLoopback { channel, _, log in
      await #expect(throws: TestService.failure) {
        try await channel.unary(path: "/t/Fail") { _ in }
      }
      #expect(log.calls == 1)
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/t/None") { _ in }
      }
      #expect(error?.code == .unimplemented)
    }
  }

  @Test func aDeadlineTravelsWithTheCallAndEndsIt() async throws {
    try await withLoopback { channel, _, log in
      _ = try await channel.unary(path: "/t/Echo", timeout: .hours(1)) { _ in }
      _ = try await channel.unary(path: "/t/Echo") { _ in }
      #expect(log.hadDeadline == [true, false])
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/t/Never", timeout: .milliseconds(30)) { _ in }
      }
      #expect(error?.code == .deadlineExceeded)
    }
  }

  @Test func cancellingTheTaskCancelsTheCallAtTheServer() async throws {
    try await withLoopback { channel, _, log in
      let task = Task { try await channel.unary(path: "/t/Never") { _ in } }
      #expect(await eventually { log.calls == 1 })
      task.cancel()
      let error = await #expect(throws: RPCStatus.self) { try await task.value }
      #expect(error?.code == .cancelled)
      #expect(await eventually { log.cancelled == 1 })
    }
  }

  @Test func messagesGoBothWaysOnAStream() async throws {
    try await withLoopback { channel, _, _ in
      let stream = channel.stream(path: "/t/Stream")
      async let received = stream.messages.reduce(into: [Int]()) { $0.append($1.readableBytes) }
      for size in 0..<200 { try await stream.send { $0.writeRepeatingByte(1, count: size * 50) } }
      stream.halfClose()
      #expect(try await received == (0..<200).map { $0 * 50 })
      #expect(stream.processed == .yes)
      let error = await #expect(throws: RPCStatus.self) { try await stream.send { _ in } }
      #expect(error?.code == .failedPrecondition)
    }
  }

  @Test func aStreamThatIsNotReadMakesTheServerWait() async throws {
    var configuration = ClientChannelConfiguration()
    configuration.connection.streamWindowBytes = 64 << 10
    configuration.inboundHighWaterBytes = 100_000
    configuration.inboundLowWaterBytes = 50_000
    var server = ServerConfiguration()
    server.streamHighWaterBytes = 64 << 10
    server.streamLowWaterBytes = 16 << 10
    try await withLoopback(configuration: configuration, server: server) { channel, _, log in
      let messages = try await channel.serverStreaming(path: "/t/Count") {
        $0.writeRepeatingByte(0, count: 5000)
      }
      var iterator = messages.makeAsyncIterator()
      var count = 0
      while try await iterator.next() != nil {
        count += 1
        // What the server has sent can't be far ahead of what was read: the inbox, what waits for
        // room in it, both sides' windows and the sockets (1000 bytes each message).
        let ahead = log.sent - count
        #expect(ahead < 900)
        if ahead >= 900 { return }
      }
      #expect(count == 5000)
    }
  }

  @Test func aServerThatReadsNothingMakesTheSenderWait() async throws {
    var server = ServerConfiguration()
    server.streamWindowBytes = 64 << 10
    var configuration = ClientChannelConfiguration()
    configuration.connection.outboundHighWaterBytes = 100_000
    try await withLoopback(configuration: configuration, server: server) { channel, _, log in
      let stream = channel.stream(path: "/t/Deaf")
      let task = Task { () -> Int in
        for count in 0..<10_000 {
          do {
            try await stream.send { $0.writeRepeatingByte(1, count: 1000) }
          } catch {
            return count
          }
        }
        return 10_000
      }
      #expect(await eventually { log.calls == 1 })
      stream.cancel()
      #expect(await task.value < 10_000)
      #expect(await eventually { log.cancelled == 1 })
    }
  }

  @Test func droppingAStreamCancelsIt() async throws {
    try await withLoopback { channel, _, log in
      do {
        let stream = channel.stream(path: "/t/Stream")
        try await stream.send { $0.writeString("x") }
        var iterator = stream.messages.makeAsyncIterator()
        #expect(try await iterator.next() != nil)
      }
      #expect(await eventually { log.cancelled == 1 })
    }
  }

  @Test func cancellingAReaderEndsItsStream() async throws {
    try await withLoopback { channel, _, log in
      let stream = channel.stream(path: "/t/Stream")
      let task = Task { () -> RPCStatus? in
        do {
          for try await _ in stream.messages {}
          return nil
        } catch {
          return error as? RPCStatus
        }
      }
      #expect(await eventually { log.calls == 1 })
      task.cancel()
      #expect(await task.value?.code == .cancelled)
      #expect(await eventually { log.cancelled == 1 })
    }
  }

  @Test func withoutAServerCallsFailAtOnceAndSaySo() async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    // A port that was just free: bound and given back.
    let probe = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(probe.localAddress?.port)
    try await probe.close().get()
    let channel = ClientChannel(host: "127.0.0.1", port: port, eventLoop: group.next())
    for _ in 0..<3 {
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/t/Echo", timeout: .seconds(20)) { _ in }
      }
      #expect(error?.code == .unavailable)
      #expect(error?.pushbackMillis == nil)
    }
    channel.close()
    let error = await #expect(throws: RPCStatus.self) {
      try await channel.unary(path: "/t/Echo") { _ in }
    }
    #expect(error?.code == .unavailable)
  }

  @Test func afterADrainTheClientConnectsToTheServerThatTookItsPlace() async throws {
    try await withLoopback { channel, first, _ in
      _ = try await channel.unary(path: "/t/Echo") { $0.writeString("a") }
      let port = first.port
      await first.drain(gracePeriod: .seconds(5))
      let log = ServiceLog()
      let second = try await GRPCServer.start(
        host: "127.0.0.1", port: port, group: MultiThreadedEventLoopGroup.singleton,
        configuration: ServerConfiguration().patient,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
      ) { _ in TestService(log: log) }
      let reply = try await channel.unary(path: "/t/Echo", waitForReady: true) {
        $0.writeString("b")
      }
      #expect(String(buffer: reply) == "b")
      #expect(log.calls == 1)
      await second.drain(gracePeriod: .zero)
    }
  }

  @Test func aDrainLetsCallsUnderWayFinish() async throws {
    try await withLoopback { channel, server, _ in
      let stream = channel.stream(path: "/t/Stream")
      var iterator = stream.messages.makeAsyncIterator()
      try await stream.send { $0.writeString("one") }
      #expect(try await iterator.next() != nil)
      async let drained: Void = server.drain(gracePeriod: .minutes(10))
      try await stream.send { $0.writeString("two") }
      #expect(try await iterator.next() != nil)
      stream.halfClose()
      #expect(try await iterator.next() == nil)
      await drained
    }
  }
}
