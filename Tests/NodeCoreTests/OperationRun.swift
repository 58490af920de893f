// One call that is made of parts, run by hand on a FakePort.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

struct OperationRun {
  let port: FakePort
  let running: FakeFanout

  init(_ id: CommandID, _ message: [UInt8], on port: FakePort) throws {
    self.port = port
    let operation = try message.withUnsafeBytes { bytes in
      try OperationFactory.make(
        id, message: bytes, CallContext(), limits: port.limits,
        describe: {
          DescribeMerge(cluster: "test", map: nil, router: nil, shardIDs: port.shardIDs)
        })
    }
    running = FakeFanout(operation, on: port)
  }

  init(_ id: CommandID, _ message: some Message, on port: FakePort) throws {
    try self.init(id, try message.serializedBytes(), on: port)
  }

  var error: CallError? {
    if case .failure(let error)? = port.outcome { error } else { nil }
  }

  /// The reply; fails the test where there is none.
  func reply<Reply: Message>(_ type: Reply.Type = Reply.self) throws -> Reply {
    guard case .success(let response) = try #require(port.outcome) else {
      throw try #require(error)
    }
    return try Reply(serializedBytes: response.array)
  }

  /// Why a request is refused before any part is sent; nil if it isn't.
  static func refusal(_ id: CommandID, _ message: some Message) throws -> CallError? {
    do {
      _ = try OperationRun(id, message, on: FakePort(shards: 1))
      return nil
    } catch let error as CallError {
      return error
    }
  }
}
