// Which databases and keys a user may touch. Immutable; any thread.

import Patterns
import RingstoreAPI

package struct KeyRules: Sendable, Hashable {
  /// The databases; nil: every one.
  package let databases: [ClosedRange<UInt32>]?
  /// What keys must match one of; nil: every key.
  package let keys: [Pattern.Source]?
  private let patterns: [Pattern]

  /// The most steps that one pattern may take for one key, beside the key's length: some 0.1 ms.
  /// If they don't suffice, there is no match.
  static let stepsMax = 64 << 10

  /// - Throws: if a pattern is too long.
  package init(
    databases: [ClosedRange<UInt32>]?, keys: [Pattern.Source]?
  ) throws(PatternError) {
    self.databases = databases
    self.keys = keys
    var patterns: [Pattern] = []
    for key in keys ?? [] { patterns.append(try Pattern(key)) }
    self.patterns = patterns
  }

  /// Whether any rule exceeds its limits.
  package var restrictsAnything: Bool { databases != nil || keys != nil }

  package func allows(database: UInt32) -> Bool {
    guard let databases else { return true }
    return databases.contains { $0.contains(database) }
  }

  /// O(patterns x (key + pattern)) as a rule, and bounded by `stepsMax` for each pattern.
  package func allows(key: UnsafeRawBufferPointer) -> Bool {
    if keys == nil { return true }
    for pattern in patterns where pattern.matches(key, stepsMax: Self.stepsMax) { return true }
    return false
  }

  /// Whether every key that begins like this is allowed: for a key of which only that is known.
  package func allows(allKeysBeginning start: [UInt8]) -> Bool {
    guard let keys else { return true }
    return keys.contains { source in
      switch source {
      case .all: true
      case .prefix(let prefix): start.starts(with: prefix)
      case .glob, .regex: false
      }
    }
  }

  package static func == (one: KeyRules, other: KeyRules) -> Bool {
    one.databases == other.databases && one.keys == other.keys
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(databases)
    hasher.combine(keys)
  }
}
