// Globs: a table of what matches, the corners, agreement with a direct reading of Redis's rules,
// and bounded work.

import Patterns
import TestSeeds
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("hello", "hello"), ("h?llo", "hxllo"), ("h*llo", "hllo"), ("h*llo", "heeeello"),
    ("h[ae]llo", "hallo"), ("h[^e]llo", "hbllo"), ("h[a-b]llo", "hbllo"), ("h[b-a]llo", "hallo"),
    ("", ""), ("*", ""), ("*", "x"), ("**", "xyz"), ("a*", "a"), ("*a", "a"), ("*a*", "bab"),
    ("a*b*c", "a-b-b-c"), ("*ab", "aab"), ("*.txt", "a.txt.txt"), ("a\\*", "a*"), ("\\[a]", "[a]"),
    ("\\h", "h"), ("[\\]]", "]"), ("[\\a]", "a"), ("[a-]", "_"), ("[abc", "b"), ("a[^", "ab"),
    ("[^]", "z"), ("a\\", "a\\"), ("[a\\", "\\"), ("[^a]", "^"),
    ("[a^]", "^"), ("[*?]", "*"), ("?", "?"), ("*[0-9]?", "k17"),
  ])
  func matches(glob: String, key: String) throws {
    #expect(try Pattern.glob(glob).matches(key))
  }

  @Test(arguments: [
    ("hello", "hell"), ("hello", "hello!"), ("hello", "Hello"), ("h?llo", "hllo"),
    ("h[ae]llo", "hillo"), ("h[^e]llo", "hello"), ("h[^e]llo", "hllo"), ("", "x"), ("?", ""),
    ("?*", ""), ("a*", "ba"), ("*a", "ab"), ("a\\*", "ab"), ("\\?", "x"), ("[]", "]"), ("[]", "a"),
    ("[", "["), ("[", "a"), ("a[b", "a"), ("[]a", "]a"), ("[a-]", "b"), ("[a-", "b"),
    ("[A-Z]", "a"), ("[^\\]]", "]"), ("a*b*c", "a-c-b"), ("*ab*ba", "aba"),
  ])
  func doesNotMatch(glob: String, key: String) throws {
    #expect(try !Pattern.glob(glob).matches(key))
  }

  @Test func everyByteIsAnOrdinaryByte() throws {
    let key: [UInt8] = [0x00, 0x0a, 0x80, 0xff, 0x0d]
    #expect(try Pattern(.glob(key)).matches(key))
    #expect(try Pattern.glob("?????").matches(key))
    #expect(try Pattern.glob("*").matches(key))
    #expect(try Pattern(.glob([0x00, 0x2a, 0x0d])).matches(key))
    let highRange: [UInt8] = [0x2a, 0x5b, 0xf0, 0x2d, 0xff, 0x5d, 0x3f]
    #expect(try Pattern(.glob(highRange)).matches(key))
    #expect(try !Pattern(.glob(highRange)).matches([0x80, 0xef, 0x0d]))
  }

  @Test func aRangeReachesOverTheWholeByte() throws {
    let glob = try Pattern(.glob([0x5b, 0x00, 0x2d, 0xff, 0x5d]))
    for byte in UInt8.min ... .max { #expect(try glob.matches([byte])) }
    let inverse = try Pattern(.glob([0x5b, 0x5e, 0x00, 0x2d, 0xff, 0x5d]))
    for byte in UInt8.min ... .max { #expect(try !inverse.matches([byte])) }
  }

  @Test func randomGlobsAgreeWithTheRulesReadDirectly() throws {
    let seed = TestSeed.value
    var random = SeededRandom(seed: seed)
    var matched = 0
    for _ in 0..<20_000 {
      let glob = bytes(from: "**?[[]]^--\\abc\u{0}", upTo: 9, using: &random)
      let key = bytes(from: "aabbcc-]\\[^\u{0}", upTo: 7, using: &random)
      let found = try Pattern(.glob(glob)).matches(key)
      matched += found ? 1 : 0
      #expect(
        found == referenceMatch(glob[...], key[...]),
        "RINGSTORE_TEST_SEED=\(seed), glob \(glob), key \(key)")
    }
    #expect(matched > 500)
  }

  /// Backtracking into every star would take more steps than there are atoms; the bound is checked
  /// by the test coming to its end.
  @Test func manyStarsStayCheap() throws {
    let key = [UInt8](repeating: 0x61, count: 65536)
    #expect(try !Pattern.glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b").matches(key))
    #expect(try Pattern.glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*").matches(key))
    let stars = [UInt8](repeating: 0x2a, count: 4096)
    #expect(try Pattern(.glob(stars)).matches(key))
  }

  @Test func aGlobThatCouldHoldTheLoopIsRefusedByTheLengthOfTheKey() throws {
    let glob = "*" + String(repeating: "a", count: 2000) + "b"
    let pattern = try Pattern.glob(glob)
    let key = [UInt8](repeating: 0x61, count: 65_536)
    #expect(throws: PatternError.tooCostly(keyBytes: 65_536)) { try pattern.matches(key) }
    #expect(try pattern.matches(key.suffix(2000) + [0x62]))
    #expect(try !pattern.matches([UInt8](repeating: 0x62, count: 65_536)))
  }

  /// One long key must not take KEYS away from the whole database.
  @Test func anOrdinaryGlobTakesAKeyOfAnyLength() throws {
    let key = [UInt8](repeating: 0x30, count: 65_536)
    #expect(try !Pattern.glob("*00000000000000000-*").matches(key))
    #expect(try !Pattern.glob("*" + String(repeating: "0", count: 62) + "?-*").matches(key))
    #expect(try Pattern.glob("*" + String(repeating: "0", count: 63)).matches(key))
  }

  private func bytes(
    from alphabet: String, upTo length: Int, using random: inout SeededRandom
  ) -> [UInt8] {
    let letters = Array(alphabet.utf8)
    return (0..<Int.random(in: 0...length, using: &random)).map { _ in
      letters[Int.random(in: letters.indices, using: &random)]
    }
  }
}

