// The commands on keys of any type.

import RingstoreAPI
import Store

extension Command {
  static let onAnyType: [Command] = [.delete, .exists, .type]

  package static let delete = onKey(
    V1.KeyStore.delete, "DEL key", aliases: ["DELETE"], shows: .removed,
    "Removes a key of any type.", needsMemory: false
  ) { (request: V1.DeleteRequest, place, context, reply: inout V1.Status) throws(CallError) in
    if request.condition != nil, try !request.conditionIsMet(at: place, context) {
      reply = V1.Status(version: place.version)
      return .done
    }
    let version = context.store.delete(at: place)
    reply = V1.Status(ok: true, count: version == nil ? 0 : 1, version: version ?? 0)
    return .done
  }

  package static let exists = onKey(
    V1.KeyStore.exists, "EXISTS key", shows: .count,
    "Tells whether a key holds anything."
  ) { (_: V1.Key, place, _, reply: inout V1.Status) in
    reply = V1.Status(ok: true, count: place.type == .none ? 0 : 1)
    return .done
  }

  package static let type = onKey(
    V1.KeyStore.type, "TYPE key", shows: .type,
    "Tells whether a key holds a string, a list or nothing."
  ) { (_: V1.Key, place, _, reply: inout V1.TypeResponse) in
    reply = V1.TypeResponse(type: V1.ValueType(rawValue: Int32(place.type.rawValue)))
    return .done
  }
}

extension V1.DeleteRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], database: database)
  }

  @inline(never)
  fileprivate func conditionIsMet(
    at place: KeyPlace, _ context: ExecutionContext
  ) throws(CallError) -> Bool {
    switch condition {
    case nil: return true
    case .ifVersion(let version): return place.version == version
    case .ifValue(let value):
      let found = try Command.strings { () throws(Store.StoreError) in
        try context.store.string(at: place)
      }
      return found?.bytes.elementsEqual(value) ?? false
    }
  }
}
