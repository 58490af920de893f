// The pattern of a call: message Pattern, or its absence, with its own memory. A value; any thread.

import RingstoreAPI

package struct KeyPattern: Hashable, Sendable {
  /// The numbers never change: tokens of pages are older than the node that reads them.
  package enum Kind: UInt64, Sendable {
    /// No pattern was given: every key.
    case everything = 0
    /// A pattern of an unknown kind, or of none: BAD_PATTERN.
    case unset = 1
    case glob = 2
    case regex = 3
    case prefix = 4
  }

  package let kind: Kind
  /// Empty for `everything` and `unset`.
  package let text: [UInt8]

  package init(_ message: V1.Pattern?) {
    switch message.map(\.kind) {
    case .none: (kind, text) = (.everything, [])
    case .some(.none): (kind, text) = (.unset, [])
    case .some(.glob(let bytes)): (kind, text) = (.glob, Array(bytes))
    case .some(.regex(let bytes)): (kind, text) = (.regex, Array(bytes))
    case .some(.prefix(let bytes)): (kind, text) = (.prefix, Array(bytes))
    }
  }

  /// Lends the message; nil for every key.
  func withMessage<Result>(_ body: (V1.Pattern?) -> Result) -> Result {
    text.withUnsafeBytes { text in
      switch kind {
      case .everything: body(nil)
      case .unset: body(V1.Pattern())
      case .glob: body(V1.Pattern(kind: .glob(text)))
      case .regex: body(V1.Pattern(kind: .regex(text)))
      case .prefix: body(V1.Pattern(kind: .prefix(text)))
      }
    }
  }
}
