// The meaning of a users file, and that every error in one is reported with its line and nothing
// that may be a secret.

import Patterns
import RingstoreAPI
import TestSeeds
import Testing
import TextForms

@testable import Users

@Suite struct UsersFileTests {
  private static let digest = String(repeating: "ab", count: 32)

  private func parse(_ text: String) throws(UsersFileError) -> [UserDefinition] {
    try UsersFile.parse(Array(text.utf8)).users
  }

  private func refusal(_ text: String) -> UsersFileError? {
    do throws(UsersFileError) {
      _ = try parse(text)
      return nil
    } catch {
      return error
    }
  }

  @Test func aUserHasWhatItsLinesSay() throws {
    let users = try parse(
      """
      # The shop
      user shop
        may read write
        databases 0 4-7
        keys prefix shop: "a b"   # two of them
        keys glob orders:*:open
        token sha256:\(Self.digest)
        certificate dns Shop.example.org
        certificate uri spiffe://example.org/shop
        rate 1000
        connections 10
      """)
    let shop = try #require(users.first)
    #expect(users.count == 1)
    #expect(shop.name == "shop")
    #expect(shop.permissions == [.read, .write])
    #expect(shop.rules.databases == [0...0, 4...7])
    #expect(
      shop.rules.keys == [
        .prefix(Array("shop:".utf8)), .prefix(Array("a b".utf8)),
        .glob(Array("orders:*:open".utf8)),
      ])
    #expect(shop.tokens.map(\.hexadecimal) == [Self.digest])
    #expect(shop.certificates == [.dns("shop.example.org"), .uri("spiffe://example.org/shop")])
    #expect(shop.rate == 1_000)
    #expect(shop.connections == 10)
  }

  @Test func twoUsersStandOneAfterTheOtherAndAllRestrictsNothing() throws {
    let users = try parse(
      "user a\nmay read admin\ndatabases all\nkeys all\r\n\n\tuser b\n may router\n")
    #expect(users.map(\.name) == ["a", "b"])
    #expect(!users[0].rules.restrictsAnything)
    #expect(users[1].permissions == .router)
  }

  @Test func aFileWithoutUsersIsRefusedItWasCutOffOrIsNotWrittenYet() {
    for text in ["", "\n  # nothing\n"] {
      #expect(refusal(text)?.description == "there is no user in it")
    }
  }

  @Test func aUserWithoutCredentialsAndOneThatMayNothingIsNoMistake() throws {
    #expect(try parse("user a\nmay nothing\n").first?.permissions == [])
  }

  @Test(arguments: [
    ("may read\n", 1, "no user"),
    ("user a\nmay read\ndatabases all\n", 1, "'keys'"),
    ("user a\nmay read\nkeys all\n", 1, "'databases'"),
    ("user a\nkeys all\n", 1, "'may'"),
    ("\nuser a b\n", 2, "name"),
    ("user a/b\n", 1, "name"),
    ("user\n", 1, "nothing follows"),
    ("user a\nmay nothing\nuser a\nmay nothing\n", 3, "already"),
    ("user a\nmay fly\n", 2, "may read"),
    ("user a\nmay nothing read\n", 2, "can't have `nothing` too"),
    ("user a\nmay red\n", 2, "or nothing, not 'red'"),
    ("user a\ndatabases 3-1\n", 2, "databases"),
    ("user a\ndatabases -1\n", 2, "databases"),
    ("user a\ndatabases 4294967296\n", 2, "databases"),
    ("user a\ndatabases all\ndatabases 3\n", 3, "databases"),
    ("user a\ndatabases 3\ndatabases all\n", 3, "databases"),
    ("user a\nkeys prefix\n", 2, "keys"),
    ("user a\nkeys regex x\n", 2, "keys"),
    ("user a\nkeys prefix x glob y*\n", 2, "one kind"),
    ("user a\nkeys prefix \"\"\n", 2, "pattern"),
    ("user a\nkeys all\nkeys prefix x\n", 3, "keys"),
    ("user a\nrate 0\n", 2, "from 1"),
    ("user a\nrate 1\nrate 2\n", 3, "repeated"),
    ("user a\nrate +5\n", 2, "from 1"),
    ("user a\nconnections many\n", 2, "from 1"),
    ("user a\ncertificate dn x\n", 2, "certificate"),
    ("user a\ntokens x\n", 2, "begins with none"),
    ("user a\nmay nothing\ntoken sha256:ab\n", 3, "sha256"),
    ("user a\nkeys prefix \"x\n", 2, "quote"),
    ("user a\nkeys prefix \"x\"y\n", 2, "quote"),
    ("user a\nkeys prefix \"\\q\"\n", 2, "escape"),
    ("user a\nkeys prefix \"\\xZZ\"\n", 2, "escape"),
    ("user a\nkeys prefix x\u{1}\n", 2, "control"),
    ("user anonymous\nmay router\n", 1, "anonymous"),
  ])
  func aMistakeIsReportedWithItsLine(text: String, line: Int, word: String) throws {
    let refusal = try #require(self.refusal(text))
    #expect(refusal.line == line)
    #expect(refusal.sentence.contains(word), "\(refusal)")
  }

  @Test func aTokenInThePlaceOfANameIsRefusedAndNotRepeated() throws {
    var random = SystemRandomNumberGenerator()
    let token = Token.make(for: "a", using: &random)
    let refusal = try #require(self.refusal("user \(token)\nmay nothing\n"))
    #expect(refusal.sentence.contains("token") && !refusal.sentence.contains(token))
  }

  @Test func noTwoUsersShareATokenOrACertificateNorHasOneTheSameTwice() throws {
    let user = "may nothing\ntoken sha256:\(Self.digest)\n"
    #expect(refusal("user a\n\(user)user b\n\(user)")?.line == 6)
    #expect(refusal("user a\n\(user)token sha256:\(Self.digest)\n")?.line == 4)
    let named = "may nothing\ncertificate dns x.org\n"
    #expect(refusal("user a\n\(named)user b\nmay nothing\ncertificate dns X.ORG\n")?.line == 6)
  }

  @Test func anonymousHasNoCredentials() {
    #expect(
      refusal("user anonymous\nmay nothing\ntoken sha256:\(Self.digest)\n")?.line == 1)
    #expect(
      refusal("user anonymous\nmay read\nkeys all\ndatabases all\n") == nil)
  }

  @Test func aTokenThatWasWrittenInClearIsInNoSentence() throws {
    var random = SystemRandomNumberGenerator()
    let token = Token.make(for: "a", using: &random)
    for line in ["token \(token)", token, "may \(token)", "keys \(token)", "rate \(token)"] {
      let refusal = try #require(self.refusal("user a\n\(line)\n"))
      let secret = token.split(separator: ".").last ?? ""
      #expect(!refusal.description.contains(secret))
      #expect(refusal.line == 2)
    }
  }

  @Test func everyBoundHolds() {
    let many = { (line: String, count: Int) in
      "user a\nmay nothing\n" + (0..<count).map { "\(line)\($0)\n" }.joined()
    }
    #expect(refusal(many("keys prefix x", UsersFile.patternsMax)) == nil)
    #expect(refusal(many("keys prefix x", UsersFile.patternsMax + 1)) != nil)
    #expect(refusal(many("certificate uri x", UsersFile.certificatesMax)) == nil)
    #expect(refusal(many("certificate uri x", UsersFile.certificatesMax + 1)) != nil)
    #expect(refusal(many("databases ", UsersFile.databaseRangesMax)) == nil)
    #expect(refusal(many("databases ", UsersFile.databaseRangesMax + 1)) != nil)
    let tokens = { (count: Int) in
      many("token sha256:" + String(repeating: "0", count: 62), 0)
        + (10..<10 + count).map { "token sha256:\(String(repeating: "0", count: 62))\($0)\n" }
        .joined()
    }
    #expect(refusal(tokens(UsersFile.tokensMax)) == nil)
    #expect(refusal(tokens(UsersFile.tokensMax + 1)) != nil)
    let long = String(repeating: "x", count: UsersFile.patternBytesMax + 1)
    #expect(refusal("user a\nmay nothing\nkeys glob \(long)\n")?.line == 3)
    #expect(refusal("#" + String(repeating: "x", count: UsersFile.lineBytesMax))?.line == 1)
    #expect(refusal(String(repeating: "\n", count: UsersFile.fileBytesMax + 1))?.line == 0)
    let users = { (count: Int) in (0..<count).map { "user u\($0)\nmay nothing\n" }.joined() }
    #expect(refusal(users(UsersFile.usersMax)) == nil)
    #expect(refusal(users(UsersFile.usersMax + 1)) != nil)
    let name = String(repeating: "n", count: PlainName.bytesMax)
    #expect(refusal("user \(name)\nmay nothing\n") == nil)
    #expect(refusal("user \(name)n\nmay nothing\n") != nil)
  }

  /// Whatever the bytes are, there is a table or a sentence; and a table never gives more than the
  /// text says.
  @Test(arguments: 0..<8)
  func changedFilesNeverTrapAndNeverMakeAUserThatWasNotNamed(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let sound = Array(
      """
      user shop
      may read write
      databases 0 4-7
      keys prefix shop: "a\\x20b"
      keys glob orders:*[a-z]:open
      token sha256:\(Self.digest)
      certificate dns shop.example.org
      rate 1000
      user other # none
      may router
      """.utf8)
    let words = ["user", "all", "-", "\"", "\\x", "\n", "#", "keys", "may", "nothing", "\0", "99"]
    for _ in 0..<400 {
      var bytes = sound
      for _ in 0...Int.random(in: 0..<4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        case 2:
          bytes.insert(contentsOf: Array(words.randomElement(using: &random)!.utf8), at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 20))
        }
        if bytes.isEmpty { bytes = sound }
      }
      guard let table = try? UsersFile.parse(bytes) else { continue }
      for user in table.users {
        #expect(PlainName.isValid(user.name.utf8))
        let hasKeys = !user.permissions.isDisjoint(with: [.read, .write, .admin])
        if hasKeys, user.rules.keys == nil {
          #expect(bytes.contains(Array("all".utf8)), "all keys were never said")
        }
      }
      #expect(Set(table.users.map(\.name)).count == table.users.count)
    }
  }
}
