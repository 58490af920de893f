// The hash seed: 32 hexadecimal digits, the name of a file that holds them, or `public`. It is a
// secret, so no message shows its value.

import RingstoreAPI
import SmallFiles

extension SettingSources {
  private static let filePrefix = "file:"
  /// The digits and whitespace that editors add; a longer file is no seed.
  private static let fileBytesMax = 256

  func hashSeed() throws(ConfigurationError) -> HashSeed {
    guard let found = try text(.hashSeed) else {
      ledger.note(.hashSeed, default: .text("public"))
      return .publicSeed
    }
    if found.value == "public" { return .publicSeed }
    guard found.value.hasPrefix(Self.filePrefix) else {
      guard let seed = HashSeed(hexadecimal: found.value) else {
        throw ConfigurationError(
          "\(found.origin) must be 32 hexadecimal digits, file:PATH of a file that holds them, or "
            + "public.")
      }
      return seed
    }
    let path = String(found.value.dropFirst(Self.filePrefix.count))
    return try Self.hashSeed(inFile: path, origin: found.origin)
  }

  private static func hashSeed(
    inFile path: String, origin: String
  ) throws(ConfigurationError) -> HashSeed {
    let bytes: [UInt8]
    do throws(SmallFile.Failure) {
      bytes = try SmallFile.read(path, bytesMax: fileBytesMax)
    } catch {
      throw ConfigurationError("\(origin): the file \(path) can't be read: \(error.reason).")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    let digits = text.drop(while: \.isWhitespace)
    let end = digits.lastIndex { !$0.isWhitespace }.map { digits.index(after: $0) }
    guard let seed = HashSeed(hexadecimal: digits[..<(end ?? digits.endIndex)]) else {
      throw ConfigurationError(
        "\(origin): the file \(path) must hold 32 hexadecimal digits and nothing else.")
    }
    return seed
  }
}
