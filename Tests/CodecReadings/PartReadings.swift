// The messages of fan-out parts, which have no .proto file: what is read must be read again once it
// has been written.

import NIOCore
import RingstoreAPI

package struct PartReader: Sendable {
  package let name: String
  let facts: @Sendable (UnsafeRawBufferPointer) throws -> [String]
  let rewritten: @Sendable (UnsafeRawBufferPointer) throws -> [UInt8]

  package func read(_ bytes: [UInt8]) -> Reading {
    Reading { try bytes.withUnsafeBytes { try facts($0) } }
  }

  /// What is wrong with how this message is read and written, or nil.
  package func contradiction(in bytes: [UInt8]) -> String? {
    let once = read(bytes)
    guard let out = try? bytes.withUnsafeBytes({ try rewritten($0) }) else {
      return once.isRefusal ? nil : "\(name): read, and not written"
    }
    let again = read(out)
    return again == once ? nil : "\(name): \(once), and \(again) as we write it: \(hex(out))"
  }

  /// Fields of all of these messages: their numbers and types are not in each other's way.
  package static let schema: [MessageSoup.Field] =
    (1...10).map { .varint($0) } + [.bytes(1), .bytes(5)]

  package static let all: [PartReader] = [
    PartReader(
      name: "KeysPartRequest",
      facts: { message in
        let part = try KeysPartRequest(message)
        return [
          "\(part.pattern.kind) \(hex(part.pattern.text))", "\(part.database)",
          "\(part.startSlot) \(part.cursor) \(part.endSlot)", "\(part.type)",
          "\(part.maxKeys) \(part.maxBytes) \(part.maxVisits)", "\(part.wantsPositions)",
        ]
      },
      rewritten: { message in
        let part = try KeysPartRequest(message)
        return written { $0.writeKeysPartRequest(part) }
      }),
    PartReader(
      name: "KeysPartReply",
      facts: { message in
        let part = try KeysPartReplyView(message)
        return part.keys.map { hex($0) }
          + (0..<part.positions.count).map { "\(part.positions[$0])" }
          + ["\(part.count) \(part.nextSlot) \(part.nextCursor) \(part.done)"]
      },
      rewritten: { message in
        let part = try KeysPartReplyView(message)
        return written { buffer in
          part.keys.forEach { buffer.writeKeysPartKey($0) }
          buffer.writeKeysPartPositions((0..<part.positions.count).map { part.positions[$0] })
          buffer.writeKeysPartEnd(
            nextSlot: part.nextSlot, nextCursor: part.nextCursor, done: part.done)
        }
      }),
    PartReader(
      name: "ResetPartRequest", facts: { ["\(try ResetPartRequest($0))"] },
      rewritten: { message in
        let part = try ResetPartRequest(message)
        return written { $0.writeResetPartRequest(part) }
      }),
    PartReader(
      name: "ResetPartReply", facts: { ["\(try ResetPartReply($0))"] },
      rewritten: { message in
        let part = try ResetPartReply(message)
        return written { $0.writeResetPartReply(part) }
      }),
    PartReader(
      name: "LargeReplyNotice", facts: { ["\(try LargeReplyNotice($0).totalBytes)"] },
      rewritten: { message in
        let part = try LargeReplyNotice(message)
        return written { $0.writeLargeReplyNotice(totalBytes: part.totalBytes) }
      }),
  ]
}
