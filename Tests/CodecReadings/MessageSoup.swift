// Random protobuf messages as no encoder would write them, but as a peer might: fields in any
// order, singular fields repeated, known fields with the wrong wire type, unknown fields, groups,
// varints longer than need be.

import NodeCore

package struct MessageSoup {
  /// A field of a schema and how to fill it.
  package struct Field: Sendable {
    enum Kind: Sendable {
      case varint, fixed64, bytes, text, packed, packedFixed64
      case message([Field])
    }
    let number: Int
    let kind: Kind

    static func varint(_ number: Int) -> Field { Field(number: number, kind: .varint) }
    static func bytes(_ number: Int) -> Field { Field(number: number, kind: .bytes) }
    static func text(_ number: Int) -> Field { Field(number: number, kind: .text) }
    static func packed(_ number: Int) -> Field { Field(number: number, kind: .packed) }
    static func fixed64(_ number: Int) -> Field { Field(number: number, kind: .fixed64) }
    static func packedFixed64(_ number: Int) -> Field {
      Field(number: number, kind: .packedFixed64)
    }
    static func message(_ number: Int, _ fields: [Field]) -> Field {
      Field(number: number, kind: .message(fields))
    }
  }

  package var random: SplitMix64
  /// Whether fields appear that the schema doesn't have, or with other wire types than it says.
  package var strangers = true

  package init(random: SplitMix64) {
    self.random = random
  }

  package mutating func message(_ schema: [Field], depth: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...8, using: &random) {
      if strangers, random.chance(1, in: 8) {
        bytes += stranger(schema, depth: depth)
      } else if let field = schema.randomElement(using: &random) {
        bytes += known(field, depth: depth)
      }
    }
    return bytes
  }

  private mutating func known(_ field: Field, depth: Int) -> [UInt8] {
    switch field.kind {
    case .varint: return tag(field.number, 0) + varint(random.number())
    case .fixed64: return tag(field.number, 1) + random.bytes(8)
    case .packedFixed64:
      return delimited(field.number, random.bytes(8 * Int.random(in: 0...4, using: &random)))
    case .bytes: return delimited(field.number, random.bytes(upTo: 200))
    case .text: return delimited(field.number, Array("text \(random.next() % 1000)".utf8))
    case .packed:
      let count = Int.random(in: 0...5, using: &random)
      return delimited(field.number, (0..<count).flatMap { _ in varint(random.number()) })
    case .message(let fields): return delimited(field.number, message(fields, depth: depth + 1))
    }
  }

  private mutating func stranger(_ schema: [Field], depth: Int) -> [UInt8] {
    let unknown = [11, 15, 16, 2047, 2048, 536_870_911].randomElement(using: &random) ?? 11
    let number = random.chance(1, in: 2) ? schema.first?.number ?? unknown : unknown
    switch Int.random(in: 0...4, using: &random) {
    case 0: return tag(number, 0) + varint(random.number())
    case 1: return tag(number, 1) + (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }
    // A stranger must not pass for a known field that holds a message or text.
    case 2: return delimited(unknown, random.bytes(upTo: 20))
    case 3: return tag(number, 5) + (0..<4).map { _ in UInt8.random(in: 0...255, using: &random) }
    default:
      guard depth < 5 else { return [] }
      let inside = message(schema, depth: depth + 1)
      return tag(number, 3) + inside + tag(number, 4)
    }
  }

  private mutating func delimited(_ number: Int, _ contents: [UInt8]) -> [UInt8] {
    tag(number, 2) + varint(UInt64(contents.count)) + contents
  }

  package func tag(_ number: Int, _ wire: UInt64) -> [UInt8] {
    plainVarint(UInt64(number) << 3 | wire)
  }

  private mutating func varint(_ value: UInt64) -> [UInt8] {
    var bytes = plainVarint(value)
    // Padding is legal up to ten bytes in all.
    if random.chance(1, in: 10), bytes.count < 10 {
      bytes[bytes.count - 1] |= 0x80
      bytes += Array(repeating: 0x80, count: 9 - bytes.count) + [0]
    }
    return bytes
  }

  private func plainVarint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
