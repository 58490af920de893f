// What the pattern tests share: short ways to ask.
//
// Owns nothing. Any thread.

import Patterns

extension Pattern {
  static func glob(_ text: String) throws -> Pattern { try Pattern(.glob(Array(text.utf8))) }
  static func regex(_ text: String) throws -> Pattern { try Pattern(.regex(Array(text.utf8))) }
  static func prefix(_ text: String) throws -> Pattern { try Pattern(.prefix(Array(text.utf8))) }

  func matches(_ key: String) throws -> Bool { try matches(Array(key.utf8)) }
  func matches(_ key: [UInt8]) throws -> Bool { try key.withUnsafeBytes { try matches($0) } }
}
