// A small service for tests of client and server together. Its methods, by path:
//   /t/Echo      unary: the request comes back
//   /t/Metadata  unary: "name=value;" of the client's own metadata, -bin as decimal bytes
//   /t/Fail      unary: FAILED_PRECONDITION with words, details and pushback
//   /t/Never     unary: no reply
//   /t/Stream    both ways: each message comes back
//   /t/Count     n bytes in, n messages of 1000 bytes out, as far as the client takes them
//   /t/Deaf      streaming: reads nothing

import NIOConcurrencyHelpers
import NIOCore

@testable import GRPC

/// What the service saw, for the test's own thread.
final class ServiceLog: Sendable {
  private struct Counts {
    var calls = 0
    var cancelled = 0
    var deadlines = 0
    var sent = 0
    var deadlineNanos: [UInt64?] = []
    var peers: [PeerIdentity] = []
  }
  private let counts = NIOLockedValueBox(Counts())

  var calls: Int { counts.withLockedValue { $0.calls } }
  var cancelled: Int { counts.withLockedValue { $0.cancelled } }
  var deadlines: Int { counts.withLockedValue { $0.deadlines } }
  var sent: Int { counts.withLockedValue { $0.sent } }
  var hadDeadline: [Bool] { counts.withLockedValue { $0.deadlineNanos.map { $0 != nil } } }

  /// Who made the calls, one each.
  var peers: [PeerIdentity] { counts.withLockedValue { $0.peers } }

  func noteCall(_ call: ServerCall) {
    let deadline = call.deadlineNanos
    let peer = call.connection?.peer
    counts.withLockedValue {
      if let peer { $0.peers.append(peer) }
      $0.calls += 1
      $0.deadlineNanos.append(deadline)
    }
  }
  func noteEnd(_ reason: CallEnd) {
    counts.withLockedValue {
      if reason == .cancelled { $0.cancelled += 1 } else { $0.deadlines += 1 }
    }
  }
  func noteSent() { counts.withLockedValue { $0.sent += 1 } }
}

final class TestService: ServerService {
  private enum Method: Int {
    case echo, metadata, fail, never, stream, count, deaf
  }
  private static let paths: [String: Method] = [
    "/t/Echo": .echo, "/t/Metadata": .metadata, "/t/Fail": .fail, "/t/Never": .never,
    "/t/Stream": .stream, "/t/Count": .count, "/t/Deaf": .deaf,
  ]
  static let failure = RPCStatus(
    .failedPrecondition, "zu groß", details: [1, 2, 3], pushbackMillis: 70)

  private let log: ServiceLog
  init(log: ServiceLog) { self.log = log }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    guard let method = Self.paths[String(decoding: path, as: UTF8.self)] else { return nil }
    switch method {
    case .echo, .metadata, .fail, .never: return ServerMethod(id: method.rawValue, kind: .unary)
    case .stream, .count, .deaf: return ServerMethod(id: method.rawValue, kind: .streaming)
    }
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    log.noteCall(call)
    switch Method(rawValue: call.methodID) {
    case .echo: call.respond(message: message)
    case .metadata:
      let own = call.metadata.entries.filter { $0.name != "user-agent" }
      let text = own.map { entry in
        let value = entry.name.hasSuffix("-bin") ? "\(entry.value)" : entry.text
        return "\(entry.name)=\(value);"
      }
      call.respond { $0.writeString(text.joined()) }
    case .fail: call.fail(Self.failure)
    default: break
    }
  }

  func streamOpened(_ call: ServerCall) {
    log.noteCall(call)
    if call.methodID == Method.deaf.rawValue { call.pauseReading() }
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if call.methodID == Method.count.rawValue {
      call.tag = UInt64(message.count)
      fill(call)
    } else {
      call.send { $0.writeBytes(message) }
    }
  }

  private func fill(_ call: ServerCall) {
    while call.tag > 0, call.isWritable {
      call.tag -= 1
      log.noteSent()
      call.send { $0.writeRepeatingByte(5, count: 1000) }
    }
    if call.tag == 0 { call.finish(.ok) }
  }

  func streamHalfClosed(_ call: ServerCall) {
    if call.methodID == Method.stream.rawValue { call.finish(.ok) }
  }

  func streamWritable(_ call: ServerCall) {
    if call.methodID == Method.count.rawValue { fill(call) }
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) { log.noteEnd(reason) }
}
