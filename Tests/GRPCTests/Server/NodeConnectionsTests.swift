// The bounds on connections and what is counted about them; accepting without descriptors; sweeps.

import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite struct NodeConnectionsTests {
  private func node(
    max: Int = .max, ofAddress: Int? = nil, reserved: Int = 2
  ) -> NodeConnections {
    var limits = ConnectionLimits()
    limits.maxConnections = max
    limits.maxConnectionsOfAddress = ofAddress
    limits.reserved = reserved
    return NodeConnections(limits: limits)
  }

  private func address(_ text: String) throws -> SocketAddress {
    try SocketAddress(ipAddress: text, port: 1)
  }

  @Test func connectionsAboveTheBoundAreInTheReserveAndPastThatThereIsNoPlace() {
    let node = node(max: 2, reserved: 1)
    let places = (0..<4).map { _ in node.admit(nil) }
    #expect(places.map { $0 == nil } == [false, false, false, true])
    #expect(places.map { $0?.excess } == [nil, nil, .tooManyConnections, nil])
    #expect(node.open == 3)
    #expect(node.count(of: .tooManyConnections) == 1)
    // A place that was given back is a client's.
    places[0]?.close()
    places[0]?.close()
    #expect(node.open == 2)
    let next = node.admit(nil)
    #expect(next != nil && next?.excess == nil)
  }

  @Test func aLinkLeavesTheClientsAccount() {
    let node = node(max: 1, reserved: 1)
    let link = node.admit(nil)
    link?.becomeLink()
    let client = node.admit(nil)
    #expect(client?.excess == nil)
    // So does one that came when clients had all there is.
    let late = node.admit(nil)
    #expect(late?.excess == .tooManyConnections)
    late?.becomeLink()
    #expect(late?.excess == nil)
    #expect(node.admit(nil)?.excess == .tooManyConnections)
    #expect(node.entries(prefix: "x_")["x_connections_links"] == 2)
    for place in [link, client, late] { place?.close() }
    late?.becomeLink()
    #expect(node.entries(prefix: "x_")["x_connections_links"] == 0)
  }

  @Test func anAddressHasABoundOfItsOwn() throws {
    let node = node(ofAddress: 2)
    let (one, other) = (try address("10.0.0.1"), try address("10.0.0.2"))
    let first = node.admit(one)
    _ = node.admit(one)
    #expect(node.admit(one)?.excess == .tooManyConnectionsOfAddress)
    #expect(node.admit(other)?.excess == nil)
    first?.close()
    #expect(node.admit(one)?.excess == nil)
    #expect(node.sentence(.tooManyConnectionsOfAddress).contains("2 connections of your address"))
  }

  @Test func anIPv6NetworkOf64BitsIsOneAddressAndAMappedOneIsItsIPv4() throws {
    let node = node(ofAddress: 1)
    #expect(node.admit(try address("2001:db8::1"))?.excess == nil)
    #expect(node.admit(try address("2001:db8::ffff:1"))?.excess == .tooManyConnectionsOfAddress)
    #expect(node.admit(try address("2001:db8:0:1::1"))?.excess == nil)
    #expect(node.admit(try address("::ffff:10.0.0.1"))?.excess == nil)
    #expect(node.admit(try address("10.0.0.1"))?.excess == .tooManyConnectionsOfAddress)
  }

  @Test func countersHaveTheSameNamesFromTheStartAndAddUp() {
    let node = node()
    let before = node.entries(prefix: "x_")
    #expect(before.values.allSatisfy { $0 == 0 })
    node.ended(.tooManyPings)
    node.ended(.idle)
    node.ended(.tooManyConnections)
    node.calls(reset: 3)
    node.callRefused()
    let after = node.entries(prefix: "x_")
    #expect(before.keys.sorted() == after.keys.sorted())
    #expect(after["x_connections_cut_too_many_pings_total"] == 1)
    #expect(after["x_connections_cut_total"] == 2)
    #expect(after["x_connections_refused_total"] == 1)
    #expect(after["x_connections_refused_too_many_connections_total"] == 1)
    #expect(after["x_resets_total"] == 3)
    #expect(after["x_refused_calls_total"] == 1)
  }

  // MARK: - Accepting

  @Test func withoutDescriptorsAcceptingPausesLongerEachTimeAndContinues() throws {
    let channel = EmbeddedChannel()
    var isAccepting = true
    let pause = AcceptPause(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
      isAccepting = $1
    }
    try channel.pipeline.syncOperations.addHandler(pause)
    func pauseMillis() -> Int {
      channel.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept"))
      var millis = 0
      while !isAccepting {
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(10))
        millis += 10
      }
      return millis
    }
    #expect((0..<6).map { _ in pauseMillis() } == [100, 200, 400, 800, 1_000, 1_000])
    // A connection was accepted: the next shortage is a new one.
    channel.pipeline.fireChannelRead(EmbeddedChannel() as any Channel)
    #expect(pauseMillis() == 100)
    _ = try channel.finish(acceptAlreadyClosed: true)
  }

  @Test func otherErrorsAreNotItsBusiness() throws {
    let channel = EmbeddedChannel()
    let pause = AcceptPause(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try channel.pipeline.syncOperations.addHandler(pause)
    channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNABORTED, reason: "accept"))
    #expect(throws: IOError.self) { try channel.throwIfErrorCaught() }
    _ = try channel.finish(acceptAlreadyClosed: true)
  }

  // MARK: - Sweeps

  private final class Swept: SweptConnection {
    var listIndex = -1
    var sweeps = 0
    var onSweep: () -> Void = {}

    func sweep(nowNanos: UInt64) {
      sweeps += 1
      onSweep()
    }
  }

  @Test func aSweepOfManyConnectionsIsDoneInSlicesAndSeesEachOfThem() {
    let loop = EmbeddedEventLoop()
    let scheduler = LoopScheduler(eventLoop: loop)
    let list = ConnectionList<Swept>(scheduler: scheduler, sweepNanos: 1_000_000)
    let connections = (0..<300).map { _ in Swept() }
    for connection in connections { list.add(connection) }
    loop.advanceTime(by: .milliseconds(1))
    let atOnce = connections.filter { $0.sweeps > 0 }.count
    #expect(atOnce < 300)
    // Some leave in the middle of it, by themselves or because of others.
    for connection in connections.prefix(30) { list.remove(connection) }
    connections[200].onSweep = { list.remove(connections[200]) }
    while scheduler.hasTurns { loop.advanceTime(by: LoopScheduler.turnPause) }
    #expect(connections[30...].allSatisfy { $0.sweeps > 0 })
    #expect(connections.prefix(30).allSatisfy { $0.sweeps == 0 })
    #expect(list.count == 269)
    for connection in connections { list.remove(connection) }
    #expect(list.count == 0)
  }
}
