// The commands on keys of any type.

import RingstoreAPI
import Store

extension Command {
  static let onAnyType: [Command] = [.delete, .exists, .type, .touch, .inspect]

  package static let delete = onKey(
    V1.KeyStore.delete, "DEL key [key ...]", aliases: ["DELETE"], shows: .removed,
    "Removes a key of any type, or several.", orMany: manyDeletes,
    also: [
      RequestForm(
        "UNLINK key [key ...]", .count,
        "Removes keys of any type, and counts those that existed.",
        orMany: manyDeletes
      ) { V1.DeleteRequest($0, database: $1) }
    ], needsMemory: false
  ) {
    (request: V1.DeleteRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    if request.condition != nil, try !request.conditionIsMet(at: place, keyspace) {
      reply = V1.Status(version: place.version)
      return .done
    }
    let version = keyspace.store.delete(at: place)
    reply = V1.Status(ok: true, count: version == nil ? 0 : 1, version: version ?? 0)
    return .done
  }

  private static let manyDeletes = ManyKeyWords(.mDelete, V1.MDeleteRequest.Field.keys) {
    V1.DeleteRequest(key: $0, database: $1)
  }

  package static let exists = onKey(
    V1.KeyStore.exists, "EXISTS key [key ...]", shows: .count,
    "Shows whether a key exists, or how many of several keys exist.",
    orMany: ManyKeyWords(.mExists, V1.ManyKeysRequest.Field.keys) {
      V1.Key(key: $0, database: $1)
    }
  ) { (_: V1.Key, place, _, _, reply: inout V1.Status) in
    reply = V1.Status(ok: true, count: place.type == .none ? 0 : 1)
    return .done
  }

  package static let type = onKey(
    V1.KeyStore.type, "TYPE key", shows: .type,
    "Shows whether a key holds a string, a list or nothing."
  ) { (_: V1.Key, place, _, _, reply: inout V1.TypeResponse) in
    reply = V1.TypeResponse(type: V1.ValueType(place.type))
    return .done
  }

  package static let touch = onKey(
    V1.KeyStore.touch, "TOUCH key [key ...]", shows: .count,
    "Marks keys as used now, and counts those that exist.",
    orMany: ManyKeyWords(.mTouch, V1.ManyKeysRequest.Field.keys) {
      V1.Key(key: $0, database: $1)
    }
  ) { (_: V1.Key, place, _, _, reply: inout V1.Status) in
    // To find it was to use it.
    reply = V1.Status(ok: true, count: place.type == .none ? 0 : 1)
    return .done
  }
}

extension V1.ValueType {
  package init(_ type: Store.ValueType) { self.init(rawValue: Int32(type.rawValue)) }
}

extension V1.DeleteRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], database: database)
  }

  @inline(never)
  fileprivate func conditionIsMet(
    at place: KeyPlace, _ keyspace: Keyspace
  ) throws(CallError) -> Bool {
    switch condition {
    case nil: return true
    case .ifVersion(let version): return place.version == version
    case .ifValue(let value):
      let found = try Command.strings { () throws(Store.StoreError) in
        try keyspace.store.string(at: place)
      }
      return found?.bytes.elementsEqual(value) ?? false
    }
  }
}
