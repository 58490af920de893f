// When a client channel connects, waits, fails at once and sends again: in memory, virtual time.

import HTTP2
import NIOCore
import NIOEmbedded
import TestSeeds
import Testing

@testable import GRPC

/// A channel's core whose connect attempts are completed by the test.
private final class CoreFixture {
  typealias Completion = (Result<ClientConnection, ConnectionLoss>) -> Void

  typealias Attempt = (owner: any ClientConnectionDelegate, completion: Completion)

  let loop = EmbeddedEventLoop()
  var attempts: [Attempt] = []
  var peers: [InMemoryPeer] = []
  let configuration: ClientChannelConfiguration
  private(set) lazy var core = ClientChannelCore(
    eventLoop: loop, configuration: configuration, random: SeededRandom(seed: 1)
  ) { [unowned self] owner, completion in attempts.append((owner, completion)) }

  init(configuration: ClientChannelConfiguration = ClientChannelConfiguration()) {
    self.configuration = configuration
  }

  private func nextAttempt() throws -> Attempt {
    try #require(!attempts.isEmpty, "there is no attempt to connect")
    return attempts.removeFirst()
  }

  /// Lets the attempt in progress succeed, with a fresh peer.
  @discardableResult
  func succeed(_ server: HTTP2Configuration = HTTP2Configuration()) throws -> InMemoryPeer {
    let attempt = try nextAttempt()
    let peer = try InMemoryPeer(server: server, loop: loop, owner: attempt.owner)
    peers.append(peer)
    attempt.completion(.success(peer.connection))
    peer.exchange()
    return peer
  }

  func fail() throws {
    try nextAttempt().completion(.failure(.connectFailed("refused")))
    loop.run()
  }

  /// Starts a unary call; its result comes into the box.
  func call(
    timeout: TimeAmount? = nil, retrySafe: Bool = false, waitsForReady: Bool = false
  ) -> (exchange: UnaryExchange, box: ResultBox) {
    let exchange = UnaryExchange(
      path: "/t/Echo", metadata: Metadata(), timeout: timeout, encoding: .identity,
      retrySafe: retrySafe, waitsForReady: waitsForReady, request: ByteBuffer(string: "q"))
    let box = ResultBox()
    exchange.start(core) { box.results.append($0) }
    loop.run()
    return (exchange, box)
  }

  /// Has the peer reply on its newest stream.
  func reply(from peer: InMemoryPeer, messages: Int = 1) throws {
    peer.exchange()
    let stream = try #require(peer.streams.last)
    peer.respond(stream)
    for _ in 0..<messages { peer.send(stream, Array("a".utf8)) }
    peer.finish(stream)
    peer.exchange()
  }
}

private final class ResultBox {
  var results: [Result<ByteBuffer, RPCStatus>] = []
  var failure: RPCStatus? {
    if case .failure(let status)? = results.first { status } else { nil }
  }
  var isSuccess: Bool { if case .success? = results.first { true } else { false } }
}

@Suite struct ClientChannelCoreTests {
  @Test func theFirstCallConnectsAndTheOthersShareTheAttempt() throws {
    let fixture = CoreFixture()
    #expect(fixture.attempts.isEmpty)
    let boxes = (0..<3).map { _ in fixture.call().box }
    #expect(fixture.attempts.count == 1)
    let peer = try fixture.succeed()
    #expect(peer.streams.count == 3)
    #expect(boxes.allSatisfy { $0.results.isEmpty })
    try fixture.reply(from: peer)
    #expect(boxes[2].isSuccess)
  }

  @Test func afterAFailedAttemptCallsFailAtOnceUntilTheBackoffHasPassed() throws {
    let fixture = CoreFixture()
    let first = fixture.call().box
    try fixture.fail()
    #expect(first.failure?.code == .unavailable)
    #expect(first.failure?.message.contains("refused") == true)
    let second = fixture.call(timeout: .seconds(60)).box
    #expect(second.failure?.code == .unavailable)
    #expect(fixture.attempts.isEmpty)
    fixture.loop.advanceTime(by: .milliseconds(121))
    let third = fixture.call().box
    #expect(fixture.attempts.count == 1)
    #expect(third.results.isEmpty)
    try fixture.reply(from: try fixture.succeed())
    #expect(third.isSuccess)
  }

  @Test func aCallThatWaitsForReadyOutlivesFailedAttempts() throws {
    let fixture = CoreFixture()
    let box = fixture.call(waitsForReady: true).box
    for _ in 0..<5 {
      try fixture.fail()
      #expect(fixture.attempts.isEmpty)
      fixture.loop.advanceTime(by: .seconds(6))
      #expect(fixture.attempts.count == 1)
    }
    #expect(box.results.isEmpty)
    try fixture.reply(from: try fixture.succeed())
    #expect(box.isSuccess)
  }

  @Test func aCallThatWaitsForAConnectionEndsAtItsDeadline() throws {
    let fixture = CoreFixture()
    let box = fixture.call(timeout: .seconds(2), waitsForReady: true).box
    fixture.loop.advanceTime(by: .milliseconds(1999))
    #expect(box.results.isEmpty)
    fixture.loop.advanceTime(by: .milliseconds(1))
    #expect(box.failure?.code == .deadlineExceeded)
    try fixture.fail()
    #expect(box.results.count == 1)
  }

