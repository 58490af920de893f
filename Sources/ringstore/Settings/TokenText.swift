// A token from a file or a variable, for the client commands and for a router that connects to
// shards. No message shows its contents. Pure except for the file.

import SmallFiles
import Users

package enum TokenText {
  /// Longest file: a token, and the blanks that editors put around it.
  static let fileBytesMax = 2 * Token.bytesMax
  package static let rule = "it must hold one token and nothing else"
  /// Holds the token if no flag names a file. (An argument would be visible in `ps`.)
  package static let variable = Setting.environmentPrefix + "TOKEN"

  /// The token in a file's contents, without a line end. Nil if it is no token.
  package static func read(_ bytes: [UInt8]) -> String? {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }
    let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
    let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
    let token = bytes[start..<end]
    guard (1...Token.bytesMax).contains(token.count),
      token.allSatisfy({ (0x21...0x7e).contains($0) })
    else { return nil }
    return String(decoding: token, as: UTF8.self)
  }

  /// What `cli`, `admin` and `health` send; nil: nothing.
  ///
  /// - Parameter path: the value of --token-file.
  static func of(
    path: String?, environment: [String: String]
  ) throws(ConfigurationError) -> String? {
    if let path {
      let bytes: [UInt8]
      do throws(SmallFile.Failure) {
        bytes = try SmallFile.read(path, bytesMax: fileBytesMax)
      } catch {
        throw ConfigurationError("--token-file: \(path) can't be read: \(error.reason).")
      }
      guard let token = read(bytes) else {
        throw ConfigurationError("--token-file: \(path) can't be used: \(rule).")
      }
      return token
    }
    guard let text = environment[variable], !text.isEmpty else { return nil }
    guard let token = read(Array(text.utf8)) else {
      throw ConfigurationError("\(variable) can't be used: \(rule).")
    }
    return token
  }
}
