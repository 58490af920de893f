// The kinds without an engine of their own, and the limits all share.

import Patterns
import Testing

@Suite struct PatternTests {
  @Test func allMatchesEveryKey() throws {
    let all = try Pattern(.all)
    #expect(all.matchesEverything)
    #expect(try all.matches("key"))
    #expect(try all.matches([0, 0xff]))
    #expect(try all.matches(""))
  }

  @Test func aPrefixMatchesTheKeysThatBeginWithIt() throws {
    let prefix = try Pattern.prefix("user:")
    #expect(try prefix.matches("user:1"))
    #expect(try prefix.matches("user:"))
    #expect(try !prefix.matches("user"))
    #expect(try !prefix.matches("auser:1"))
    #expect(try !prefix.matches(""))
    #expect(!prefix.matchesEverything)
  }

  @Test func aPrefixTakesEveryByteAsItself() throws {
    let prefix = try Pattern(.prefix([0, 0x2a, 0xff]))
    #expect(try prefix.matches([0, 0x2a, 0xff, 0x0a]))
    #expect(try !prefix.matches([0, 0x61, 0xff]))
  }

  @Test func anEmptyPrefixMatchesEveryKey() throws {
    #expect(try Pattern.prefix("").matchesEverything)
    #expect(try Pattern.prefix("").matches("anything"))
  }

  @Test func onlyWhatIsSureToMatchSaysSo() throws {
    #expect(try Pattern.glob("*").matchesEverything)
    #expect(try Pattern.glob("***").matchesEverything)
    #expect(try !Pattern.glob("").matchesEverything)
    #expect(try !Pattern.glob("?*").matchesEverything)
    #expect(try !Pattern.glob("\\*").matchesEverything)
  }

  @Test func patternsAreBoundedInLength() throws {
    let most = [UInt8](repeating: 0x61, count: Pattern.lengthMax)
    for source in [Pattern.Source.glob(most), .prefix(most)] {
      #expect(try Pattern(source).matches(most))
    }
    #expect(try !Pattern(.regex(most)).matches("a"))
    let refusal = PatternError.tooLong(length: 4097, lengthMax: 4096)
    #expect(throws: refusal) { try Pattern(.glob(most + [0x61])) }
    #expect(throws: refusal) { try Pattern(.regex(most + [0x61])) }
    let long = [UInt8](repeating: 0x61, count: Pattern.prefixLengthMax + 1)
    #expect(throws: PatternError.tooLong(length: 65537, lengthMax: 65536)) {
      try Pattern(.prefix(long))
    }
  }
}
