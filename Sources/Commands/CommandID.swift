// The numbers of calls. Three ranges that never overlap:
//   1..63    enum Method of keystore.proto: calls that may travel in a batch, numbers for ever
//   64..999  parts of fan-outs, between routers and shards only (InternalMethod)
//   1000..   the other calls; these numbers never leave a process

import RingstoreAPI

package enum CommandID: Int, Sendable, CaseIterable {
  case set = 1
  case get = 2
  case delete = 3
  case lPush = 4
  case lRange = 5
  case lPop = 6
  case rPush = 7
  case rPop = 8
  case lLen = 9
  case exists = 10
  case type = 11
  case incrBy = 12

  case lRangeStream = 1000
  case mGet = 1001
  case mSet = 1002
  case mDelete = 1003
  case mLRange = 1004
  case keys = 1005
  case scan = 1006
  case dbSize = 1007
  case reset = 1008
  case pipeline = 1009
  case describe = 1010
  case stats = 1011
  case shutdown = 1012

  static let firstWithoutMethod = 64
}

/// Parts of a fan-out that a router asks one shard for; `method` of LinkCall.
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
}

extension CallError {
  /// A reply of `call` that would pass the message limit, with what to use instead.
  package static func responseTooLarge(of call: CommandID) -> CallError {
    switch call {
    case .lRange, .mLRange: .responseTooLarge(streamingCall: "LRangeStream")
    case .keys: .responseTooLarge(streamingCall: "Scan")
    case .mGet, .mSet, .mDelete: .responseTooLarge(streamingCall: "Pipeline")
    default: .responseTooLarge(streamingCall: nil)
    }
  }
}
