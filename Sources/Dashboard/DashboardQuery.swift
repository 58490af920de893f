// The query of a request for data: names and values, each with only the characters of Base64url and
// numbers. Anything else is refused, so nothing needs escapes.
//
//   query = [ pair *( "&" pair ) ]
//   pair  = name "=" *( ALPHA / DIGIT / "-" / "_" )
//
// A value; any thread.

import RingstoreAPI
import TextForms

package struct DashboardQuery {
  private var values: [Substring: Substring] = [:]

  /// - Parameter names: those that there may be, each of them once.
  package init(_ text: String, _ names: Set<String>) throws(CallError) {
    for pair in text.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, names.contains(String(parts[0])), values[parts[0]] == nil,
        parts[1].utf8.allSatisfy(Self.isAllowed)
      else {
        throw Self.wrong("The query may have \(names.sorted().joined(separator: ", ")), once each.")
      }
      values[parts[0]] = parts[1]
    }
  }

  private static func isAllowed(_ letter: UInt8) -> Bool {
    switch letter {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// Bytes given as Base64url; empty if the name is missing.
  package func bytes(_ name: String) throws(CallError) -> [UInt8] {
    guard let bytes = Base64URL.decode(values[Substring(name)] ?? "") else {
      throw Self.wrong("\(name) must be Base64url without padding.")
    }
    return bytes
  }

  /// The value as it is; empty if the name is missing.
  package func text(_ name: String) -> String { String(values[Substring(name)] ?? "") }

  /// A number; `missing` if there is none.
  package func number(
    _ name: String, _ range: ClosedRange<UInt32>, missing: UInt32
  ) throws(CallError) -> UInt32 {
    guard let text = values[Substring(name)], !text.isEmpty else { return missing }
    guard let number = UInt32(text), range.contains(number) else {
      throw Self.wrong("\(name) must be a whole number \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  static func wrong(_ sentence: String) -> CallError {
    CallError(code: .invalidArgument, message: sentence)
  }
}

/// Base64 with the letters that addresses may have (RFC 4648, section 5), without padding.
enum Base64URL {
  static func encode(_ bytes: [UInt8]) -> String {
    var text = Base64.encode(bytes)
    for place in text.indices {
      if text[place] == UInt8(ascii: "+") { text[place] = UInt8(ascii: "-") }
      if text[place] == UInt8(ascii: "/") { text[place] = UInt8(ascii: "_") }
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func decode(_ text: Substring) -> [UInt8]? {
    var letters = Array(text.utf8)
    for place in letters.indices {
      switch letters[place] {
      case UInt8(ascii: "-"): letters[place] = UInt8(ascii: "+")
      case UInt8(ascii: "_"): letters[place] = UInt8(ascii: "/")
      case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
      default: break
      }
    }
    return Base64.decode(letters)
  }
}
