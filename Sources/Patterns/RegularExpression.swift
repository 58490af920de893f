// A regular expression on RE2, behind the C shim.
//
// Owns the compiled expression and frees it. Immutable; RE2 guards its own cache, so any thread may
// match, several at once.

internal import CRE2

/// Sendable although it holds a pointer: the expression is immutable, and RE2 locks its own cache.
final class RegularExpression: @unchecked Sendable {
  /// Room for RE2's reason; it quotes the pattern's faulty part, which may be long.
  private static let errorCapacity = 256

  private let handle: OpaquePointer
  /// Instructions of the compiled program: RE2's slower engine looks at each of them for each byte
  /// of a key at worst.
  let programSize: Int

  /// Compiles `bytes` with `memoryMax` bytes as RE2's whole budget and a program of at most
  /// `programMax` instructions.
  init(_ bytes: [UInt8], memoryMax: Int, programMax: Int32) throws(PatternError) {
    try Self.check(bytes)
    var message = [UInt8](repeating: 0, count: Self.errorCapacity)
    let handle = bytes.withUnsafeBytes { bytes in
      message.withUnsafeMutableBytes { message in
        cre2_compile(
          bytes.baseAddress, bytes.count, Int64(memoryMax), programMax,
          message.baseAddress?.assumingMemoryBound(to: CChar.self), message.count)
      }
    }
    guard let handle else {
      let reason = String(decoding: message.prefix { $0 != 0 }, as: UTF8.self)
      throw PatternError(engineMessage: reason)
    }
    self.handle = handle
    programSize = Int(cre2_program_size(handle))
  }

  deinit {
    cre2_free(handle)
  }

  /// Whether a match starts at the key's first byte. The anchor is RE2's own: a `^` put in front
  /// of `a|b` would bind to `a` alone.
  ///
  /// - Parameter slowStepsMax: the most steps that RE2's slower engine may take.
  /// - Returns: nil if only that engine could decide, and it could need more steps.
  func matches(_ key: UnsafeRawBufferPointer, slowStepsMax: Int) -> Bool? {
    let isFastOnly = key.count * programSize > slowStepsMax
    switch cre2_matches_at_start(handle, key.baseAddress, key.count, isFastOnly) {
    case CRE2_MATCH: return true
    case CRE2_TOO_SLOW: return nil
    default: return false
    }
  }

  /// Refuses expressions that RE2 would need tens of milliseconds to compile, even if the result is
  /// small: nested repetitions that it expands, thousands of operators and groups, whose cost is
  /// quadratic, and Unicode classes, which have no meaning for bytes.
  private static func check(_ bytes: [UInt8]) throws(PatternError) {
    var rest = bytes[...]
    var repetitions = 0
    var operators = 0
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\\"):
        let escaped = rest.popFirst()
        if escaped == UInt8(ascii: "p") || escaped == UInt8(ascii: "P") {
          throw .unsupported(feature: "Unicode classes")
        }
      case UInt8(ascii: "{"):
        repetitions += repetition(rest.prefix { $0 != UInt8(ascii: "}") })
      case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "("):
        operators += 1
      default:
        break
      }
    }
    // A repetition repeats at most the whole pattern; RE2 itself limits nested ones.
    guard repetitions * bytes.count <= expandedLengthMax, operators * bytes.count <= operatorWorkMax
    else { throw .tooComplex }
  }

  /// The length that a pattern may have once its repetitions are written out, estimated from above.
  private static let expandedLengthMax = 16 * 1024
  /// The most that the number of operators and the length may multiply to: 512 operators in 1024
  /// bytes, or 128 in 4096.
  private static let operatorWorkMax = 512 * 1024

  /// The larger number of `2,3`, between braces; 0 if there is none.
  private static func repetition(_ text: ArraySlice<UInt8>) -> Int {
    text.prefix(2 * repetitionDigitsMax + 1).split(separator: UInt8(ascii: ","))
      .compactMap { Int(String(decoding: $0, as: UTF8.self)) }.max() ?? 0
  }

  /// RE2 refuses repetitions of more than 1000.
  private static let repetitionDigitsMax = 4
}
