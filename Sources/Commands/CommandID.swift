// The numbers of calls: their identity within a process, in batches and on links.

import RingstoreAPI

/// The ranges of numbers. They never overlap.
@usableFromInline
package enum CallNumbers {
  /// Calls that may travel in a batch: those of enum Method. They never change.
  package static let batched = 1..<64
  /// Parts of fan-outs, between routers and shards only: `InternalMethod`.
  package static let parts = 64..<1_000
  /// The other commands. These numbers, and those below, never leave a process.
  @usableFromInline package static let local = 1_000..<10_000
  /// The link of a router.
  package static let link = 10_000
  /// The calls of the services from before ringstore.v1.
  package static let legacy = 20_000..<21_000
  /// The calls of gRPC's own services: health, reflection, channelz.
  package static let standard = 30_000..<31_000

  /// The size of a table with an entry for each command and each part.
  @inlinable
  package static var places: Int { 192 }
  @inlinable
  static var localPlaces: Int { 128 }
  /// The places of parts in such a table.
  package static let partPlaces = parts.lowerBound..<localPlaces

  /// The place of a command or a part in such a table; nil for a number of neither.
  @inlinable
  package static func place(of number: Int) -> Int? {
    if number < localPlaces { return number }
    let place = number &- local.lowerBound &+ localPlaces
    return place >= localPlaces && place < places ? place : nil
  }
}

/// Which command it is.
package struct CommandID: RawRepresentable, Hashable, Sendable {
  package let rawValue: Int

  /// - Returns: nil if no command has the number.
  package init?(rawValue: Int) {
    guard CommandTable.all.contains(where: { $0.id.rawValue == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  /// - Precondition: the call may travel in a batch.
  init(_ rpc: RPC) {
    guard let method = rpc.method else {
      preconditionFailure("\(rpc.name) has no number in batches")
    }
    rawValue = Int(method.rawValue)
  }

  private init(local number: Int) {
    rawValue = CallNumbers.local.lowerBound + number
  }

  package static let set = CommandID(V1.KeyStore.set)
  package static let get = CommandID(V1.KeyStore.get)
  package static let delete = CommandID(V1.KeyStore.delete)
  package static let exists = CommandID(V1.KeyStore.exists)
  package static let type = CommandID(V1.KeyStore.type)
  package static let touch = CommandID(V1.KeyStore.touch)
  package static let inspect = CommandID(V1.KeyStore.inspect)
  package static let incrBy = CommandID(V1.KeyStore.incrBy)
  package static let lPush = CommandID(V1.KeyStore.lPush)
  package static let rPush = CommandID(V1.KeyStore.rPush)
  package static let lPop = CommandID(V1.KeyStore.lPop)
  package static let rPop = CommandID(V1.KeyStore.rPop)
  package static let lPopMany = CommandID(V1.KeyStore.lPopMany)
  package static let rPopMany = CommandID(V1.KeyStore.rPopMany)
  package static let lIndex = CommandID(V1.KeyStore.lIndex)
  package static let lSet = CommandID(V1.KeyStore.lSet)
  package static let lTrim = CommandID(V1.KeyStore.lTrim)
  package static let lRem = CommandID(V1.KeyStore.lRem)
  package static let lInsert = CommandID(V1.KeyStore.lInsert)
  package static let lPos = CommandID(V1.KeyStore.lPos)
  package static let lMove = CommandID(V1.KeyStore.lMove)
  package static let lRange = CommandID(V1.KeyStore.lRange)
  package static let lLen = CommandID(V1.KeyStore.lLen)

  package static let lRangeStream = CommandID(local: 0)
  package static let mGet = CommandID(local: 1)
  package static let mSet = CommandID(local: 2)
  package static let mDelete = CommandID(local: 3)
  package static let mLRange = CommandID(local: 4)
  package static let keys = CommandID(local: 5)
  package static let scan = CommandID(local: 6)
  package static let dbSize = CommandID(local: 7)
  package static let reset = CommandID(local: 8)
  package static let pipeline = CommandID(local: 9)
  package static let describe = CommandID(local: 10)
  package static let stats = CommandID(local: 11)
  package static let shutdown = CommandID(local: 12)
  package static let reload = CommandID(local: 13)
  package static let mExists = CommandID(local: 14)
  package static let mTouch = CommandID(local: 15)
  package static let randomKey = CommandID(local: 16)
  package static let hotKeys = CommandID(local: 17)
  package static let bigKeys = CommandID(local: 18)
  package static let snapshot = CommandID(local: 19)
  package static let digest = CommandID(local: 20)
  package static let backup = CommandID(local: 21)
  package static let acceptLoss = CommandID(local: 24)
  package static let clients = CommandID(local: 25)
  package static let killClient = CommandID(local: 26)
  package static let logLevel = CommandID(local: 27)
  package static let slowLog = CommandID(local: 28)
  package static let config = CommandID(local: 29)
}

extension CommandID: CustomStringConvertible {
  /// The call as the .proto file has it: "Get".
  package var description: String { CommandTable.command(self)?.name ?? "\(rawValue)" }
}

/// Parts of a fan-out that a router requests from one shard; `method` of LinkCall.
///
/// Their messages are in parts.proto.
package enum InternalMethod: UInt32, Sendable, CaseIterable {
  case keysPart = 64
  case dbSizePart = 65
  case resetPart = 66
  case describePart = 67
  /// A streamed reply: ListValues in chunks of one view.
  case listStreamPart = 68
  case statsPart = 69
  case shutdownPart = 70
  case randomKeyPart = 71
  case hotKeysPart = 72
  case bigKeysPart = 73
  /// The reply is sent when there is news, see ShardSnapshots.
  case snapshotPart = 74
  /// The reply is sent when the walk is done, see ShardDigests.
  case digestPart = 75
  case backupPart = 76
  /// A call about the shard itself that a router received.
  case nodePart = 77

  /// The least number of a part.
  package static let firstNumber = UInt32(CallNumbers.parts.lowerBound)

  /// Whether a call is about the shard itself, and uses no key.
  package static func isAboutNode(_ method: UInt32) -> Bool {
    let methods: [InternalMethod] = [.describePart, .statsPart, .shutdownPart, .nodePart]
    return methods.contains { $0.rawValue == method }
  }
}

extension CallError {
  /// A call of a batch that no batch may carry.
  package static func unbatchable(method: UInt32) -> CallError {
    CallError(code: .unimplemented, message: "No method \(method) can travel in a batch.")
  }

  /// The error for a reply of `call` that would exceed the message limit, with what to use instead.
  package static func responseTooLarge(of call: CommandID) -> CallError {
    switch call {
    case .lRange, .mLRange: .responseTooLarge(streamingCall: "LRangeStream")
    case .keys: .responseTooLarge(streamingCall: "Scan")
    case .mGet, .mSet, .mDelete, .mExists, .mTouch: .responseTooLarge(streamingCall: "Pipeline")
    default: .responseTooLarge(streamingCall: nil)
    }
  }
}