  @Test func tooManyWaitingCallsAreRefused() {
    var configuration = ClientChannelConfiguration()
    configuration.maxWaitingCalls = 2
    let fixture = CoreFixture(configuration: configuration)
    let boxes = (0..<3).map { _ in fixture.call().box }
    #expect(boxes.map { $0.failure?.code } == [nil, nil, .resourceExhausted])
  }

  @Test func aRefusedCallIsSentAgainABoundedNumberOfTimes() throws {
    let fixture = CoreFixture()
    let box = fixture.call().box
    let peer = try fixture.succeed()
    for attempt in 1...4 {
      #expect(peer.streams.count == attempt)
      #expect(box.results.isEmpty)
      peer.session.reset(try #require(peer.streams.last), code: .refusedStream)
      peer.exchange()
    }
    #expect(peer.streams.count == 4)
    #expect(box.failure?.code == .unavailable)
    #expect(box.failure?.pushbackMillis == nil)
  }

  /// gRFC A6: without a retry policy of the service's, the server's word is the last.
  @Test(arguments: ["0", "20", "-1", "soon"])
  func aCallWithAReplyIsNotSentAgainWhateverItsPushback(_ pushback: String) throws {
    let fixture = CoreFixture()
    let box = fixture.call(retrySafe: true).box
    let peer = try fixture.succeed()
    peer.exchange()
    peer.reply(
      on: try #require(peer.streams.last),
      only: [
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14"),
        ("grpc-retry-pushback-ms", pushback),
      ])
    peer.exchange()
    fixture.loop.advanceTime(by: .seconds(60))
    #expect(peer.streams.count == 1)
    #expect(box.failure?.code == .unavailable)
    #expect(box.failure?.pushbackMillis == Int(pushback) ?? -1)
  }

  @Test func aWriteWhoseReplyWasLostIsNotSentAgain() throws {
    let fixture = CoreFixture()
    let box = fixture.call().box
    let peer = try fixture.succeed()
    peer.channel.pipeline.fireChannelInactive()
    fixture.loop.run()
    #expect(box.failure?.code == .unavailable)
    #expect(box.failure?.pushbackMillis == -1)
    #expect(fixture.attempts.isEmpty)
  }

  @Test func aReadWhoseReplyWasLostIsSentAgainOnANewConnection() throws {
    let fixture = CoreFixture()
    let box = fixture.call(retrySafe: true).box
    let peer = try fixture.succeed()
    peer.channel.pipeline.fireChannelInactive()
    fixture.loop.run()
    #expect(box.results.isEmpty)
    #expect(fixture.attempts.count == 1)
    try fixture.reply(from: try fixture.succeed())
    #expect(box.isSuccess)
  }

  @Test func aCallAboveGoAwaysLastIDMovesToANewConnection() throws {
    let fixture = CoreFixture()
    let first = fixture.call().box
    let peer = try fixture.succeed()
    var crossing = ResultBox()
    try peer.goAway { crossing = fixture.call().box }
    #expect(crossing.results.isEmpty)
    let next = try fixture.succeed()
    try fixture.reply(from: next)
    #expect(crossing.isSuccess)
    #expect(first.results.isEmpty)
    #expect(peer.streams.count == 1, "the peer must not see the call above its last id")
    try fixture.reply(from: peer)
    #expect(first.isSuccess)
    #expect(peer.connection.isClosed && !next.connection.isClosed)
  }

  @Test func theDeadlineSpansAllAttempts() throws {
    let fixture = CoreFixture()
    let box = fixture.call(timeout: .seconds(2), retrySafe: true).box
    let peer = try fixture.succeed()
    fixture.loop.advanceTime(by: .milliseconds(1500))
    peer.channel.pipeline.fireChannelInactive()
    fixture.loop.run()
    let next = try fixture.succeed()
    let fields = next.fields(try #require(next.streams.last))
    #expect(fields.first { $0.0 == "grpc-timeout" }?.1 == "500000u")
    fixture.loop.advanceTime(by: .milliseconds(500))
    #expect(box.failure?.code == .deadlineExceeded)
  }

  @Test func cancellingACallThatWaitsEndsItOnce() throws {
    let fixture = CoreFixture()
    let (exchange, box) = fixture.call()
    exchange.cancel()
    #expect(box.failure?.code == .cancelled)
    try fixture.succeed()
    #expect(box.results.count == 1)
    #expect(fixture.peers[0].streams.isEmpty)
  }

  @Test(arguments: [0, 2])
  func aUnaryCallTakesExactlyOneMessage(_ messages: Int) throws {
    let fixture = CoreFixture()
    let box = fixture.call().box
    try fixture.reply(from: try fixture.succeed(), messages: messages)
    #expect(box.failure?.code == .internal)
  }

  @Test func closingEndsWhatWaitsAndWhatRuns() throws {
    let fixture = CoreFixture()
    let running = fixture.call().box
    try fixture.succeed()
    fixture.core.close(gracefully: false)
    #expect(running.failure?.code == .unavailable)
    #expect(fixture.call().box.failure?.code == .unavailable)
    let waiting = CoreFixture()
    let box = waiting.call().box
    waiting.core.close(gracefully: false)
    #expect(box.failure?.code == .unavailable)
    try waiting.succeed()
    #expect(waiting.peers[0].connection.isClosed)
  }

  @Test func aGracefulCloseLetsTheReplyCome() throws {
    let fixture = CoreFixture()
    let box = fixture.call().box
    let peer = try fixture.succeed()
    fixture.core.close(gracefully: true)
    try fixture.reply(from: peer)
    #expect(box.isSuccess)
    #expect(peer.connection.isClosed)
  }
}
