// Bytes that no honest peer sends. Nothing may trap, and memory stays bounded.

import NIOCore
import TestSeeds
import Testing

@testable import HTTP2

@Suite struct HostileInputTests {
  /// Bytes of an honest conversation, to be spoilt.
  func honestBytes(of role: HTTP2Session.Role) throws -> [UInt8] {
    let wire = try InMemoryWire()
    wire.onServer = Sample.echo
    for index in 0..<4 { _ = wire.request("/m\(index)", body: Array(repeating: 5, count: 100)) }
    wire.client.ping(payload: 7)
    let fromClient = wire.output(of: wire.client)
    wire.feed(wire.server, fromClient)
    return role == .client ? fromClient : wire.output(of: wire.server)
  }

  func victim(_ role: HTTP2Session.Role) throws -> InMemoryWire {
    let wire = try InMemoryWire()
    wire.onServer = Sample.echo
    if role == .client {
      for _ in 0..<4 { _ = wire.request(body: [1]) }
      _ = wire.output(of: wire.client)
    }
    return wire
  }

  @Test(arguments: [HTTP2Session.Role.server, .client])
  func spoiltConversationsNeverTrap(_ role: HTTP2Session.Role) throws {
    var random = SeededRandom(seed: TestSeed.value)
    let honest = try honestBytes(of: role == .server ? .client : .server)
    for round in 0..<1_500 {
      var bytes = honest
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        default: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
      }
      let wire = try victim(role)
      wire.sliceBytes = Int.random(in: 1...400, using: &random)
      let session = role == .server ? wire.server : wire.client
      wire.feed(session, bytes)
      _ = wire.output(of: session)
      session.connectionLost()
      wire.drain()
      #expect(session.liveStreamCount == 0, "seed \(TestSeed.value) round \(round)")
    }
  }

  @Test(arguments: [HTTP2Session.Role.server, .client])
  func randomFramesNeverTrap(_ role: HTTP2Session.Role) throws {
    var random = SeededRandom(seed: TestSeed.value)
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    for round in 0..<1_500 {
      let wire = try victim(role)
      let session = role == .server ? wire.server : wire.client
      wire.feed(session, role == .server ? preface : Array(preface.suffix(9)))
      for _ in 0..<20 {
        let length = Int.random(in: 0...40, using: &random)
        let header: [UInt8] = [
          0, 0, UInt8(length), UInt8.random(in: 0...12, using: &random),
          UInt8.random(in: 0...255, using: &random), 0, 0, 0,
          UInt8.random(in: 0...9, using: &random),
        ]
        let payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
        wire.feed(session, header + payload)
        _ = wire.output(of: session)
      }
      session.connectionLost()
      wire.drain()
      #expect(session.liveStreamCount == 0, "seed \(TestSeed.value) round \(round)")
    }
  }
}
