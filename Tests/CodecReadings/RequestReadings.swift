// Requests about one key.

import NIOCore
import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  static let key: [MessageSoup.Field] = [.bytes(1), .varint(2)]
  package static let keyValue: [MessageSoup.Field] =
    [.bytes(1), .bytes(2), .bytes(1), .bytes(2)] + (3...9).map { .varint($0) }
  static let pattern: [MessageSoup.Field] = [.bytes(1), .bytes(2), .bytes(3)]

  static func facts(_ view: some RequestView, _ facts: String...) -> [String] {
    facts + ["unknown \(view.hasUnknownField)", "unserved \(view.unservedField ?? "-")"]
  }

  static func facts(_ message: some Message, _ unserved: String?, _ facts: String...) -> [String] {
    facts + ["unknown \(!message.unknownFields.data.isEmpty)", "unserved \(unserved ?? "-")"]
  }

  static func facts(_ item: KeyView) -> [String] {
    facts(item, hex(item.key), "\(item.database)")
  }

  static func facts(_ item: Ringstore_V1_Key) -> [String] {
    facts(item, nil, hex(item.key), "\(item.database)")
  }

  static func facts(_ item: KeyValueView) -> [String] {
    facts(item, hex(item.key), hex(item.value), "\(item.database)")
  }

  static func facts(_ item: Ringstore_V1_KeyValue) -> [String] {
    facts(item, unserved(item), hex(item.key), hex(item.value), "\(item.database)")
  }

  static func facts(_ item: ListRangeView) -> [String] {
    facts(item, hex(item.key), "\(item.start)", "\(item.stop)", "\(item.database)")
  }

  static func facts(_ item: Ringstore_V1_ListRange) -> [String] {
    facts(item, nil, hex(item.key), "\(item.start)", "\(item.stop)", "\(item.database)")
  }

  /// The same question as `KeyValueView.unservedField`, asked of the generated message.
  static func unserved(_ message: Ringstore_V1_KeyValue) -> String? {
    switch message.expiry {
    case .ttlMillis: return "ttl_millis"
    case .expireAtUnixMillis: return "expire_at_unix_millis"
    case .keepTtl: return "keep_ttl"
    case nil: break
    }
    if message.condition != .always { return "condition" }
    if message.ifVersion != 0 { return "if_version" }
    return message.returnPrevious ? "return_previous" : nil
  }

  /// A request as our writers write it, if it holds nothing that they don't.
  private static func plain<View: RequestView>(
    _ view: View, _ write: (inout ByteBuffer, View) -> Void
  ) -> [UInt8]? {
    view.hasUnknownField || view.unservedField != nil ? nil : written { write(&$0, view) }
  }

  package static let requests: [TwoReaders] = [
    TwoReaders(
      name: "Key", schema: key, ours: { facts(try KeyView($0)) },
      theirs: { (message: Ringstore_V1_Key) in facts(message) },
      rewritten: { message in
        plain(try KeyView(message)) { $0.writeKeyRequest(key: $1.key, database: $1.database) }
      }),
    TwoReaders(
      name: "KeyValue", schema: keyValue, ours: { facts(try KeyValueView($0)) },
      theirs: { (message: Ringstore_V1_KeyValue) in facts(message) },
      rewritten: { message in
        plain(try KeyValueView(message)) {
          $0.writeSetRequest(key: $1.key, value: $1.value, database: $1.database)
        }
      }),
    TwoReaders(
      name: "ListInsert", schema: [.bytes(1), .bytes(2), .bytes(2), .varint(3), .varint(4)],
      ours: {
        let view = try ListInsertView($0)
        return facts(
          view, hex(view.key), "\(view.values.map { hex($0) })", "\(view.count)",
          "\(view.database)")
      },
      theirs: { (message: Ringstore_V1_ListInsert) in
        return facts(
          message, message.onlyIfPresent ? "only_if_present" : nil, hex(message.key),
          "\(message.values.map { hex($0) })", "\(message.values.count)", "\(message.database)")
      },
      rewritten: { message in
        plain(try ListInsertView(message)) { buffer, view in
          buffer.writeListInsertHead(key: view.key, database: view.database)
          view.values.forEach { buffer.writeListInsertValue($0) }
        }
      }),
    TwoReaders(
      name: "ListRange", schema: [.bytes(1), .varint(2), .varint(3), .varint(4)],
      ours: { facts(try ListRangeView($0)) },
      theirs: { (message: Ringstore_V1_ListRange) in facts(message) },
      rewritten: { message in
        plain(try ListRangeView(message)) {
          $0.writeListRangeRequest(
            key: $1.key, start: $1.start, stop: $1.stop, database: $1.database)
        }
      }),
    TwoReaders(
      name: "IncrByRequest", schema: [.bytes(1), .varint(2), .varint(3)],
      ours: {
        let view = try IncrByView($0)
        return facts(view, hex(view.key), "\(view.delta)", "\(view.database)")
      },
      theirs: { (message: Ringstore_V1_IncrByRequest) in
        facts(message, nil, hex(message.key), "\(message.delta)", "\(message.database)")
      },
      rewritten: { message in
        plain(try IncrByView(message)) {
          $0.writeIncrByRequest(key: $1.key, delta: $1.delta, database: $1.database)
        }
      }),
  ]
}
