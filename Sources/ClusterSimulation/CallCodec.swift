// Between the history's calls and the API's messages: requests out, answers and errors in.
//
// Owns nothing. Pure; any thread.

import Commands
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
        value.withUnsafeBytes { V1.KeyValue(key: key, value: $0).write(into: &request) }
      case .incrBy(let delta):
        V1.IncrByRequest(key: key, delta: delta).write(into: &request)
      case .pushHead(let values), .pushTail(let values):
        V1.ListInsert(key: key).write(into: &request)
        for value in values {
          value.withUnsafeBytes { request.append(V1.ListInsert.Field.values, $0) }
        }
      case .range(let start, let stop):
        V1.ListRange(key: key, start: start, stop: stop).write(into: &request)
      case .get, .delete, .popHead, .popTail, .length, .exists, .type, .wipe:
        V1.Key(key: key).write(into: &request)
      }
    }
  }

  /// The field of a call on many keys that holds its items' requests.
  static func items(of command: CommandID) -> BytesField {
    switch command {
    case .mGet: V1.MGetRequest.Field.keys
    case .mDelete: V1.MDeleteRequest.Field.keys
    case .mLRange: V1.MLRangeRequest.Field.ranges
    default: V1.MSetRequest.Field.items
    }
  }

  /// What a call on many keys answered for each item; nil for an item without an outcome.
  static func outcomes(
    of command: CommandID, _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> [Result<KeyReply, CallError>?] {
    switch command {
    case .mGet:
      return try V1.MGetResponse(response).items.map { item in
        switch item.outcome {
        case .value(let reply): .success(value(reply))
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    case .mLRange:
      return try V1.MLRangeResponse(response).items.map { item in
        switch item.outcome {
        case .list(let reply): .success(elements(reply))
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    case .mDelete:
      return try V1.MDeleteResponse(response).items.map { item in
        switch item.outcome {
        case .status(let reply): .success(.count(reply.count))
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    default:
      return try V1.MSetResponse(response).items.map { item in
        switch item.outcome {
        case .status: .success(.done)
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    }
  }

  private static func value(_ reply: V1.Value) -> KeyReply {
    .value(reply.found ? Array(reply.value) : nil)
  }

  private static func elements(_ reply: V1.ListValues) -> KeyReply {
    .elements(reply.found ? reply.values.map { Array($0) } : nil)
  }

  /// - Throws: `WireError` where the response is no message.
  static func reply(
    to call: KeyCall, _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> KeyReply {
    switch call {
    case .get, .popHead, .popTail:
      return value(try V1.Value(response))
    case .set, .wipe:
      return .done
    case .delete, .pushHead, .pushTail, .length, .exists:
      return .count(try V1.Status(response).count)
    case .incrBy:
      return .integer(try V1.IncrByResponse(response).value)
    case .type:
      switch try V1.TypeResponse(response).type {
      case .string: return .type(.string)
      case .list: return .type(.list)
      default: return .type(.none)
      }
    case .range:
      return elements(try V1.ListValues(response))
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
