// Requests about many keys or every shard.

import NIOCore
import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  package static let fanOuts: [TwoReaders] = [
    TwoReaders(
      name: "MGetRequest", schema: [.message(1, key)],
      ours: { items(try MGetView($0)) { facts($0) } },
      theirs: { (message: Ringstore_V1_MGetRequest) in
        return items(message, message.keys, unserved: { _ in nil }) { facts($0) }
      }),
    TwoReaders(
      name: "MDeleteRequest", schema: [.message(1, key)],
      ours: { items(try MDeleteView($0)) { facts($0) } },
      theirs: { (message: Ringstore_V1_MDeleteRequest) in
        return items(message, message.keys, unserved: { _ in nil }) { facts($0) }
      }),
    TwoReaders(
      name: "MSetRequest", schema: [.message(1, keyValue)],
      ours: { items(try MSetView($0)) { facts($0) } },
      theirs: { (message: Ringstore_V1_MSetRequest) in
        return items(message, message.items, unserved: { unserved($0) }) { facts($0) }
      }),
    TwoReaders(
      name: "MLRangeRequest",
      schema: [.message(1, [.bytes(1), .varint(2), .varint(3), .varint(4)])],
      ours: { items(try MLRangeView($0)) { facts($0) } },
      theirs: { (message: Ringstore_V1_MLRangeRequest) in
        return items(message, message.ranges, unserved: { _ in nil }) { facts($0) }
      }),
    TwoReaders(
      name: "KeysRequest",
      schema: [.message(1, pattern), .varint(2), .varint(3), .bytes(4), .varint(5)],
      ours: {
        let view = try KeysView($0)
        return facts(
          view, "\(view.pattern.kind) \(hex(view.pattern.text))", "\(view.database)",
          "\(view.limit)", hex(view.pageToken), "\(view.allowPartial)")
      },
      theirs: { (message: Ringstore_V1_KeysRequest) in
        let unknown = !message.pattern.unknownFields.data.isEmpty
        let facts = facts(
          message, nil, describe(message.hasPattern ? message.pattern : nil),
          "\(message.database)", "\(message.limit)", hex(message.pageToken),
          "\(message.allowPartial)")
        return unknown ? facts.map { $0 == "unknown false" ? "unknown true" : $0 } : facts
      }),
    TwoReaders(
      name: "ScanRequest",
      schema: [
        .message(1, pattern), .varint(2), .varint(3), .bytes(4), .varint(5), .varint(6),
      ],
      ours: {
        let view = try ScanView($0)
        return facts(
          view, "\(view.pattern.kind) \(hex(view.pattern.text))", "\(view.database)",
          "\(view.pageSize)", hex(view.resumeToken), "\(view.allowPartial)",
          "\(view.type.map { "\($0)" } ?? "-")")
      },
      theirs: { (message: Ringstore_V1_ScanRequest) in
        let unknown = !message.pattern.unknownFields.data.isEmpty
        var type: String? = "\(message.type)"
        if case .UNRECOGNIZED = message.type { type = nil }
        let facts = facts(
          message, type == nil ? "type" : nil,
          describe(message.hasPattern ? message.pattern : nil), "\(message.database)",
          "\(message.pageSize)", hex(message.resumeToken), "\(message.allowPartial)", type ?? "-")
        return unknown ? facts.map { $0 == "unknown false" ? "unknown true" : $0 } : facts
      }),
    TwoReaders(
      name: "ShutdownRequest", schema: [.varint(1)],
      ours: {
        let view = try ShutdownView($0)
        return facts(view, "\(view.wholeCluster)")
      },
      theirs: { (message: Ringstore_V1_ShutdownRequest) in
        return facts(message, nil, "\(message.wholeCluster)")
      }),
    TwoReaders(
      name: "DbSizeRequest", schema: [.varint(1), .varint(2), .varint(3)],
      ours: {
        let view = try DbSizeView($0)
        return facts(view, "\(view.database)", "\(view.allDatabases)", "\(view.allowPartial)")
      },
      theirs: { (message: Ringstore_V1_DbSizeRequest) in
        return facts(
          message, nil, "\(message.database)", "\(message.allDatabases)",
          "\(message.allowPartial)")
      }),
    TwoReaders(
      name: "ResetRequest", schema: [.varint(1), .varint(2)],
      ours: {
        let view = try ResetView($0)
        return facts(view, "\(view.database)", "\(view.allDatabases)")
      },
      theirs: { (message: Ringstore_V1_ResetRequest) in
        return facts(message, nil, "\(message.database)", "\(message.allDatabases)")
      }),
  ]

  private static func items<Item>(
    _ view: ItemsView<Item>, _ facts: (Item) -> [String]
  ) -> [String] {
    view.items.flatMap(facts)
      + ["\(view.count)", "\(view.hasUnknownField)", view.unservedField ?? "-"]
  }

  private static func items<Item: Message>(
    _ message: some Message, _ items: [Item], unserved: (Item) -> String?,
    _ facts: (Item) -> [String]
  ) -> [String] {
    let unknown =
      !message.unknownFields.data.isEmpty || items.contains { !$0.unknownFields.data.isEmpty }
    return items.flatMap(facts)
      + ["\(items.count)", "\(unknown)", items.lazy.compactMap(unserved).first ?? "-"]
  }

  private static func describe(_ pattern: Ringstore_V1_Pattern?) -> String {
    guard let pattern else { return "everything " }
    switch pattern.kind {
    case nil: return "unset "
    case .glob(let text): return "glob \(hex(text))"
    case .regex(let text): return "regex \(hex(text))"
    case .prefix(let text): return "prefix \(hex(text))"
    }
  }
}