/// Redis's rules, recursive over what is left of pattern and key. Exponential, for short inputs.
private func referenceMatch(_ pattern: ArraySlice<UInt8>, _ key: ArraySlice<UInt8>) -> Bool {
  guard let first = pattern.first else { return key.isEmpty }
  let rest = pattern.dropFirst()
  if first == UInt8(ascii: "*") {
    return referenceMatch(rest, key)
      || (!key.isEmpty && referenceMatch(pattern, key.dropFirst()))
  }
  guard let byte = key.first else { return false }
  switch first {
  case UInt8(ascii: "?"):
    return referenceMatch(rest, key.dropFirst())
  case UInt8(ascii: "["):
    let (accepted, afterClass) = referenceClass(rest, byte)
    return accepted && referenceMatch(afterClass, key.dropFirst())
  case UInt8(ascii: "\\") where !rest.isEmpty:
    return rest.first == byte && referenceMatch(rest.dropFirst(), key.dropFirst())
  default:
    return first == byte && referenceMatch(rest, key.dropFirst())
  }
}

/// Walks a class by index, the way Redis's loop does: whether `byte` is in it, and what follows.
private func referenceClass(
  _ pattern: ArraySlice<UInt8>, _ byte: UInt8
) -> (Bool, ArraySlice<UInt8>) {
  var index = pattern.startIndex
  let isNegated = pattern.first == UInt8(ascii: "^")
  if isNegated { index += 1 }
  var isIn = false
  while index < pattern.endIndex {
    let left = pattern.endIndex - index
    if pattern[index] == UInt8(ascii: "\\"), left >= 2 {
      index += 1
      isIn = isIn || pattern[index] == byte
    } else if pattern[index] == UInt8(ascii: "]") {
      return (isIn != isNegated, pattern[(index + 1)...])
    } else if left >= 3, pattern[index + 1] == UInt8(ascii: "-") {
      let ends = [pattern[index], pattern[index + 2]].sorted()
      isIn = isIn || (ends[0]...ends[1]).contains(byte)
      index += 2
    } else {
      isIn = isIn || pattern[index] == byte
    }
    index += 1
  }
  return (isIn != isNegated, [])
}
