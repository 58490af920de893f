// Who may do what: the users file (users), and what callers show to say who they are, headers and
// words of AUTH (credentials). A file is taken or refused as a whole, each time the same, with a
// sentence that can be shown. A caller is known only by a token that is written in full.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import TextForms
import Users

extension FuzzReader {
  package static let users = FuzzReader(name: "users", seeds: UserSeeds.files, triesInTests: 300) {
    input in
    let bytes = Array(input)
    let outcome = parsed(bytes)
    if parsed(bytes) != outcome { throw Finding("the second time it is another") }
    switch outcome {
    case .failure(let error):
      let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).count
      guard (0...lines).contains(error.line), error.sentence.utf8.count < 400,
        error.sentence.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
      else { throw Finding("a sentence that can't be shown: \(error)") }
    case .success(let table): try check(table, bytes)
    }
  }

  private static func parsed(_ bytes: [UInt8]) -> Result<UserTable, UsersFileError> {
    do throws(UsersFileError) {
      return .success(try UsersFile.parse(bytes))
    } catch {
      return .failure(error)
    }
  }

  private static func check(_ table: UserTable, _ bytes: [UInt8]) throws {
    var tokens: Set<TokenDigest> = []
    var names: Set<String> = []
    for user in table.users {
      guard PlainName.isValid(user.name.utf8), names.insert(user.name).inserted else {
        throw Finding("\(user.name) is no name, or there twice")
      }
      guard user.tokens.count <= UsersFile.tokensMax,
        user.certificates.count <= UsersFile.certificatesMax,
        user.rules.keys?.count ?? 0 <= UsersFile.patternsMax,
        user.tokens.allSatisfy({ tokens.insert($0).inserted })
      else { throw Finding("\(user.name) has more than a user may, or what another one has") }
      // Whatever the patterns are, a key is decided.
      let keys: [[UInt8]] = [Array(bytes.prefix(300)), Array(bytes.suffix(40)), []]
      for key in keys { _ = key.withUnsafeBytes { user.rules.allows(key: $0) } }
      _ = user.rules.allows(database: UInt32(bytes.count))
    }
    // Replacing the file by itself revokes nothing.
    let ledger = AccessLedger(nowNanos: { 0 }) { _, _ in }
    let authorizer = Authorizer(table, ledger)
    let identity = CallerIdentity(
      authorizer, certificateNames: table.users.first?.certificates ?? [])
    let before = try? identity.principalWithoutToken()
    authorizer.replace(with: table)
    if before?.isRevoked == true { throw Finding("the same file revokes \(before?.name ?? "")") }
  }

  // MARK: - Credentials

  package static let credentials = FuzzReader(
    name: "credentials", seeds: UserSeeds.credentials, triesInTests: 300
  ) { input in
    guard let first = input.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[1...])
    let identity = CallerIdentity(
      Authorizer(try UsersFile.parse(UserSeeds.file), AccessLedger(nowNanos: { 0 }) { _, _ in }))
    guard first & 1 == 0 else { return try checkWords(rest, identity) }
    // Between two that are right: a caller that was known is kept.
    let right = Array("Bearer \(UserSeeds.token)".utf8)
    for header in [right, Array(rest), right, Array(rest)] {
      let name = header.withUnsafeBytes { try? identity.principal($0).name }
      if name != user(ofHeader: header) {
        throw Finding("\(String(decoding: header, as: UTF8.self)) is \(name ?? "no user")")
      }
    }
  }

  /// By the grammar alone: the scheme in any case, blanks, a token, blanks.
  private static func user(ofHeader header: [UInt8]) -> String? {
    guard header.count > 7, header[6] == 0x20,
      header.prefix(6).map({ (0x41...0x5a).contains($0) ? $0 + 32 : $0 }) == Array("bearer".utf8)
    else { return nil }
    let token = header.dropFirst(7).drop { $0 == 0x20 }.reversed().drop { $0 == 0x20 }.reversed()
    return user(ofToken: Array(token))
  }

  private static func user(ofToken token: [UInt8]) -> String? {
    token == Array(UserSeeds.token.utf8) ? UserSeeds.name : nil
  }

  /// What an unknown client may send on lines: its credentials, and little else.
  private static func checkWords(
    _ bytes: UnsafeRawBufferPointer, _ identity: CallerIdentity
  ) throws {
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(bytes: bytes))
    while let event = parser.next() {
      guard case .request(let request) = event else { continue }
      let context = LineContext(database: 0, limits: Limits(), isStranger: true)
      let outcome: Result<Void, any Error> = request.withWords { words in
        Result { try check(LineCommands.action(words, context), request, identity) }
      }
      try outcome.get()
    }
  }

  private static func check(
    _ action: LineAction, _ request: LineRequest, _ identity: CallerIdentity
  ) throws {
    switch action {
    case .reply, .refuse, .quit: break
    case .authenticate(let name, let token):
      let found = token.withUnsafeBytes { try? identity.principal(ofToken: $0).name }
      let words = request.copies
      guard (2...3).contains(words.count), token == words.last,
        name == (words.count == 3 ? words[1] : nil), found == user(ofToken: token)
      else { throw Finding("AUTH is misread: \(found ?? "no user")") }
    case .select, .callOnKey, .call, .scan: throw Finding("a stranger may make a call")
    }
  }
}

