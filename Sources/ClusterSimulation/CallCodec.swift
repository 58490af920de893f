// Between the history's calls and the API's messages: requests out, answers and errors in.
//
// Owns nothing. Pure; any thread.

import NIOCore
import RingstoreAPI

enum CallCodec {
  /// The command that carries out a call; nil for what no client can ask for.
  static func command(of call: KeyCall) -> CommandID? {
    switch call {
    case .get: .get
    case .set: .set
    case .delete: .delete
    case .incrBy: .incrBy
    case .pushHead: .lPush
    case .pushTail: .rPush
    case .popHead: .lPop
    case .popTail: .rPop
    case .length: .lLen
    case .exists: .exists
    case .type: .type
    case .range: .lRange
    case .wipe: nil
    }
  }

  /// Appends the request of a call on `key`.
  static func write(_ call: KeyCall, key: [UInt8], into request: inout ByteBuffer) {
    key.withUnsafeBytes { key in
      switch call {
      case .set(let value):
        value.withUnsafeBytes { request.writeSetRequest(key: key, value: $0, database: 0) }
      case .incrBy(let delta):
        request.writeIncrByRequest(key: key, delta: delta, database: 0)
      case .pushHead(let values), .pushTail(let values):
        request.writeListInsertHead(key: key, database: 0)
        for value in values { value.withUnsafeBytes { request.writeListInsertValue($0) } }
      case .range(let start, let stop):
        request.writeListRangeRequest(key: key, start: start, stop: stop, database: 0)
      case .get, .delete, .popHead, .popTail, .length, .exists, .type, .wipe:
        request.writeKeyRequest(key: key, database: 0)
      }
    }
  }

  /// - Throws: `WireError` where the response is no message.
  static func reply(
    to call: KeyCall, _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> KeyReply {
    switch call {
    case .get, .popHead, .popTail:
      let view = try ValueReplyView(response)
      return .value(view.found ? Array(view.value) : nil)
    case .set, .wipe:
      return .done
    case .delete, .pushHead, .pushTail, .length, .exists:
      return .count(try StatusReplyView(response).count)
    case .incrBy:
      return .integer(try IncrByReplyView(response).value)
    case .type:
      switch try NumberReplyView(response).number {
      case 1: return .type(.string)
      case 2: return .type(.list)
      default: return .type(.none)
      }
    case .range:
      let view = try ListValuesReplyView(response)
      return .elements(view.found ? view.values.map { Array($0) } : nil)
    }
  }

  /// What a client may conclude from an error, by the rules of docs/CONSISTENCY.md; nil for an error
  /// that a cluster with one slot map and well-behaved clients must not give.
  static func outcome(of error: CallError) -> Outcome? {
    switch error.reason {
    case .wrongType: return .ok(.refused(.wrongType))
    case .notAnInteger: return .ok(.refused(.notAnInteger))
    case .integerOverflow: return .ok(.refused(.overflow))
    case .shardUnavailable, .overloaded, .mapConflict: return .notExecuted
    case .outcomeUnknown, .viewExpired: return .unknown
    default: break
    }
    return error.code == .deadlineExceeded || error.code == .cancelled ? .unknown : nil
  }
}
