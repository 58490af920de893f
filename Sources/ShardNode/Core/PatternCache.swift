// Compiled patterns, kept between the slices of a fan-out: a regular expression is compiled once,
// not a thousand times. Belongs to one shard's core.

import NodeCore
import Patterns
import RingstoreAPI

struct PatternCache {
  /// The maximum number of patterns; far more than fan-outs run at once on one shard. The memory is
  /// entries x `Pattern.regexMemoryMax` at worst.
  static let entriesMax = 64

  /// The most recently used one is at the end; the one at the front is replaced.
  private var entries: [(key: KeyPattern, pattern: Pattern)] = []

  /// The compiled form of a request's pattern.
  ///
  /// - Throws: BAD_PATTERN.
  mutating func pattern(_ message: V1.Pattern?) throws(CallError) -> Pattern {
    let key = KeyPattern(message)
    if let index = entries.lastIndex(where: { $0.key == key }) {
      let entry = entries[index]
      if index + 1 < entries.count {
        entries.remove(at: index)
        entries.append(entry)
      }
      return entry.pattern
    }
    do throws(PatternError) {
      let pattern = try Pattern(source(of: key))
      if entries.count == Self.entriesMax { entries.removeFirst() }
      entries.append((key, pattern))
      return pattern
    } catch {
      throw .badPattern(error.description)
    }
  }

  private func source(of key: KeyPattern) -> Pattern.Source {
    switch key.kind {
    case .everything, .unset: .all
    case .glob: .glob(key.text)
    case .regex: .regex(key.text)
    case .prefix: .prefix(key.text)
    }
  }
}