private enum UserSeeds {
  static let name = "shop"
  static let token: String = {
    var random = SplitMix64(seed: 11)
    return Token.make(for: name, using: &random)
  }()
  static let file = Array(
    """
    user \(name)
      may read write
      databases 0 4-7
      keys prefix shop: cart:
      keys glob "orders:*:open" [a-f]?\\*
      token sha256:\(TokenDigest(of: token).hexadecimal)  # a laptop
      certificate uri spiffe://example.org/shop
      certificate dns shop.example.org
      rate 5000
      connections 100

    user operator
      may read write admin
      databases all
      keys all
    user anonymous
      may nothing
    user router-1
      may router
      certificate dns router-1

    """.utf8)

  static let files: [[UInt8]] =
    [file] + mistakes.map { Array($0.utf8) }

  private static let mistakes = [
    "user a\nmay read\ndatabases all\nkeys prefix \"a \\x00\\n\\\"\\\\\" b\n",
    "# nothing\n\n\t \r\nuser a\r\nmay nothing\r\n", "user a\nuser a\n", "may read\n",
    "user a\nmay read\n", "user a\nmay all\n", "user a\nmay read\ndatabases 4-3\nkeys all\n",
    "user a\nkeys glob **a**b**c**d**e*\nmay read\ndatabases 4294967295 99999999999\n",
    "user a\nmay read\nkeys all\nkeys all\n", "user a\nkeys prefix \"\nuser \"b\"c\n",
    "user anonymous\nmay router\n", "user a\ntoken sha256:00\n", "user a\nrate 0\nrate 5\n",
    "user a\ncertificate dns A.example\ncertificate dns a.EXAMPLE\nmay nothing\n",
  ]

  static let credentials: [[UInt8]] =
    headers.map { [0] + Array($0.utf8) } + words.map { [1] + Array($0.utf8) }

  private static let headers = [
    "Bearer \(token)", "bearer   \(token)  ", "BEARER \(token)x", "Bearer", "Bearer  ",
    "Basic \(token)", "Bearer\t\(token)", "Bearer shop.rst_", "Bearer .", token,
    "Bearer \(String(repeating: "a.", count: 200))",
  ]
  private static let words = [
    "AUTH \(token)\n", "AUTH shop \(token)\nGET k\n", "*3\r\nAUTH\r\nshop\r\n\(token)\r\n",
    "auth other \(token)\nAUTH\nAUTH a b c\nQUIT\n", "AUTH 'a b' \"\\x00\"\nSELECT 3\nPING\nHELP\n",
  ]
}
