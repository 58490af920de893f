// Which keys a caller means: all, a glob, a regular expression or a prefix; over bytes, since keys
// are bytes.
//
// Owns the compiled form. A value with immutable contents; may be used on any thread.

package struct Pattern: Sendable {
  /// A pattern as the caller wrote it.
  package enum Source: Sendable, Hashable {
    case all
    /// Redis's glob, see Glob. It must match the whole key.
    case glob([UInt8])
    /// RE2 syntax. It must match from the key's first byte, like Python's re.match, but need not
    /// reach the last. `.` doesn't match a newline; `$` matches at the end of the key only.
    case regex([UInt8])
    /// Keys that begin with these bytes; none: every key.
    case prefix([UInt8])
  }

  /// The longest glob or regular expression, in bytes.
  package static let lengthMax = 4096
  /// The longest prefix, in bytes: as long as the longest key may be by default.
  package static let prefixLengthMax = 65536
  /// RE2's budget for one regular expression, program and automata together, in bytes. Within it
  /// RE2 runs a deterministic automaton, a nanosecond or so for each byte of a key; beyond, its
  /// slower engine takes up to one step per instruction of the program and byte.
  package static let regexMemoryMax = 512 * 1024
  /// The most instructions of a compiled expression: one for each byte of the longest pattern, and
  /// a few around them. Almost only counted repetition makes more, and that would make single keys
  /// expensive.
  package static let regexProgramMax = Int32(lengthMax) + 64
  /// The most steps that RE2's slower engine may take for one key, at 5 to 15 nanoseconds each: a
  /// few milliseconds. A hostile pattern on a key of 64 KiB could need billions. Expressions whose
  /// automaton stays within the budget don't need that engine, whatever the key's length; so no key
  /// makes an ordinary expression fail.
  package static let regexStepsMax = 512 * 1024
  /// The most steps that a glob may take for one key, at one or two nanoseconds each. No key of
  /// 64 KiB can make a glob fail whose parts between stars have at most 63 bytes.
  package static let globStepsMax = 4 * 1024 * 1024

  private enum Matcher: Sendable {
    case everything
    case prefix([UInt8])
    case glob(Glob)
    case regex(RegularExpression)
  }

  private let matcher: Matcher

  /// Compiles `source`; once for each scan, not for each key.
  ///
  /// - Throws: `PatternError` (BAD_PATTERN for the caller) if it is too long, malformed, or uses
  ///   what can't be matched in linear time.
  package init(_ source: Source) throws(PatternError) {
    switch source {
    case .all:
      matcher = .everything
    case .prefix(let bytes):
      try Self.check(bytes, lengthMax: Self.prefixLengthMax)
      matcher = bytes.isEmpty ? .everything : .prefix(bytes)
    case .glob(let bytes):
      try Self.check(bytes, lengthMax: Self.lengthMax)
      let glob = Glob(bytes)
      matcher = glob.matchesEverything ? .everything : .glob(glob)
    case .regex(let bytes):
      try Self.check(bytes, lengthMax: Self.lengthMax)
      matcher = .regex(
        try RegularExpression(
          bytes, memoryMax: Self.regexMemoryMax, programMax: Self.regexProgramMax))
    }
  }

  /// True if every key is known to match without a look at it; false means nothing.
  package var matchesEverything: Bool {
    if case .everything = matcher { true } else { false }
  }

  /// The most steps that matching a key of this length may take.
  package func stepsMax(keyBytes: Int) -> Int {
    switch matcher {
    case .everything: 1
    case .prefix(let bytes): min(bytes.count, keyBytes)
    case .glob(let glob): keyBytes * glob.stepCount
    case .regex(let expression): keyBytes * expression.programSize
    }
  }

  /// Whether `key` matches. A prefix costs its own length; a glob little more than the key's length
  /// and at most `globStepsMax` steps; a regular expression a nanosecond or two for each byte of
  /// the key as a rule, and at most `regexStepsMax` steps besides. Prefixes and globs allocate
  /// nothing, regular expressions within `regexMemoryMax`.
  ///
  /// - Throws: `PatternError.tooCostly` if the limit would be exceeded.
  package func matches(_ key: UnsafeRawBufferPointer) throws(PatternError) -> Bool {
    switch matcher {
    case .everything:
      return true
    case .prefix(let bytes):
      return key.starts(with: bytes)
    case .glob(let glob):
      guard let isMatch = glob.matches(key, stepsMax: Self.globStepsMax) else {
        throw .tooCostly(keyBytes: key.count)
      }
      return isMatch
    case .regex(let expression):
      guard let isMatch = expression.matches(key, slowStepsMax: Self.regexStepsMax) else {
        throw .tooCostly(keyBytes: key.count)
      }
      return isMatch
    }
  }

  /// Whether `key` matches within this many steps in addition to the key's length: beyond them it
  /// counts as no match. Regular expressions never match here: they have their own limits.
  package func matches(_ key: UnsafeRawBufferPointer, stepsMax: Int) -> Bool {
    switch matcher {
    case .everything: true
    case .prefix(let bytes): key.starts(with: bytes)
    case .glob(let glob): glob.matches(key, stepsMax: key.count + stepsMax) == true
    case .regex: false
    }
  }

  private static func check(_ bytes: [UInt8], lengthMax: Int) throws(PatternError) {
    guard bytes.count <= lengthMax else {
      throw .tooLong(length: bytes.count, lengthMax: lengthMax)
    }
  }
}
