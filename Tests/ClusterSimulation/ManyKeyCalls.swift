// Between the history's calls and the API's messages where a call is on many keys, and what errors
// mean. Calls on one key are encoded and read as the command table says (KeyCall).
//
// Owns nothing. Pure; any thread.

import Commands
import NIOCore
import RingstoreAPI

/// A call on many keys: what it is for each of them.
struct ManyKeyCalls {
  let command: Command
  /// The call that each item is.
  let element: Command
  /// The field of the request that holds the items' requests.
  let items: BytesField

  static let all = [
    ManyKeyCalls(command: .mGet, element: .get, items: V1.MGetRequest.Field.keys),
    ManyKeyCalls(command: .mSet, element: .set, items: V1.MSetRequest.Field.items),
    ManyKeyCalls(command: .mDelete, element: .delete, items: V1.MDeleteRequest.Field.keys),
    ManyKeyCalls(command: .mExists, element: .exists, items: V1.ManyKeysRequest.Field.keys),
    ManyKeyCalls(command: .mTouch, element: .touch, items: V1.ManyKeysRequest.Field.keys),
    ManyKeyCalls(command: .mLRange, element: .lRange, items: V1.MLRangeRequest.Field.ranges),
  ]

  func write(_ items: [SimulatedCall.Item], into request: inout ByteBuffer) {
    for item in items {
      let mark = request.beginLengthDelimited(self.items)
      item.call.write(key: item.key, into: &request)
      request.endLengthDelimited(mark)
    }
  }

  /// The outcome of each item; nil for an item without an outcome.
  func outcomes(
    _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> [Result<KeyReply, CallError>?] {
    switch command.id {
    case .mGet:
      return try V1.MGetResponse(response).items.map { item in
        switch item.outcome {
        case .value(let reply): .success(KeyReply(reply))
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    case .mLRange:
      return try V1.MLRangeResponse(response).items.map { item in
        switch item.outcome {
        case .list(let reply): .success(KeyReply(reply))
        case .error(let error): .failure(CallError(error))
        case nil: nil
        }
      }
    case .mExists, .mTouch:
      return try V1.ManyStatusesResponse(response).items.map { item in
        Self.outcome(item) { .count($0.count) }
      }
    case .mDelete:
      return try V1.MDeleteResponse(response).items.map { item in
        Self.outcome(item) { .count($0.count) }
      }
    default:
      return try V1.MSetResponse(response).items.map { item in Self.outcome(item) { _ in .done } }
    }
  }

  private static func outcome(
    _ item: V1.StatusItem, _ reply: (V1.Status) -> KeyReply
  ) -> Result<KeyReply, CallError>? {
    switch item.outcome {
    case .status(let status): .success(reply(status))
    case .error(let error): .failure(CallError(error))
    case nil: nil
    }
  }
}

extension Outcome {
  /// What a client may conclude from an error, by the rules of docs/CONSISTENCY.md; nil for an
  /// error that a cluster with one slot map and well-behaved clients must not give.
  package init?(_ error: CallError) {
    switch error.reason {
    case .wrongType: self = .ok(.refused(.wrongType))
    case .notAnInteger: self = .ok(.refused(.notAnInteger))
    case .integerOverflow: self = .ok(.refused(.overflow))
    case .noSuchKey: self = .ok(.refused(.noSuchKey))
    case .indexOutOfRange: self = .ok(.refused(.indexOutOfRange))
    case .shardUnavailable, .overloaded, .mapConflict, .diskFull, .logStalled: self = .notExecuted
    case .outcomeUnknown, .viewExpired: self = .unknown
    default:
      guard error.code == .deadlineExceeded || error.code == .cancelled else { return nil }
      self = .unknown
    }
  }
}
