// Replies of calls that concern every shard.

import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  static let error: [MessageSoup.Field] = [.varint(1), .text(2), .text(3), .text(4)]

  package static let fanOutReplies: [TwoReaders] = [
    TwoReaders(
      name: "KeysResponse", schema: [.bytes(1), .bytes(1), .bytes(2), .message(3, error)],
      ours: {
        let view = try KeysReplyView($0)
        return view.keys.map { hex($0) }
          + ["\(view.count)", hex(view.nextPageToken)] + (try errors(Array(view.unreachable)))
      },
      theirs: { (message: Ringstore_V1_KeysResponse) in
        return message.keys.map { hex($0) }
          + ["\(message.keys.count)", hex(message.nextPageToken)] + errors(message.unreachable)
      },
      rewritten: { message in
        let view = try KeysReplyView(message)
        let unreachable = try view.unreachable.map { try CallError(item: $0) }
        return written { buffer in
          view.keys.forEach { buffer.writeKeysKey($0) }
          buffer.writeKeysEnd(nextPageToken: view.nextPageToken, unreachable: unreachable)
        }
      }),
    TwoReaders(
      name: "ScanPage",
      schema: [.bytes(1), .bytes(1), .bytes(2), .varint(3), .message(4, error)],
      ours: {
        let view = try ScanPageView($0)
        return view.keys.map { hex($0) }
          + ["\(view.count)", hex(view.resumeToken), "\(view.slotsDone)"]
          + (try errors(Array(view.unreachable)))
      },
      theirs: { (message: Ringstore_V1_ScanPage) in
        return message.keys.map { hex($0) }
          + ["\(message.keys.count)", hex(message.resumeToken), "\(message.slotsDone)"]
          + errors(message.unreachable)
      },
      rewritten: { message in
        let view = try ScanPageView(message)
        let unreachable = try view.unreachable.map { try CallError(item: $0) }
        return written { buffer in
          view.keys.forEach { buffer.writeScanKey($0) }
          buffer.writeScanPageEnd(
            resumeToken: view.resumeToken, slotsDone: view.slotsDone, unreachable: unreachable)
        }
      }),
    TwoReaders(
      name: "StatsResponse", schema: [.message(1, [.text(1), .varint(2)])],
      ours: {
        try checkMap($0, field: 1, value: .varint(2))
        return try StatsReplyView($0).counters.map { "\($0.key) \($0.value)" }.sorted()
      },
      theirs: { (message: Ringstore_V1_StatsResponse) in
        message.counters.map { "\($0.key) \($0.value)" }.sorted()
      },
      rewritten: { message in
        let counters = try StatsReplyView(message).counters
        return written { buffer in
          for (name, value) in counters { buffer.writeStatsCounter(name, value) }
        }
      }),
  ]

  static func errors(_ encoded: [UnsafeRawBufferPointer]) throws -> [String] {
    try encoded.map { message in
      let error = try CallError(item: message)
      return "\(code(error.code.rawValue)) \(error.message) \(error.reason?.rawValue ?? "") "
        + (error.shard ?? "")
    }
  }

  static func errors(_ messages: [Ringstore_V1_Error]) -> [String] {
    messages.map { message in
      let reason = ErrorReason(rawValue: message.reason)?.rawValue ?? ""
      return "\(code(message.code)) \(message.message) \(reason) \(message.shard)"
    }
  }

  /// Ours keeps the codes that gRPC has; an error without one, or with another, is UNKNOWN.
  private static func code(_ number: Int32) -> Int32 {
    (1...16).contains(number) ? number : 2
  }

  /// SwiftProtobuf (1.39) reads a map's entry otherwise than protobuf has it where a key or a value
  /// comes with another wire type: it takes the bytes of that field for fields. Such entries prove
  /// nothing about ours.
  static func checkMap(_ message: UnsafeRawBufferPointer, field: Int, value: WireTag) throws {
    for entry in RepeatedBytes(message, field: field) {
      var reader = WireReader(entry)
      while let tag = try? reader.nextTag() {
        guard tag == .bytes(1) || tag == value || !(1...2).contains(tag.field) else {
          throw Incomparable()
        }
        guard (try? reader.skip(tag)) != nil else { break }
      }
    }
  }
}
