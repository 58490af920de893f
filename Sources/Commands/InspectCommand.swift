// A key's memory and type: Inspect, and the Redis commands for its parts.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  package static let inspect = onKey(
    V1.KeyStore.inspect, "INSPECT key", shows: .inspection(.all),
    "Shows a key's memory use, idle time, encoding and other details.",
    also: [
      RequestForm(
        "OBJECT ENCODING|IDLETIME key", .inspection(.encoding),
        "Shows the encoding of a value in memory, or the idle time of its key in seconds.",
        orShows: { $0.isWord(1, "IDLETIME") ? .inspection(.idleSeconds) : nil }
      ) { words, database throws(ArgumentError) in
        _ = try words.choice(1, "the word after OBJECT", "ENCODING", "IDLETIME")
        return V1.InspectRequest(key: words[2], database: database)
      },
      RequestForm(
        "MEMORY USAGE key", .inspection(.bytes),
        "Shows how many bytes of memory a key and its value use."
      ) { words, database throws(ArgumentError) in
        guard words.isWord(1, "USAGE") else {
          throw .badOptions("the word after MEMORY must be USAGE")
        }
        return V1.InspectRequest(key: words[2], database: database)
      },
    ]
  ) { (_: V1.InspectRequest, place, keyspace, context, reply: inout V1.InspectResponse) in
    reply.slot = UInt32(place.lookup.slot)
    if let facts = keyspace.store.facts(at: place) {
      reply.found = true
      reply.type = V1.ValueType(facts.type)
      reply.encoding = V1.ValueEncoding(facts.encoding)
      reply.bytes = Int64(facts.memoryBytes)
      reply.length = Int64(facts.length)
      reply.idleMillis = facts.idleMillis(at: context.call.wallMillis)
      if place.expires { reply.ttlMillis = place.expiry.millisLeft(context) }
      reply.version = place.version
    }
    // The shard's name has no lasting memory, so the reply is encoded while it is valid.
    var encoded = ByteBuffer()
    var shard = keyspace.ownership.shard
    shard.withUTF8 {
      reply.shard = UnsafeRawBufferPointer($0)
      reply.write(into: &encoded)
    }
    return .encoded(encoded)
  }
}

/// Which part of an inspection is shown.
package enum InspectForm: Sendable, Hashable {
  case all, encoding, idleSeconds, bytes
}

extension V1.InspectRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], database: database)
  }
}

extension V1.ValueEncoding {
  fileprivate init(_ encoding: KeyFacts.Encoding) {
    self =
      switch encoding {
      case .integer: .integer
      case .inline: .inline
      case .block: .block
      case .chunks: .chunks
      }
  }
}
