// Every request and batch message, read by the hot-path codec and by SwiftProtobuf, each as the
// same list of facts. Where the two lists differ, one of them misread the bytes.

import NIOCore
import RingstoreAPI
import SwiftProtobuf
import Testing

struct TwoReaders: Sendable, CustomTestStringConvertible {
  let name: String
  let schema: [MessageSoup.Field]
  let ours: @Sendable (UnsafeRawBufferPointer) throws -> [String]
  let theirs: @Sendable ([UInt8]) throws -> [String]

  var testDescription: String { name }

  func readOurs(_ bytes: [UInt8]) -> [String] {
    reading { try bytes.withUnsafeBytes { try ours($0) } }
  }

  func readTheirs(_ bytes: [UInt8]) -> [String] {
    reading { try theirs(bytes) }
  }
}

extension TwoReaders {
  static let key: [MessageSoup.Field] = [.bytes(1), .varint(2)]
  static let keyValue: [MessageSoup.Field] =
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

  static let requests: [TwoReaders] = [
    TwoReaders(
      name: "Key", schema: key, ours: { facts(try KeyView($0)) },
      theirs: { facts(try Ringstore_V1_Key(serializedBytes: $0)) }),
    TwoReaders(
      name: "KeyValue", schema: keyValue, ours: { facts(try KeyValueView($0)) },
      theirs: { facts(try Ringstore_V1_KeyValue(serializedBytes: $0)) }),
    TwoReaders(
      name: "ListInsert", schema: [.bytes(1), .bytes(2), .bytes(2), .varint(3), .varint(4)],
      ours: {
        let view = try ListInsertView($0)
        return facts(
          view, hex(view.key), "\(view.values.map { hex($0) })", "\(view.count)",
          "\(view.database)")
      },
      theirs: {
        let message = try Ringstore_V1_ListInsert(serializedBytes: $0)
        return facts(
          message, message.onlyIfPresent ? "only_if_present" : nil, hex(message.key),
          "\(message.values.map { hex($0) })", "\(message.values.count)", "\(message.database)")
      }),
    TwoReaders(
      name: "ListRange", schema: [.bytes(1), .varint(2), .varint(3), .varint(4)],
      ours: { facts(try ListRangeView($0)) },
      theirs: { facts(try Ringstore_V1_ListRange(serializedBytes: $0)) }),
    TwoReaders(
      name: "IncrByRequest", schema: [.bytes(1), .varint(2), .varint(3)],
      ours: {
        let view = try IncrByView($0)
        return facts(view, hex(view.key), "\(view.delta)", "\(view.database)")
      },
      theirs: {
        let message = try Ringstore_V1_IncrByRequest(serializedBytes: $0)
        return facts(message, nil, hex(message.key), "\(message.delta)", "\(message.database)")
      }),
  ]
}
