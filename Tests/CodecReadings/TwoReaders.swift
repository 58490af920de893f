// A message of the wire contract, read by our codec and by SwiftProtobuf, each as the same list of
// facts. Where the two lists differ, one of them misread the bytes. The list of all messages, and
// what each says of itself, are generated (Generated); what the tests share is here. Values; any
// thread.

import NIOCore
import RingstoreAPI
import SwiftProtobuf

package struct TwoReaders: Sendable {
  package let name: String
  package let schema: [MessageSoup.Field]
  package let ours: @Sendable (UnsafeRawBufferPointer) throws -> [String]
  package let theirs: @Sendable ([UInt8]) throws -> [String]
  /// The message as SwiftProtobuf writes what it has read, unknown fields among it.
  package let canonical: @Sendable ([UInt8]) throws -> [UInt8]
  /// The message as we write what we have read: as it was read, and made again of its fields.
  package let rewritten: @Sendable (UnsafeRawBufferPointer) throws -> [[UInt8]]
  /// Where our message says its key, and what it reads there itself; nil for other messages.
  package let key: (@Sendable (UnsafeRawBufferPointer) throws -> [KeyReading])?
  /// Whether our reader refuses a `string` that is not UTF-8. In ringstore.v1 only our own nodes
  /// send strings, and a bad one is shown with replacement characters instead.
  private let checksText: Bool
  /// Whether a message in a oneof may be replaced by another member. Ours remembers the unknown
  /// fields of what was replaced, and SwiftProtobuf doesn't.
  private let replacesMembers: Bool
  /// The numbers of its fields that are maps.
  private let maps: [Int]

  init<Ours: ReadByUs, Theirs: ReadBySwiftProtobuf>(
    _: Ours.Type, _: Theirs.Type, schema: [MessageSoup.Field], checksText: Bool = false,
    replacesMembers: Bool = false, maps: [Int] = []
  ) {
    name = Ours.name
    self.schema = schema
    self.checksText = checksText
    self.replacesMembers = replacesMembers
    self.maps = maps
    ours = { bytes in
      let message = try Ours(bytes)
      return [try message.facts(), "unknown \(message.hasUnknownField)"]
    }
    theirs = { bytes in
      let message = try Theirs(serializedBytes: bytes)
      return [try message.facts(), "unknown \(message.hasUnknownField)"]
    }
    canonical = { try Theirs(serializedBytes: $0).serializedBytes() }
    rewritten = { bytes in
      let message = try Ours(bytes)
      let arena = Arena()
      return try [message, message.remade(in: arena)].map { message in
        let bytes = written { message.write(into: &$0) }
        guard bytes.count == message.byteCount else { throw WrongSize() }
        return bytes
      }
    }
    if let type = Ours.self as? any KeyedMessage.Type {
      key = { bytes in try KeyReading.both(type, bytes) }
    } else {
      key = nil
    }
  }

  package func readOurs(_ bytes: [UInt8]) -> Reading {
    Reading { try bytes.withUnsafeBytes { try ours($0) } }
  }

  package func readTheirs(_ bytes: [UInt8]) -> Reading {
    Reading { try theirs(bytes) }
  }
}

/// Thrown where a message takes another number of bytes than it says.
struct WrongSize: Error {}

/// What a reader made of a message.
package enum Reading: Hashable, Sendable {
  case facts([String])
  case refused
  /// A string that isn't UTF-8.
  case noText
  /// Groups or messages within each other deeper than the reader goes.
  case tooDeep
  /// A varint of more than ten bytes, or, which SwiftProtobuf lets pass, a tag of more than five.
  case tooLong
  /// A message with repeated fields that comes in several pieces, which only SwiftProtobuf merges.
  case inPieces
  /// Bytes of which the two readers need not think alike.
  case incomparable

  package init(_ read: () throws -> [String]) {
    do {
      self = .facts(try read())
    } catch {
      switch error {
      case WireError.textIsNotUTF8, BinaryDecodingError.invalidUTF8: self = .noText
      case WireError.nestingTooDeep, BinaryDecodingError.messageDepthLimit: self = .tooDeep
      case WireError.varintTooLong: self = .tooLong
      case WireError.messageInPieces: self = .inPieces
      case is Incomparable: self = .incomparable
      default: self = .refused
      }
    }
  }

  package var isRefusal: Bool {
    if case .facts = self { return false }
    return true
  }
}

/// Thrown by a reading for bytes that the two readers may understand differently.
struct Incomparable: Error {}

// MARK: - Where they must agree

extension TwoReaders {
  /// What is wrong with how this message is read and written, or nil.
  package func contradiction(in bytes: [UInt8]) -> String? {
    let (ours, theirs) = (readOurs(bytes), readTheirs(bytes))
    guard ours != .incomparable, !isMisread(bytes) else { return nil }
    if !agree(ours, theirs) {
      return "\(name): ours \(ours), SwiftProtobuf \(theirs)"
    }
    guard case .facts(let facts) = ours else { return nil }
    if case .facts = theirs, let again = try? readOurs(canonical(bytes)), again != ours,
      again != theirs
    {
      return "\(name): \(ours), and \(again) as SwiftProtobuf writes it"
    }
    do {
      // Unknown fields are not written again; all else is.
      let known = Reading.facts([facts[0], "unknown false"])
      for out in try bytes.withUnsafeBytes({ try rewritten($0) }) {
        let (again, theirsAgain) = (readOurs(out), readTheirs(out))
        guard again == known, agree(again, theirsAgain) else {
          return "\(name): \(ours), and \(again), \(theirsAgain) as we write it: \(hex(out))"
        }
      }
    } catch {
      return "\(name): read, and not written: \(error)"
    }
    return keyContradiction(in: bytes)
  }

  /// SwiftProtobuf 1.39 reads on over entries of maps that are malformed.
  private func isMisread(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { message in
      maps.contains { map in
        var entries = RepeatedBytes.Iterator(in: message, BytesField(map))
        while let entry = entries.next() {
          // Entries of all maps begin with a key; whatever else is in them must be whole.
          if (try? GoogleRPC.ErrorInfo.MetadataEntry(entry)) == nil { return true }
        }
        return false
      }
    }
  }

  /// A router's look at the key sees what the shard's reader sees.
  private func keyContradiction(in bytes: [UInt8]) -> String? {
    guard let key else { return nil }
    let readings = try? bytes.withUnsafeBytes { try key($0) }
    return readings.map(Set.init)?.count == 1 ? nil : "\(name): keys \(readings ?? [])"
  }

  private func agree(_ ours: Reading, _ theirs: Reading) -> Bool {
    switch (ours, theirs) {
    case (.facts(let ours), .facts(let theirs)):
      ours == theirs || replacesMembers && ours == [theirs[0], "unknown true"]
    case (.facts, .noText): !checksText
    // The readers count depth differently: SwiftProtobuf counts messages as well.
    case (.facts, .tooDeep), (.tooDeep, .facts): true
    case (.tooLong, .facts), (.inPieces, .facts): true
    case (.facts, _), (_, .facts): false
    default: true
    }
  }
}

/// The key and database of a request.
package struct KeyReading: Hashable, Sendable {
  let key: [UInt8]
  let database: UInt32

  /// As a router finds them, and as the message has them.
  static func both<Message: KeyedMessage>(
    _: Message.Type, _ bytes: UnsafeRawBufferPointer
  ) throws -> [KeyReading] {
    let found = try Message.keyFields.find(in: bytes)
    let message = try Message(bytes)
    return [
      KeyReading(key: Array(found.key), database: found.database),
      KeyReading(key: Array(message.key), database: message.database),
    ]
  }
}
