// The fourth part of RequestReadings.swift: replies of calls that concern every shard.

import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  private static let error: [MessageSoup.Field] = [.varint(1), .text(2), .text(3), .text(4)]

  static let fanOutReplies: [TwoReaders] = [
    TwoReaders(
      name: "KeysResponse", schema: [.bytes(1), .bytes(1), .bytes(2), .message(3, error)],
      ours: {
        let view = try KeysReplyView($0)
        return view.keys.map { hex($0) }
          + ["\(view.count)", hex(view.nextPageToken)] + (try errors(view.unreachable))
      },
      theirs: {
        let message = try Ringstore_V1_KeysResponse(serializedBytes: $0)
        return message.keys.map { hex($0) }
          + ["\(message.keys.count)", hex(message.nextPageToken)] + errors(message.unreachable)
      }),
    TwoReaders(
      name: "ScanPage",
      schema: [.bytes(1), .bytes(1), .bytes(2), .varint(3), .message(4, error)],
      ours: {
        let view = try ScanPageView($0)
        return view.keys.map { hex($0) }
          + ["\(view.count)", hex(view.resumeToken), "\(view.slotsDone)"]
          + (try errors(view.unreachable))
      },
      theirs: {
        let message = try Ringstore_V1_ScanPage(serializedBytes: $0)
        return message.keys.map { hex($0) }
          + ["\(message.keys.count)", hex(message.resumeToken), "\(message.slotsDone)"]
          + errors(message.unreachable)
      }),
  ]

  private static func errors(_ encoded: RepeatedBytes) throws -> [String] {
    try encoded.map { message in
      let error = try CallError(item: message)
      return "\(code(error.code.rawValue)) \(error.message) \(error.shard ?? "")"
    }
  }

  private static func errors(_ messages: [Ringstore_V1_Error]) -> [String] {
    messages.map { message in
      "\(code(message.code)) \(message.message) \(message.shard)"
    }
  }

  /// Ours keeps the codes that gRPC has; an error without one, or with another, is UNKNOWN.
  private static func code(_ number: Int32) -> Int32 {
    (1...16).contains(number) ? number : 2
  }
}
