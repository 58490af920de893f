// Regular expressions: the anchor, bytes, refusals with a sentence, and patterns that would ruin a
// backtracking engine.

import Patterns
import TestSeeds
import Testing

@Suite struct RegularExpressionTests {
  @Test(arguments: [
    ("user:[0-9]+", "user:42"), ("user", "user:42"), ("", "anything"), ("", ""), ("a|b", "b1"),
    ("a|b", "a1"), ("abc$", "abc"), ("^abc", "abcd"), (".*xyz", "..xyz"), ("(?i)KEY", "key"),
    ("a(b)c(?P<n>d)", "abcd"), ("\\d{3}", "123"), ("a\\.b", "a.b"), ("x*", "y"), ("(a|ab)c", "abc"),
    ("\\w+\\s", "ab c"), ("[^:]*:", "a:b"), ("(?s).+z", "a\nz"), ("a\\nb", "a\nb"), ("a?b", "b"),
  ])
  func matchesFromTheFirstByte(regex: String, key: String) throws {
    #expect(try Pattern.regex(regex).matches(key))
  }

  @Test(arguments: [
    ("42", "user:42"), ("a|b", "cab"), ("b", "ab"), ("user:[0-9]+$", "user:42x"), ("abc$", "abc\n"),
    ("a.b", "a\nb"), (".+z", "a\nz"), ("key", "KEY"), ("\\d{3}", "12"), ("x+", ""), ("a^b", "ab"),
  ])
  func doesNotMatchLaterOrOtherwise(regex: String, key: String) throws {
    #expect(try !Pattern.regex(regex).matches(key))
  }

  @Test func everyByteIsOneCharacter() throws {
    let key: [UInt8] = [0x00, 0xff, 0xc3, 0x28, 0x80]
    #expect(try Pattern.regex(".{5}$").matches(key))
    #expect(try !Pattern.regex(".{6}").matches(key))
    #expect(try Pattern.regex("\\x00\\xff").matches(key))
    #expect(try Pattern(.regex([0x00, 0xff, 0xc3])).matches(key))
    #expect(try Pattern.regex("\\x00[\\x80-\\xff]{2}\\(").matches(key))
    #expect(try !Pattern.regex("\\x00\\xfe").matches(key))
  }

  @Test func aKeyMayHoldNewlines() throws {
    let key = "one\ntwo"
    #expect(try Pattern.regex("one\\ntwo$").matches(key))
    #expect(try !Pattern.regex("one$").matches(key))
    #expect(try Pattern.regex("(?m)one$").matches(key))
    #expect(try !Pattern.regex("two").matches(key))
    #expect(try !Pattern.regex("(?m)^two").matches(key))
  }

  @Test func anEmptyKeyWithoutStorageCanBeMatched() throws {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    #expect(try Pattern.regex("a*$").matches(nothing))
    #expect(try !Pattern.regex("a").matches(nothing))
    #expect(try Pattern.glob("*").matches(nothing))
  }

  @Test(arguments: ["(?=a)b", "(?!a)b", "a(?<=a)b", "a(?<!b)c"])
  func lookAroundIsRefusedByName(regex: String) {
    #expect(sentence(regex)?.contains("uses look-ahead or look-behind assertions") == true)
  }

  @Test(arguments: ["(a)\\1", "(a)(b)\\2", "(?P<x>a)\\k<x>"])
  func backReferencesAreRefusedByName(regex: String) {
    #expect(sentence(regex)?.contains("uses back-references") == true)
  }

  @Test func namedBackReferencesAreRefusedByName() {
    #expect(sentence("(?P<x>a)(?P=x)")?.contains("uses named back-references") == true)
  }

  @Test(arguments: [
    ("(", "missing"), ("a)", "unexpected"), ("[a", "missing"), ("*a", "no argument"),
    ("a**", "bad repetition"), ("a++", "bad repetition"), ("[z-a]", "range"), ("\\", "trailing"),
    ("(?P<n", "named"), ("\\q", "escape"), ("a{1001}", "repetition"),
    ("(((a{100}){100}){100}){100}", "repetition"),
  ])
  func aFaultIsNamed(regex: String, word: String) {
    let found = sentence(regex)
    #expect(found?.hasPrefix("the regular expression is not valid RE2 syntax: ") == true)
    #expect(found?.contains(word) == true, "\(found ?? "accepted")")
  }

  @Test func aFaultMayQuoteBytesThatAreNoText() {
    #expect(throws: PatternError.self) { try Pattern(.regex([0x28, 0xff, 0x00, 0xfe])) }
    let long = String(repeating: "(", count: 4096)
    #expect((sentence(long)?.utf8.count ?? 0) < 400)
  }

