// Which keys a fan-out asks for: message Pattern.

package struct PatternView: RequestView {
  package enum Kind: Hashable, Sendable {
    /// No pattern was given: every key.
    case everything
    /// A pattern was given whose kind this version does not know, or none: BAD_PATTERN.
    case unset
    case glob
    case regex
    case prefix
  }

  package private(set) var kind = Kind.everything
  /// The pattern's text; empty for `everything` and `unset`.
  package private(set) var text = noBytes
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  /// No pattern: every key.
  package init() {}

  package init(kind: Kind, text: UnsafeRawBufferPointer) {
    self.kind = kind
    self.text = text
  }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    try merge(message)
  }

  /// Reads one more occurrence of the field that holds the pattern. As protobuf has it for
  /// messages, a second one is merged into the first instead of replacing it.
  mutating func merge(_ message: UnsafeRawBufferPointer) throws(WireError) {
    if kind == .everything { kind = .unset }
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): (kind, text) = (.glob, try reader.readBytes())
      case .bytes(2): (kind, text) = (.regex, try reader.readBytes())
      case .bytes(3): (kind, text) = (.prefix, try reader.readBytes())
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }

  /// The field's number inside Pattern, or nil for the kinds that have no text.
  var textField: Int? {
    switch kind {
    case .everything, .unset: nil
    case .glob: 1
    case .regex: 2
    case .prefix: 3
    }
  }
}
