// The legacy services over a port that replies as the test says: what they make of each reply, and
// of none. With real nodes they are tried in Tests/RealClients.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@testable import LegacyServices

@Suite(.timeLimit(.minutes(15)))
struct LegacyCallTests {
  @Test func aPopTakesNothingThatNoTextCanCarry() async throws {
    try await LegacyNode.with { node in
      try await node.script([.lRange: .success(.list([[0xff]]))])
      let status = await node.failure("/KeyStore/LPop", .key)
      #expect(status?.code == .failedPrecondition && status?.reason == .notUTF8)
      #expect(try await node.calls() == [.lRange])
      #expect(try await node.errors() == 1)
    }
  }

  @Test func anElementThatCameInBetweenIsReportedAsGone() async throws {
    try await LegacyNode.with { node in
      try await node.script([
        .lRange: .success(.list([Array("text".utf8)])), .lPop: .success(.value([0xff])),
      ])
      let status = await node.failure("/KeyStore/LPop", .key)
      #expect(status?.code == .unavailable && status?.reason == .outcomeUnknown)
      #expect(status?.pushbackMillis == -1)
      #expect(try await node.calls() == [.lRange, .lPop])
    }
  }

  @Test func anErrorOfThePortIsPassedOnAndNotCountedAgain() async throws {
    try await LegacyNode.with { node in
      let error = CallError.shardUnavailable("b", "gone")
      try await node.script([
        .set: .failure(error), .lRange: .failure(error), .get: .failure(error),
      ])
      for (path, request) in [
        ("/KVStore/SetVal", ByteBuffer.key), ("/KeyStore/LPop", .key), ("/KVStore/GetVal", .key),
      ] {
        let status = await node.failure(path, request)
        #expect(status?.reason == .shardUnavailable, "\(path)")
        #expect(status?.details == error.details(), "\(path)")
      }
      #expect(try await node.errors() == 0)
    }
  }

  @Test func aReplyThatCannotBeDecodedIsAnErrorOfTheNode() async throws {
    try await LegacyNode.with { node in
      let noise = ByteBuffer(bytes: [0xff])
      try await node.script([
        .get: .success(noise), .set: .success(noise), .lRange: .success(noise),
      ])
      for path in ["/KVStore/GetVal", "/KVStore/SetVal", "/KeyStore/Get", "/KeyStore/LPop"] {
        #expect(await node.failure(path, .key)?.code == .internal, "\(path)")
      }
    }
  }

  @Test func aClientThatLeavesTakesItsCallBack() async throws {
    try await LegacyNode.with { node in
      try await node.script([:])
      let call = Task { await node.failure("/KeyStore/Get", .key) }
      try await node.began()
      call.cancel()
      try await node.cancelled()
      #expect(await call.value?.code == .cancelled)
    }
  }

  @Test func aDeadlineIsHandedOnAndTakesTheCallBack() async throws {
    try await LegacyNode.with { node in
      try await node.script([:])
      // A deadline may pass before the call has reached the node at all.
      repeat {
        let status = await node.failure("/KeyStore/Get", .key, timeout: .milliseconds(100))
        #expect(status?.code == .deadlineExceeded)
      } while try await node.calls().isEmpty
      try await node.cancelled()
      let deadline = try await node.onLoop { $0.deadlines.first ?? nil }
      #expect(deadline != nil)
    }
  }

  @Test func aLargeReadIsRefusedWhereOthersHoldTheMemoryAndALargePopIsNot() async throws {
    let large = [UInt8](repeating: 0x61, count: 300_000)
    try await LegacyNode.with { node in
      try await node.script([
        .get: .success(.value(large)), .lPop: .success(.value(large)),
        .lRange: .success(.list([large])),
      ])
      let others = try await node.onLoop { port in
        NIOLoopBound(port.replyMemory.hold(port.limits.replyMemoryBytesMax), eventLoop: node.loop)
      }
      let status = await node.failure("/KeyStore/Get", .key)
      #expect(status?.code == .resourceExhausted && status?.reason == .overloaded)
      #expect(await node.failure("/KeyStore/LPop", .key) == nil)
      try await node.onLoop { _ in withExtendedLifetime(others) {} }
    }
    try await LegacyNode.with { node in
      try await node.script([.get: .success(.value(large))])
      #expect(await node.failure("/KeyStore/Get", .key) == nil)
    }
  }

  @Test func aReplyThatNoMessageMayCarryIsRefused() async throws {
    // The reply repeats the key, so that a list which just fits ringstore.v1 does not fit this.
    let key = [UInt8](repeating: 0x6b, count: 60_000)
    var request = ByteBuffer()
    // A ListRange without bounds.
    key.withUnsafeBytes {
      Legacy.ListRange(key: Legacy.Key(keyName: $0)).write(into: &request)
    }
    let many = [UInt8](repeating: 0x61, count: Limits().maxMessageBytes - 30_000)
    try await LegacyNode.with { node in
      try await node.script([.lRange: .success(.list([many]))])
      let status = await node.failure("/KeyStore/LRange", request)
      #expect(status?.code == .resourceExhausted && status?.reason == .responseTooLarge)
    }
  }
}

extension RPCStatus {
  fileprivate var reason: ErrorReason? {
    CallError(code: code, message: message, details: details).reason
  }
}

extension ByteBuffer {
  /// A request that names the key `k`, of any of the calls that the tests make.
  fileprivate static var key: ByteBuffer { ByteBuffer(bytes: [0x0a, 1, 0x6b]) }

  fileprivate static func value(_ bytes: [UInt8]) -> ByteBuffer {
    var buffer = ByteBuffer()
    bytes.withUnsafeBytes { V1.Value(value: $0, found: true, version: 1).write(into: &buffer) }
    return buffer
  }

  fileprivate static func list(_ values: [[UInt8]]) -> ByteBuffer {
    var buffer = ByteBuffer()
    for value in values { value.withUnsafeBytes { buffer.append(V1.ListValues.Field.values, $0) } }
    V1.ListValues(found: true, length: Int64(values.count), firstIndex: 0).write(into: &buffer)
    return buffer
  }
}