  @Test(arguments: [
    "(?:[a-z]{1000}){1}[a-y]{1000}[a-x]{1000}[a-w]{1000}", "(?:a.?){900}x{900}y{900}",
  ])
  func countedRepetitionBeyondTheLongestProgramIsRefused(regex: String) {
    #expect(throws: PatternError.tooComplex) {
      try Pattern.regex(regex + String(repeating: "[0-9]{1000}z", count: 5))
    }
  }

  @Test func aLongListOfAlternativesIsAccepted() throws {
    let names = (0..<320).map { "user:\($0 * 7919)" }
    let pattern = try Pattern.regex("(?:" + names.joined(separator: "|") + ")$")
    #expect(try pattern.matches(names[319]))
    #expect(try !pattern.matches("user:1"))
  }

  /// Backtracking engines take exponential time on these; here the test would not end.
  @Test(arguments: [
    "(a*)*b", "(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*b", "(x+x+)+y|a*b", "a*a*a*a*a*a*a*a*b",
  ])
  func pathologicalExpressionsTakeLinearTime(regex: String) throws {
    let pattern = try Pattern.regex(regex)
    var key = [UInt8](repeating: 0x61, count: 20_000)
    #expect(try !pattern.matches(key))
    key.append(0x62)
    #expect(try pattern.matches(key))
  }

  /// RE2's slower engine would take from forty milliseconds to half a second for these, and the
  /// automaton can't hold their states.
  @Test(arguments: [
    "[ab]*a[ab]{500}c", "[ab]*a[ab]{60}c", "(?:[ab]*a[ab]{50}|x)*c", ".*[ab]{20}.*a.{20}c",
  ])
  func whatCouldHoldTheLoopIsRefusedByTheLengthOfTheKey(regex: String) throws {
    let pattern = try Pattern.regex(regex)
    #expect(try !pattern.matches(String(repeating: "ab", count: 100)))
    var random = SeededRandom(seed: 8)
    let long = (0..<65_536).map { _ in UInt8.random(in: 0x61...0x62, using: &random) }
    #expect(throws: PatternError.tooCostly(keyBytes: 65_536)) { try pattern.matches(long) }
    // The same pattern continues serving other keys, and other patterns this one.
    #expect(try !pattern.matches(String(repeating: "ab", count: 100)))
    #expect(try Pattern.regex("[ab]*$").matches(long))
  }

  /// One long key must not take KEYS away from the whole database.
  @Test(arguments: [
    ("user:", false), ("user:[0-9]+:profile:[a-z]+", false), ("[^:]*:[0-9]+$", false),
    ("[a-z]+$", true), (".*x", false), (".*a$", true), ("(?:a?){30}a", true), ("a", true),
    ("(?i)[A-Z]*:(?:one|two|three|four|five|six|seven)+:[0-9a-f]{8}-[0-9a-f]{4}", false),
  ])
  func anOrdinaryExpressionTakesAKeyOfAnyLength(regex: String, isMatch: Bool) throws {
    let pattern = try Pattern.regex(regex)
    for length in [58_255, 65_536] {
      #expect(try pattern.matches([UInt8](repeating: 0x61, count: length)) == isMatch)
    }
  }

  @Test func anOrdinaryExpressionTakesLongKeys() throws {
    let pattern = try Pattern.regex("user:[0-9]+:")
    let key = "user:1:" + String(repeating: "x", count: 20_000)
    #expect(try pattern.matches(key))
  }

  /// Each of these takes RE2 from fifty milliseconds to half a second to compile or refuse.
  @Test(arguments: [
    String(repeating: "a{0,1000}", count: 100), "(" + String(repeating: "a?", count: 2000) + ")*",
    "(?:" + String(repeating: "a?", count: 500) + "){30}",
    String(repeating: "(?:a?){1000}", count: 9),
    String(repeating: "(", count: 2000) + String(repeating: ")", count: 2000),
    "(?:a{1000}){1000}", "a{1000}{1000}",
  ])
  func whatTakesLongToCompileIsRefusedBefore(regex: String) {
    #expect(throws: PatternError.tooComplex) { try Pattern.regex(regex) }
  }

  @Test(arguments: ["\\pL", "x\\P{Greek}"])
  func unicodeClassesAreRefusedByName(regex: String) {
    #expect(sentence(regex)?.contains("uses Unicode classes") == true)
  }

  @Test func escapesAreNoOperators() throws {
    #expect(try Pattern.regex("\\\\pL").matches("\\pL"))
    #expect(try Pattern.regex("a\\{9,9999}").matches("a{9,9999}"))
  }

  /// The automaton for "an `a` 16 places before the end" has 2^16 states, more than fit the
  /// budget: RE2 has to throw states away or change engines, and the result must stay right.
  @Test func anAutomatonBeyondTheBudgetStillDecidesRight() throws {
    let pattern = try Pattern.regex("(?:a|b)*a(?:a|b){16}$")
    var random = SeededRandom(seed: 5)
    for _ in 0..<20 {
      let key = (0..<3000).map { _ in UInt8.random(in: 0x61...0x62, using: &random) }
      #expect(try pattern.matches(key) == (key[key.count - 17] == 0x61))
    }
  }

  @Test func onePatternServesSeveralThreads() async throws {
    let pattern = try Pattern.regex("k(ey)+:[0-9]*7$")
    let counts = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask { (0..<1000).count { (try? pattern.matches("keyey:\($0)")) == true } }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(counts == [100, 100, 100, 100])
  }

  /// The refusal's sentence; nil if the expression is accepted.
  private func sentence(_ regex: String) -> String? {
    do throws(PatternError) {
      _ = try Pattern(.regex(Array(regex.utf8)))
      return nil
    } catch {
      return error.description
    }
  }
}
