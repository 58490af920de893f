// Characters out of bytes that come one at a time, as a terminal sends them. A value.

struct UTF8Reader {
  private var pending: [UInt8] = []

  /// The character that is complete with this byte; nil: it isn't yet. Invalid UTF-8 becomes
  /// U+FFFD, so that the user sees it.
  mutating func next(_ byte: UInt8) -> Unicode.Scalar? {
    pending.append(byte)
    var decoder = Unicode.UTF8()
    var bytes = pending.makeIterator()
    switch decoder.decode(&bytes) {
    case .scalarValue(let scalar):
      pending = []
      return scalar
    case .emptyInput: return nil
    case .error:
      if Self.mayContinue(pending) { return nil }
      pending = []
      return "\u{fffd}"
    }
  }

  /// Whether these bytes are the beginning of a character.
  private static func mayContinue(_ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first else { return false }
    let length =
      switch first {
      case 0xc2...0xdf: 2
      case 0xe0...0xef: 3
      case 0xf0...0xf4: 4
      default: 0
      }
    return bytes.count < length && bytes.dropFirst().allSatisfy { (0x80...0xbf).contains($0) }
  }
}
