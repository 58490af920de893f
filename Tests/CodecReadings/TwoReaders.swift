// A message of the wire contract, read by the hot-path codec and by SwiftProtobuf, each as the same
// list of facts. Where the two lists differ, one of them misread the bytes. The messages are in the
// files beside this one. Values; any thread.

import RingstoreAPI
import SwiftProtobuf

package struct TwoReaders: Sendable {
  package let name: String
  package let schema: [MessageSoup.Field]
  package let ours: @Sendable (UnsafeRawBufferPointer) throws -> [String]
  package let theirs: @Sendable ([UInt8]) throws -> [String]
  /// The message as SwiftProtobuf writes what it has read, unknown fields among it.
  package let canonical: @Sendable ([UInt8]) throws -> [UInt8]
  /// The message as our own writers write what our reader has read; nil where it holds something
  /// that they don't write.
  package let rewritten: (@Sendable (UnsafeRawBufferPointer) throws -> [UInt8]?)?
  /// Whether our reader refuses a `string` that is not UTF-8. In ringstore.v1 only our own nodes
  /// send strings, and a bad one is shown with replacement characters instead.
  private let checksText: Bool

  init<M: Message>(
    name: String, schema: [MessageSoup.Field], checksText: Bool = false,
    ours: @escaping @Sendable (UnsafeRawBufferPointer) throws -> [String],
    theirs: @escaping @Sendable (M) throws -> [String],
    rewritten: (@Sendable (UnsafeRawBufferPointer) throws -> [UInt8]?)? = nil
  ) {
    self.name = name
    self.schema = schema
    self.checksText = checksText
    self.ours = ours
    self.theirs = { try theirs(try M(serializedBytes: $0)) }
    self.canonical = { try M(serializedBytes: $0).serializedBytes() }
    self.rewritten = rewritten
  }

  package static let all = requests + fanOuts + replies + fanOutReplies + batches + older

  package func readOurs(_ bytes: [UInt8]) -> Reading {
    Reading { try bytes.withUnsafeBytes { try ours($0) } }
  }

  package func readTheirs(_ bytes: [UInt8]) -> Reading {
    Reading { try theirs(bytes) }
  }
}

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
    guard ours != .incomparable, theirs != .incomparable else { return nil }
    if !agree(ours, theirs) {
      return "\(name): ours \(ours), SwiftProtobuf \(theirs)"
    }
    guard case .facts = theirs, !ours.isRefusal else { return nil }
    if let again = try? readOurs(canonical(bytes)), again != ours {
      return "\(name): \(ours), and \(again) as SwiftProtobuf writes it"
    }
    guard let out = try? bytes.withUnsafeBytes({ try rewritten?($0) }) else { return nil }
    let (again, theirsAgain) = (readOurs(out), readTheirs(out))
    return again == ours && theirsAgain == theirs
      ? nil : "\(name): \(ours), and \(again), \(theirsAgain) as we write it: \(hex(out))"
  }

  private func agree(_ ours: Reading, _ theirs: Reading) -> Bool {
    switch (ours, theirs) {
    case (.facts(let ours), .facts(let theirs)): ours == theirs
    case (.facts, .noText): !checksText
    // The readers count depth differently: SwiftProtobuf counts messages as well.
    case (.facts, .tooDeep), (.tooDeep, .facts): true
    case (.tooLong, .facts): true
    case (.facts, _), (_, .facts): false
    default: true
    }
  }
}
