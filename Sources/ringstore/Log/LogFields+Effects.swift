// Effects, records of state and the contents of passes, as fields. docs/FORMATS.md has their
// meaning. Pure, any thread.

import Log
import Store

/// How much of values is shown.
struct LogShortening: Sendable {
  /// Bytes of a value or an element.
  var bytesMax = 64
  /// Values of one effect, or indices.
  var itemsMax = 16
}

extension LogFields {
  typealias Field = (name: String, value: Value)

  init(_ effect: Effect, _ short: LogShortening) {
    self.init(("change", Self.name(of: effect.change)))
    fields.append(("database", .init(effect.database)))
    if case .empty = effect.change {
    } else {
      fields.append(("key", .init(effect.key, first: short.bytesMax)))
    }
    fields.append(("version", .init(effect.version)))
    fields += Self.fields(of: effect.change, short)
  }

  private static func name(of change: Effect.Change) -> String {
    switch change {
    case .put: "put"
    case .write: "write"
    case .expire(.never): "persist"
    case .expire: "expire"
    case .delete: "delete"
    case .insert(_, .head, _): "insert_at_head"
    case .insert(_, .tail, _): "insert_at_tail"
    case .insertWithin: "insert_within"
    case .remove(_, .head, _): "remove_at_head"
    case .remove(_, .tail, _): "remove_at_tail"
    case .removeEach: "remove_each"
    case .keep: "keep"
    case .setElement: "set_element"
    case .empty: "empty"
    }
  }

  private static func fields(of change: Effect.Change, _ short: LogShortening) -> [Field] {
    func bytes(_ value: UnsafeRawBufferPointer) -> Value { .init(value, first: short.bytesMax) }
    switch change {
    case .put(.bytes(let value), let expiry):
      return [("value", bytes(value))] + fields(of: expiry)
    case .put(.integer(let number), let expiry):
      return [("integer", .integer(number))] + fields(of: expiry)
    case .write(let value, let offset, let length):
      return [("length_before", .init(length)), ("offset", .init(offset)), ("value", bytes(value))]
    case .expire(let expiry): return fields(of: expiry)
    case .delete, .empty: return []
    case .insert(let values, _, let length):
      return [
        ("length_before", .init(length)), ("count", .init(values.count)),
        ("values", .list(values.prefix(short.itemsMax).map(bytes))),
      ]
    case .insertWithin(let value, let before, let length):
      return [("length_before", .init(length)), ("index", .init(before)), ("value", bytes(value))]
    case .remove(let count, _, let length):
      return [("length_before", .init(length)), ("count", .init(count))]
    case .removeEach(let indices, let length):
      return [
        ("length_before", .init(length)), ("count", .init(indices.count)),
        ("indices", .list(indices.prefix(short.itemsMax).map { .init($0) })),
      ]
    case .keep(let range, let length):
      return [
        ("length_before", .init(length)), ("first", .init(range.lowerBound)),
        ("count", .init(range.count)),
      ]
    case .setElement(let value, let index, let length):
      return [("length_before", .init(length)), ("index", .init(index)), ("value", bytes(value))]
    }
  }

  private static func fields(of expiry: Expiry) -> [Field] {
    expiry == .never ? [] : [("expires_at_unix_millis", .integer(expiry.unixMillis))]
  }

  /// A key of an image.
  init(_ key: ReplayKey, _ value: ReplayValue, _ short: LogShortening) {
    self.init(("image", "key"))
    fields = Self.place(of: key, short) + [("version", .init(key.version))]
    switch value {
    case .bytes(let bytes): fields.append(("value", .init(bytes, first: short.bytesMax)))
    case .integer(let number): fields.append(("integer", .integer(number)))
    case .list(let count, let form):
      fields.append(("elements", .init(count)))
      if form == .inParts { fields.append(("list", .word("in_parts"))) }
    }
    fields += Self.fields(of: key.expiry)
  }

  static func place(of key: ReplayKey, _ short: LogShortening) -> [Field] {
    [
      ("slot", .init(key.slot)), ("database", .init(key.database)),
      ("key", .init(key.key, first: short.bytesMax)),
    ]
  }

  /// A place between two keys.
  static func fields(of cursor: ImageCursor) -> [Field] {
    [
      ("slot", .init(cursor.slot)), ("database", .init(cursor.database)),
      ("hash", .init(bits: cursor.hash)),
    ]
  }
}

extension StateRecord {
  var fields: [LogFields.Field] {
    switch self {
    case .slotMap(let bytes), .slotState(let bytes): [("length", .init(bytes.count))]
    case .versionCeiling(let ceiling): [("ceiling", .init(ceiling))]
    case .newLife(let life, let incarnation):
      [("life", .init(bits: life)), ("incarnation", .init(bits: incarnation))]
    case .cleanStop: []
    }
  }

  var name: String {
    switch self {
    case .slotMap: "slot_map"
    case .slotState: "slot_state"
    case .versionCeiling: "version_ceiling"
    case .newLife: "new_life"
    case .cleanStop: "clean_stop"
    }
  }
}

extension RecordType {
  /// The name of a type in a file; its number if it is unknown.
  static func name(of type: UInt8) -> String {
    switch RecordType(rawValue: type) {
    case .group: "group"
    case .slotMap: "slot_map"
    case .slotState: "slot_state"
    case .versionCeiling: "version_ceiling"
    case .newLife: "new_life"
    case .cleanStop: "clean_stop"
    case .passBegin: "pass_begin"
    case .image: "image"
    case .passEnd: "pass_end"
    case .imagePart: "image_part"
    case nil: "type_\(type)"
    }
  }
}
