// The facts about a key, for people and as JSON. Pure, any thread.

import Commands
import RingstoreClient

extension CommandLineCall {
  static func shown(_ inspection: RingstoreInspection, as form: ReplyForm) -> ShownReply {
    switch form {
    case .inspection(.encoding): return .word(inspection.encoding.name)
    case .inspection(.idleSeconds): return .integer(inspection.idle.components.seconds)
    case .inspection(.bytes): return .integer(Int64(inspection.bytes))
    default: return .facts(inspection.facts)
    }
  }
}

extension RingstoreInspection {
  fileprivate var facts: [ShownReply.Fact] {
    [
      .init("type", .word(type.name)), .init("encoding", .word(encoding.name)),
      .init("bytes", .integer(Int64(bytes))), .init("length", .integer(Int64(length))),
      .init("idle_millis", .integer(idle.wholeMillis)),
      .init("ttl_millis", remaining.map { .integer($0.wholeMillis) } ?? .value(nil)),
      .init("version", .integer(Int64(clamping: version))), .init("slot", .integer(Int64(slot))),
      .init("shard", .word(shard)),
    ]
  }
}

extension RingstoreType {
  var name: String {
    switch self {
    case .none: "none"
    case .string: "string"
    case .list: "list"
    case .other(let number): "type-\(number)"
    }
  }
}

extension RingstoreInspection.Encoding {
  var name: String {
    switch self {
    case .integer: "integer"
    case .inline: "inline"
    case .block: "block"
    case .chunks: "chunks"
    case .other(let number): "encoding-\(number)"
    }
  }
}

extension Duration {
  fileprivate var wholeMillis: Int64 {
    components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
  }
}
