// Why a pattern is refused, as messages for its author.
//
// Owns nothing. A value; any thread.

package enum PatternError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Longer than the limit for its kind, in bytes.
  case tooLong(length: Int, lengthMax: Int)
  /// Uses what only a backtracking engine offers; `feature` names it in the plural.
  case unsupported(feature: String)
  /// RE2 can't read it; `reason` is RE2's.
  case malformed(reason: String)
  /// Its program would exceed the memory budget, or take long to compile.
  case tooComplex
  /// Matching a key of this length could take too long.
  case tooCostly(keyBytes: Int)

  package var description: String {
    switch self {
    case .tooLong(let length, let lengthMax):
      "the pattern has \(length) bytes; at most \(lengthMax) are allowed"
    case .unsupported(let feature):
      "the regular expression uses \(feature), which are not supported: expressions run in linear "
        + "time (RE2 syntax)"
    case .malformed(let reason):
      "the regular expression is not valid RE2 syntax: \(reason)"
    case .tooComplex:
      "the regular expression is too complex: compiling it would take too much time or memory"
    case .tooCostly(let keyBytes):
      "it costs too much on a key of \(keyBytes) bytes; a simpler pattern or a prefix does not"
    }
  }

  /// From the text that RE2 gives: a kind of error, and after a colon the part it concerns.
  init(engineMessage: String) {
    let part = engineMessage.firstRange(of: ": ").map { engineMessage[$0.upperBound...] } ?? ""
    if engineMessage.hasPrefix("invalid perl operator"),
      ["(?=", "(?!", "(?<"].contains(where: part.hasPrefix)
    {
      self = .unsupported(feature: "look-ahead or look-behind assertions")
    } else if engineMessage.hasPrefix("invalid perl operator"), part.hasPrefix("(?P") {
      self = .unsupported(feature: "named back-references")
    } else if engineMessage.hasPrefix("invalid escape sequence"),
      let escaped = part.dropFirst().first, ("1"..."9").contains(escaped) || escaped == "k"
    {
      self = .unsupported(feature: "back-references")
    } else if engineMessage.hasPrefix("pattern too large") {
      self = .tooComplex
    } else {
      self = .malformed(reason: engineMessage)
    }
  }
}
