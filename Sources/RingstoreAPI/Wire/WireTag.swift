// The vocabulary of the protobuf wire format: wire types, tags, and the errors in a peer's bytes.
// Values only; any thread. Source: protobuf.dev, "Encoding".

/// Why bytes are not a protobuf message. Always an error of the peer; the reply is INTERNAL.
@usableFromInline
package enum WireError: Error, Hashable, Sendable {
  /// A field ends after its message does.
  case truncated
  /// A varint of more than ten bytes, or a tag of more than five.
  case varintTooLong
  /// Field number 0, or the end of a group that was not open.
  case badTag
  /// One of the two wire types that protobuf does not define.
  case wrongWireType
  /// Groups inside groups deeper than `WireReader.groupDepthMax`.
  case nestingTooDeep
  /// A `string` whose bytes are not UTF-8.
  case textIsNotUTF8
  /// An embedded message that has repeated fields and occurs more than once. Protobuf would merge
  /// the pieces; here such a message must be in one piece, and none of ours is sent in several.
  case messageInPieces

  /// What is wrong, for people: a clause about the message.
  package var sentence: String {
    switch self {
    case .truncated: "it ends within a field"
    case .varintTooLong: "it has a number of too many bytes"
    case .badTag: "it has a field number or a group's end that can't be"
    case .wrongWireType: "it has a wire type that does not exist"
    case .nestingTooDeep: "its groups are nested too deep"
    case .textIsNotUTF8: "it has a text that is not UTF-8"
    case .messageInPieces: "it has a message in several pieces"
    }
  }
}

/// The encoding of a field's value. A known field with another wire type than its own counts as an
/// unknown field, as in every protobuf decoder.
package enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case bytes = 2
  case startGroup = 3
  case endGroup = 4
  case fixed32 = 5
}

/// A field number together with its wire type, which precedes every value.
///
/// Only valid tags exist: the field number is not 0 and the wire type is a defined one.
package struct WireTag: Hashable, Sendable {
  package let rawValue: UInt32

  init?(validating rawValue: UInt32) {
    let isDefined = rawValue & 7 <= 5
    guard isDefined, rawValue >> 3 != 0 else { return nil }
    self.rawValue = rawValue
  }

  private init(field: Int, type: UInt32) {
    rawValue = UInt32(truncatingIfNeeded: field) &<< 3 | type
  }

  package static func varint(_ field: Int) -> WireTag { WireTag(field: field, type: 0) }
  package static func fixed64(_ field: Int) -> WireTag { WireTag(field: field, type: 1) }
  package static func bytes(_ field: Int) -> WireTag { WireTag(field: field, type: 2) }

  package var field: Int { Int(rawValue >> 3) }

  package var wire: WireType {
    switch rawValue & 7 {
    case 0: .varint
    case 1: .fixed64
    case 2: .bytes
    case 3: .startGroup
    case 4: .endGroup
    default: .fixed32
    }
  }
}
