// The user of a credential, for how long, and its limits.

import Patterns
import RingstoreAPI
import Synchronization
import Testing

@testable import Users

@Suite struct AuthorizerTests {
  private let ledger: AccessLedger
  private let clock = Clock()

  init() {
    let clock = clock
    ledger = AccessLedger(nowNanos: { clock.nanos })
  }

  private func table(_ text: String) throws -> UserTable {
    try UsersFile.parse(Array(text.utf8))
  }

  private func user(
    _ name: String, _ tokens: [String], may: String = "read", rest: String = ""
  ) -> String {
    let lines = tokens.map { "token sha256:\(TokenDigest(of: $0).hexadecimal)\n" }.joined()
    return "user \(name)\nmay \(may)\nkeys all\ndatabases all\n\(lines)\(rest)\n"
  }

  private func call(_ identity: CallerIdentity, _ header: String?) throws(CallError) -> Principal {
    guard let header else { return try identity.principal(nil) }
    let found: Result<Principal, CallError> = Array(header.utf8).withUnsafeBytes { header in
      do throws(CallError) {
        return .success(try identity.principal(header))
      } catch {
        return .failure(error)
      }
    }
    return try found.get()
  }

  private func reason(_ identity: CallerIdentity, _ header: String?) -> ErrorReason? {
    do throws(CallError) {
      _ = try call(identity, header)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func eachOfAUsersTokensStandsForHimAndNothingElseDoes() throws {
    let authorizer = Authorizer(try table(user("a", ["a.one", "a.two"]) + user("b", [])), ledger)
    let identity = CallerIdentity(authorizer)
    #expect(try call(identity, "Bearer a.one").name == "a")
    #expect(try call(identity, "Bearer a.two").name == "a")
    for wrong in ["Bearer a.three", "Bearer b.one", "Bearer c.one", "Bearer a.one x", "a.one"] {
      #expect(reason(identity, wrong) == .unauthenticated, "\(wrong)")
    }
    #expect(reason(identity, nil) == .unauthenticated)
    #expect(reason(identity, "") == .unauthenticated)
    #expect(ledger.count(of: .credentials) == 7)
  }

  @Test func theHeaderThatWasAcceptedLastIsRecognisedAndNoOtherOne() throws {
    let authorizer = Authorizer(try table(user("a", ["a.one"]) + user("b", ["b.one"])), ledger)
    let identity = CallerIdentity(authorizer)
    let first = try call(identity, "Bearer a.one")
    #expect(try call(identity, "Bearer a.one") === first)
    #expect(try call(identity, "Bearer b.one").name == "b")
    #expect(try call(identity, "Bearer a.one") === first)
    #expect(reason(identity, "Bearer a.onf") == .unauthenticated)
    #expect(reason(identity, "Bearer a.one ") == nil)
  }

  @Test func aRemovedTokenIsInvalidAtOnce() throws {
    let authorizer = Authorizer(try table(user("a", ["a.one", "a.two"])), ledger)
    let identity = CallerIdentity(authorizer)
    let one = try call(identity, "Bearer a.one")
    let two = try call(CallerIdentity(authorizer), "Bearer a.two")
    authorizer.replace(with: try table(user("a", ["a.two"])))
    #expect(one.isRevoked)
    #expect(!two.isRevoked, "who isn't concerned continues")
    #expect(reason(identity, "Bearer a.one") == .unauthenticated)
    #expect(throws: CallError.self) { try identity.current(one) }
    #expect(try call(identity, "Bearer a.two") === two)
  }

  @Test func otherRightsAreInForceWithTheNextCall() throws {
    let authorizer = Authorizer(try table(user("a", ["a.one"])), ledger)
    let identity = CallerIdentity(authorizer)
    let before = try call(identity, "Bearer a.one")
    authorizer.replace(with: try table(user("a", ["a.one"], may: "write")))
    #expect(before.isRevoked)
    #expect(try call(identity, "Bearer a.one").permissions == .write)
    #expect(try identity.current(before).permissions == .write)
    authorizer.replace(with: UserTable())
    #expect(reason(identity, "Bearer a.one") == .unauthenticated)
  }

  @Test func whoComesBackIsKnownAgain() throws {
    let users = try table(user("a", ["a.one"]))
    let authorizer = Authorizer(users, ledger)
    let identity = CallerIdentity(authorizer)
    let before = try call(identity, "Bearer a.one")
    authorizer.replace(with: UserTable())
    authorizer.replace(with: users)
    #expect(try identity.current(before).name == "a")
  }

  @Test func aCertificateStandsForAUserATokenThatIsShownCountsBeforeIt() throws {
    let text =
      user("a", ["a.one"], rest: "certificate dns a.org\ncertificate uri spiffe://x/a")
      + user("b", ["b.one"], rest: "certificate dns b.org")
    let authorizer = Authorizer(try table(text), ledger)
    let identity = CallerIdentity(
      authorizer, certificateNames: [.dns("other.org"), .uri("spiffe://x/a")])
    #expect(try call(identity, nil).name == "a")
    #expect(try call(identity, "Bearer b.one").name == "b")
    #expect(reason(identity, "Bearer b.two") == .unauthenticated)
    #expect(reason(CallerIdentity(authorizer, certificateNames: [.dns("x")]), nil) != nil)
    #expect(
      reason(CallerIdentity(authorizer, certificateNames: [.dns("a.org"), .dns("b.org")]), nil)
        == .unauthenticated, "a certificate of two users is refused")
  }

  @Test func callsWithoutCredentialsAreAnonymoussWhereTheFileHasHim() throws {
    let authorizer = Authorizer(try table(user("a", ["a.one"])), ledger)
    let identity = CallerIdentity(authorizer)
    #expect(reason(identity, nil) == .unauthenticated)
    #expect(try identity.principalWithoutToken() == nil)
    authorizer.replace(with: try table(user("anonymous", [])))
    #expect(try call(identity, nil).name == "anonymous")
    #expect(reason(identity, "Bearer anonymous.x") == .unauthenticated)
    authorizer.replace(with: UserTable())
    #expect(reason(identity, nil) == .unauthenticated)
  }

  @Test func aConnectionThatWasOneTooManyStaysSoForEachOfItsCalls() throws {
    let text = user("anonymous", [], rest: "connections 1")
    let authorizer = Authorizer(try table(text), ledger)
    let first = CallerIdentity(authorizer)
    #expect(reason(first, nil) == nil)
    let second = CallerIdentity(authorizer)
    for _ in 0..<3 { #expect(reason(second, nil) == .tooManyConnections) }
    withExtendedLifetime(first) {}
  }

  @Test func aConnectionCountsForEveryUserWhoHasCalledOverItUntilItIsGone() throws {
    let text = user("a", ["a.one"], rest: "connections 1") + user("anonymous", [])
    let authorizer = Authorizer(try table(text), ledger)
    var first: CallerIdentity? = CallerIdentity(authorizer)
    #expect(reason(try #require(first), "Bearer a.one") == nil)
    #expect(reason(try #require(first), nil) == nil)
    let second = CallerIdentity(authorizer)
    #expect(reason(second, nil) == nil)
    #expect(reason(second, "Bearer a.one") == .tooManyConnections)
    first = nil
    #expect(reason(second, "Bearer a.one") == nil)
  }

  @Test func anotherLoopKnowsAUserByTheCredentialThatOneHasFoundGoodAsLongAsItIs() throws {
    let users = user("a", ["a.one", "a.two"]) + user("anonymous", [])
    let loops = [Authorizer(try table(users), ledger), Authorizer(try table(users), ledger)]
    for header in ["Bearer a.one", "Bearer a.two", nil] {
      let found = try call(CallerIdentity(loops[0]), header)
      let there = try #require(loops[1].principal(of: found.known))
      #expect(there.name == found.name && there !== found)
    }
    let gone = try call(CallerIdentity(loops[0]), "Bearer a.two").known
    loops[1].replace(with: try table(user("a", ["a.one"])))
    #expect(loops[1].principal(of: gone) == nil)
  }

  @Test func aUserHasAsManyConnectionsAsHeMayOverAllLoops() throws {
    let text = user("a", ["a.one", "a.two"], rest: "connections 2")
    let loops = [Authorizer(try table(text), ledger), Authorizer(try table(text), ledger)]
    var open = loops.map { CallerIdentity($0) }
    for identity in open {
      #expect(reason(identity, "Bearer a.one") == nil)
      #expect(reason(identity, "Bearer a.two") == nil, "a connection counts once")
    }
    let third = CallerIdentity(loops[0])
    #expect(reason(third, "Bearer a.one") == .tooManyConnections)
    open.removeLast()
    #expect(reason(third, "Bearer a.one") == nil)
    withExtendedLifetime(open) {}
  }

  @Test func aUserMakesAsManyCallsASecondAsHeMayOverAllLoops() throws {
    let text = user("a", ["a.one"], rest: "rate 10")
    let loops = [Authorizer(try table(text), ledger), Authorizer(try table(text), ledger)]
    let callers = try loops.map { try call(CallerIdentity($0), "Bearer a.one") }
    var (let_in, refused) = (0, 0)
    for number in 0..<40 {
      do throws(CallError) {
        try callers[number % 2].countCall()
        let_in += 1
      } catch {
        #expect(error.reason == .rateLimited)
        #expect(error.retryDelayMillis ?? 0 > 0)
        refused += 1
      }
    }
    #expect(let_in == 10)
    #expect(refused == 30)
    clock.advance(500_000_000)
    #expect((0..<40).count { _ in (try? callers[0].countCall()) != nil } == 5)
    clock.advance(60_000_000_000)
    #expect((0..<40).count { _ in (try? callers[1].countCall()) != nil } == 10)
    #expect(ledger.count(of: .rate) > 0)
  }

  @Test func keysAndDatabasesAreThoseOfTheRules() throws {
    let rules = try KeyRules(
      databases: [1...2, 5...5],
      keys: [.prefix(Array("app:".utf8)), .glob(Array("*:pub?".utf8))])
    #expect(
      [0, 1, 2, 3, 5].map { rules.allows(database: $0) } == [false, true, true, false, true])
    let keys = ["app:", "app:x", "ap", "x:pubs", "x:pub", "", "APP:x"]
    let allowed = keys.map { key in Array(key.utf8).withUnsafeBytes { rules.allows(key: $0) } }
    #expect(allowed == [true, true, false, true, false, false, false])
    let none = try KeyRules(databases: [], keys: [])
    #expect(!none.allows(database: 0))
    #expect(!Array("x".utf8).withUnsafeBytes { none.allows(key: $0) })
  }

  @Test func aPatternThatCostsTooMuchOnAKeyLetsNothingThrough() throws {
    let pattern = Array(("*" + String(repeating: "a", count: 200) + "b").utf8)
    let rules = try KeyRules(databases: nil, keys: [.glob(pattern)])
    let key = [UInt8](repeating: UInt8(ascii: "a"), count: 64 << 10) + [UInt8(ascii: "b")]
    #expect(!key.withUnsafeBytes { rules.allows(key: $0) })
    let short = [UInt8](repeating: UInt8(ascii: "a"), count: 250) + [UInt8(ascii: "b")]
    #expect(short.withUnsafeBytes { rules.allows(key: $0) })
  }

  @Test func aDirectoryTellsItsObserversOfEachTableUntilTheyLeave() throws {
    let directory = UserDirectory(
      try table(user("a", [])), ledger,
      builtIn: [
        UserDefinition(
          name: "built-in", permissions: .router, rules: try KeyRules(databases: [], keys: []))
      ])
    let seen = Mutex<[[String]]>([])
    let id = directory.observe { table in seen.withLock { $0.append(table.users.map(\.name)) } }
    directory.replace(with: try table(user("b", [])))
    directory.stopObserving(id)
    directory.replace(with: UserTable())
    #expect(seen.withLock { $0 } == [["a", "built-in"], ["b", "built-in"]])
    #expect(directory.table.users.map(\.name) == ["built-in"])
  }
}

private final class Clock: Sendable {
  private let now = Atomic<UInt64>(1_000_000_000_000)

  var nanos: UInt64 { now.load(ordering: .relaxed) }

  func advance(_ nanos: UInt64) { now.wrappingAdd(nanos, ordering: .relaxed) }
}
