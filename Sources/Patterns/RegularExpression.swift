// A regular expression on RE2, behind the C shim.
//
// Owns the compiled expression and frees it. Immutable; RE2 guards its own cache, so any thread may
// match, several at once.

internal import CRE2

final class RegularExpression: @unchecked Sendable {
  /// Room for RE2's reason; it quotes the pattern's faulty part, which may be long.
  private static let errorCapacity = 256

  private let handle: OpaquePointer

  /// Compiles `bytes` with `memoryMax` bytes as RE2's whole budget and a program of at most
  /// `programMax` instructions.
  init(_ bytes: [UInt8], memoryMax: Int, programMax: Int32) throws(PatternError) {
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
  }

  deinit {
    cre2_free(handle)
  }

  /// Whether a match starts at the key's first byte. The anchor is RE2's own: a `^` put in front
  /// of `a|b` would bind to `a` alone.
  func matches(_ key: UnsafeRawBufferPointer) -> Bool {
    cre2_matches_at_start(handle, key.baseAddress, key.count)
  }
}
