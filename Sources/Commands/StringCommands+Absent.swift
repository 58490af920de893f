// Several keys of one slot, stored if none of them is there: all of them, as one group of effects,
// or none.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  package static let mSetIfAbsent = onKey(
    V1.KeyStore.mSetIfAbsent, "MSETNX key value [key value ...]", shows: .isDone,
    "Stores values under several keys of one slot if none of the keys exists.",
    orCall: { words, database throws(ArgumentError) in
      try V1.MSetIfAbsentRequest.ofMany(words, database: database)
    },
    otherKeys: { (try? V1.MSetIfAbsentRequest($0))?.others.map(\.key) ?? [] }
  ) {
    (request: V1.MSetIfAbsentRequest, place, keyspace, context, reply: inout V1.Status)
      throws(CallError) in
    let count = request.others.count + 1
    guard count <= keyspace.limits.maxItems else {
      throw .tooManyItems(count, max: keyspace.limits.maxItems)
    }
    let (slot, database) = (place.lookup.slot, request.database)
    var present = place.type == .none ? nil : place.version
    for other in request.others {
      try keyspace.checkSlot(of: other.key, database, slot, context.call)
      let found = try keyspace.find(other.key, database, context.call)
      if present == nil, found.type != .none { present = found.version }
    }
    if let present {
      reply = V1.Status(version: present)
      return .done
    }
    let version = try keyspace.store.inOneGroup(slot: slot) { () throws(CallError) in
      var version = try put(request.key, request.value, database, keyspace, context)
      for other in request.others {
        version = try put(other.key, other.value, database, keyspace, context)
      }
      return version
    }
    reply = V1.Status(ok: true, count: Int64(count), version: version)
    return .done
  }

  /// Looks the key up again: those before it have changed the store.
  private static func put(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ database: UInt32,
    _ keyspace: Keyspace, _ context: ExecutionContext
  ) throws(CallError) -> UInt64 {
    let place = try keyspace.find(key, database, context.call)
    return keyspace.store.set(value, in: context.block, at: place)
  }
}

extension V1.MSetIfAbsentRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], value: words[2], database: database)
  }

  /// The call with more than one key; nil if there is one.
  fileprivate static func ofMany(
    _ words: CommandWords, database: UInt32
  ) throws(ArgumentError) -> (any KeyedCall)? {
    if words.count == 3 { return nil }
    guard !words.count.isMultiple(of: 2) else {
      throw .badOptions("MSETNX needs a value for every key")
    }
    var request = ByteBuffer()
    V1.MSetIfAbsentRequest(words, database: database).write(into: &request)
    for index in stride(from: 3, to: words.count, by: 2) {
      request.append(Field.others, V1.KeyAndValue(key: words[index], value: words[index + 1]))
    }
    return EncodedCall(
      command: Command.mSetIfAbsent, key: words[1], database: database, request: request)
  }
}
