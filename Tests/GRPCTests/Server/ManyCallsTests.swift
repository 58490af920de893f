// Very many calls at once: each gets its reply, and none of them holds more than it must.

import HTTP2
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

@Suite struct ManyCallsTests {
  /// Keeps all calls, and replies to them when the test says so.
  final class PatientService: ServerService {
    var waiting: [ServerCall] = []
    var ended = 0

    func method(path: UnsafeRawBufferPointer) -> ServerMethod? { ServerMethod(id: 1, kind: .unary) }
    func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) { waiting.append(call) }
    func streamOpened(_ call: ServerCall) {}
    func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {}
    func streamHalfClosed(_ call: ServerCall) {}
    func streamWritable(_ call: ServerCall) {}
    func callEnded(_ call: ServerCall, _ reason: CallEnd) { ended += 1 }

    func replyToAll() {
      for call in waiting { call.respond { $0.writeInteger(UInt8(1)) } }
      waiting = []
    }
  }

  @Test(arguments: [(1_000, 100), (100, 1_000)])
  func aHundredThousandCallsAtOnceEachGetAReply(connections: Int, streams: Int) throws {
    let eventLoop = EmbeddedEventLoop()
    let service = PatientService()
    let loop = ServerLoop(
      eventLoop: eventLoop, service: service, configuration: ServerConfiguration(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let request = try RawRequest(path: "/t/any", message: [1, 2, 3])
    let clients = try (0..<connections).map { _ in
      try RawClient(loop, eventLoop, hello: request.hello)
    }
    for client in clients { try client.open(streams, request) }
    eventLoop.run()
    #expect(service.waiting.count == connections * streams)
    let held = clients.reduce(0) { sum, client in
      client.handler.session.liveStreams.reduce(sum) {
        $0 + $1.inbound.capacity + $1.outbound.capacity
      }
    }
    #expect(held <= 64 * connections * streams, "\(held) bytes of buffers")

    // Half of the clients go away; the others get their replies.
    for client in clients.prefix(connections / 2) { client.channel.close(promise: nil) }
    // What there was of them is put away in turns.
    #expect(service.ended == 0)
    while loop.flusher.scheduler.hasTurns { eventLoop.advanceTime(by: LoopScheduler.turnPause) }
    #expect(service.ended == connections / 2 * streams)
    service.waiting.removeAll { !$0.isOpen }
    service.replyToAll()
    eventLoop.run()
    while loop.flusher.scheduler.hasTurns { eventLoop.advanceTime(by: LoopScheduler.turnPause) }
    for client in clients { try client.take() }
    #expect(clients.reduce(0) { $0 + $1.ended } == connections / 2 * streams)
    #expect(clients.reduce(0) { $0 + $1.bodyBytes } == connections / 2 * streams * 6)
    #expect(clients.allSatisfy { $0.handler.tally.open == 0 })
    for client in clients { _ = try? client.channel.finish(acceptAlreadyClosed: true) }
  }
}
