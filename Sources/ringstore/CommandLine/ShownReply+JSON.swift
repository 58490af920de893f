// Replies and errors as JSON, one value each.

import RingstoreClient
import TextForms

extension ShownReply {
  package var json: JSONValue {
    switch self {
    case .ok: .string("OK")
    case .value(let bytes): bytes.map { .bytes($0) } ?? .null
    case .integer(let number): .integer(number)
    case .word(let word): .string(word)
    case .list(let items): .array(items.map(\.json))
    case .error(let error): .object([.init("error", error.json)])
    case .text(let text): .string(text)
    case .facts(let facts): .object(facts.map { .init($0.name, $0.value.json) })
    }
  }
}

extension RingstoreError {
  var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("code", .string(code.name)),
      .init("reason", reason.map { .string($0.rawValue) } ?? .null),
      .init("message", .string(message)),
    ]
    if let shard { members.append(.init("shard", .string(shard))) }
    if isOutcomeUnknown { members.append(.init("outcome_unknown", .bool(true))) }
    if let retryDelay {
      let (seconds, attoseconds) = retryDelay.components
      let millis = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
      members.append(.init("retry_delay_ms", .integer(millis)))
    }
    return .object(members)
  }
}

extension CommandLineCall.Misuse {
  /// In the form of a call's error.
  var json: JSONValue {
    let error: [JSONValue.Member] = [
      .init("code", .string(RingstoreError.Code.invalidArgument.name)),
      .init("reason", .string("USAGE")), .init("message", .string(sentence)),
    ]
    return .object([.init("error", .object(error))])
  }
}
