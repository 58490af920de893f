// The users file: text for people, read line by line.
//
//   file    = *( line LF )
//   line    = [ words ] [ "#" comment ]             "#" at the beginning of a word
//   words   = "user" NAME                           what follows is about this user
//           / "may" ( 1*PERMISSION / "nothing" )    read, write, admin, router
//           / "databases" ( "all" / 1*RANGE )       3, or 4-7
//           / "keys" ( "all" / "prefix" 1*WORD / "glob" 1*WORD )
//           / "token" "sha256:" 64HEXDIG
//           / "certificate" ( "dns" / "uri" ) WORD
//           / "rate" NUMBER                         calls a second
//           / "connections" NUMBER
//   WORD    = bytes without blanks, or in double quotes with \\ \" \n \r \t \xHH
//
// A user's rights are complete: a user that may read, write or administer must name its keys and
// databases, if only as `all`. A line that can't be parsed makes the whole file invalid, so that a
// mistake never gives a user more than intended. Error messages repeat nothing of the file except
// user names: a word in the wrong place may be a secret. Pure; any thread.

import Patterns
import RingstoreAPI
import TextForms

package enum UsersFile {
  package static let fileBytesMax = 1 << 20
  package static let lineBytesMax = 4_096
  package static let usersMax = 4_096
  package static let tokensMax = 8
  package static let certificatesMax = 16
  package static let certificateBytesMax = 2_048
  package static let patternsMax = 64
  package static let patternBytesMax = 256
  package static let databaseRangesMax = 64
  package static let rates: ClosedRange<UInt32> = 1...10_000_000
  package static let connectionCounts: ClosedRange<UInt32> = 1...1_000_000

  package static func parse(_ bytes: [UInt8]) throws(UsersFileError) -> UserTable {
    guard bytes.count <= fileBytesMax else {
      throw UsersFileError(0, "it has \(bytes.count) bytes; \(fileBytesMax) is the most")
    }
    var parser = UsersFileParser()
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for line in lines { try parser.take(line) }
    return try parser.finish()
  }
}

/// Why a users file can't be used.
package struct UsersFileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The number of the line, from 1; 0: the file as a whole.
  package let line: Int
  package let sentence: String

  init(_ line: Int, _ sentence: String) {
    self.line = line
    self.sentence = sentence
  }

  package var description: String { line == 0 ? sentence : "line \(line): \(sentence)" }
}

struct UsersFileParser {
  private var line = 0
  private var user: UserInProgress?
  private var users: [UserDefinition] = []
  // What no two users may have in common.
  private var names: Set<String> = []
  private var tokens: Set<TokenDigest> = []
  private var certificates: Set<CertificateName> = []

  mutating func take(_ bytes: ArraySlice<UInt8>) throws(UsersFileError) {
    line += 1
    guard bytes.count <= UsersFile.lineBytesMax else {
      throw error("it has \(bytes.count) bytes; \(UsersFile.lineBytesMax) is the most")
    }
    let words: [[UInt8]]
    do throws(UsersFileWords.Failure) {
      words = try UsersFileWords.split(bytes)
    } catch {
      throw self.error(error.rawValue)
    }
    guard let first = words.first else { return }
    let arguments = Array(words.dropFirst())
    guard let attribute = Attribute(rawValue: String(decoding: first, as: UTF8.self)) else {
      let known = Attribute.allCases.map(\.rawValue).joined(separator: ", ")
      throw error("it begins with none of \(known)")
    }
    guard !arguments.isEmpty else { throw error("nothing follows '\(attribute.rawValue)'") }
    if attribute == .user { return try begin(arguments) }
    guard var user else { throw error("there is no user line before it") }
    try take(attribute, arguments, &user)
    self.user = user
  }

  mutating func finish() throws(UsersFileError) -> UserTable {
    try end()
    // The file was truncated or is not written yet. With it every call would be refused.
    guard !users.isEmpty else { throw UsersFileError(0, "there is no user in it") }
    return UserTable(users)
  }

  private enum Attribute: String, CaseIterable {
    case user, may, databases, keys, token, certificate, rate, connections
  }

  private func error(_ sentence: String) -> UsersFileError { UsersFileError(line, sentence) }

  // MARK: - Users

  private mutating func begin(_ arguments: [[UInt8]]) throws(UsersFileError) {
    try end()
    guard arguments.count == 1, PlainName.isValid(arguments[0]) else {
      throw error("a user's name has \(PlainName.form)")
    }
    let name = String(decoding: arguments[0], as: UTF8.self)
    // Names are logged.
    guard !Token.looksSecret(name) else {
      throw error("a user's name can't contain 'rst_': this looks like a token")
    }
    guard names.insert(name).inserted else { throw error("there is a user \(name) already") }
    guard users.count < UsersFile.usersMax else {
      throw error("the file has more than \(UsersFile.usersMax) users")
    }
    user = UserInProgress(name: name, line: line)
  }

  private mutating func end() throws(UsersFileError) {
    guard let user else { return }
    self.user = nil
    users.append(try user.definition())
  }

  private mutating func take(
    _ attribute: Attribute, _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    switch attribute {
    case .user: break
    case .may: try takePermissions(arguments, &user)
    case .databases: try takeDatabases(arguments, &user)
    case .keys: try takeKeys(arguments, &user)
    case .token: try takeToken(arguments, &user)
    case .certificate: try takeCertificate(arguments, &user)
    case .rate: user.rate = try number(arguments, UsersFile.rates, once: user.rate == nil)
    case .connections:
      user.connections = try number(
        arguments, UsersFile.connectionCounts, once: user.connections == nil)
    }
  }

  // MARK: - What a user may

  private func takePermissions(
    _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    var permissions = user.permissions ?? []
    for argument in arguments {
      let word = String(decoding: argument, as: UTF8.self)
      if word == "nothing", arguments.count == 1, permissions.isEmpty { continue }
      guard let permission = Permissions(name: word) else {
        // What isn't a word may be a token, which no log may show.
        let isWord = word.count <= 16 && word.utf8.allSatisfy { (0x61...0x7a).contains($0 | 0x20) }
        let shown = isWord ? ", not '\(word)'" : ""
        throw error(
          word == "nothing"
            ? "a user that may read, write, admin or router can't have `nothing` too"
            : "a user may read, write, admin, router, or nothing\(shown)")
      }
      permissions.insert(permission)
    }
    user.permissions = permissions
  }

  private func takeDatabases(
    _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    if Self.isAll(arguments) {
      guard user.databases == nil else { throw error("databases were named before") }
      user.databases = .all
      return
    }
    var ranges: [ClosedRange<UInt32>] = []
    if case .some(.these(let before)) = user.databases { ranges = before }
    if case .some(.all) = user.databases { throw error("all databases were named before") }
    for argument in arguments {
      let ends = argument.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        .map { Self.number($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first <= last
      else { throw error("databases are numbers and ranges such as 4-7, or all") }
      ranges.append(first...last)
    }
    guard ranges.count <= UsersFile.databaseRangesMax else {
      throw error("a user has at most \(UsersFile.databaseRangesMax) ranges of databases")
    }
    user.databases = .these(ranges)
  }

  private func takeKeys(
    _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    if Self.isAll(arguments) {
      guard user.keys == nil else { throw error("keys were named before") }
      user.keys = .all
      return
    }
    if case .some(.all) = user.keys { throw error("all keys were named before") }
    var patterns: [Pattern.Source] = []
    if case .some(.these(let before)) = user.keys { patterns = before }
    let kind = String(decoding: arguments[0], as: UTF8.self)
    guard arguments.count > 1, kind == "prefix" || kind == "glob" else {
      throw error("keys are all, or 'prefix' or 'glob' and patterns")
    }
    for pattern in arguments.dropFirst() {
      guard !pattern.elementsEqual("prefix".utf8), !pattern.elementsEqual("glob".utf8) else {
        throw error("a line has one kind of patterns; write the other kind on a separate line")
      }
      guard (1...UsersFile.patternBytesMax).contains(pattern.count) else {
        throw error("a pattern has 1 to \(UsersFile.patternBytesMax) bytes")
      }
      patterns.append(kind == "prefix" ? .prefix(pattern) : .glob(pattern))
    }
    guard patterns.count <= UsersFile.patternsMax else {
      throw error("a user has at most \(UsersFile.patternsMax) patterns")
    }
    user.keys = .these(patterns)
  }

  // MARK: - Credentials

  private mutating func takeToken(
    _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    let prefix = Array("sha256:".utf8)
    guard arguments.count == 1, arguments[0].starts(with: prefix),
      let digest = TokenDigest(hexadecimal: arguments[0].dropFirst(prefix.count))
    else {
      throw error(
        "a token is written as sha256: and 64 hexadecimal digits, as 'ringstore admin token' prints "
          + "them. Never write the token itself here; if you did, make a new one")
    }
    guard tokens.insert(digest).inserted else { throw error("the token is already listed") }
    user.tokens.append(digest)
    guard user.tokens.count <= UsersFile.tokensMax else {
      throw error("a user has at most \(UsersFile.tokensMax) tokens")
    }
  }

  private mutating func takeCertificate(
    _ arguments: [[UInt8]], _ user: inout UserInProgress
  ) throws(UsersFileError) {
    guard arguments.count == 2, let text = String(validating: arguments[1], as: UTF8.self),
      (1...UsersFile.certificateBytesMax).contains(text.utf8.count)
    else { throw error("a certificate is named by 'dns' or 'uri' and the name") }
    let name: CertificateName
    switch String(decoding: arguments[0], as: UTF8.self) {
    case "dns": name = .dns(text.lowercased())
    case "uri": name = .uri(text)
    default: throw error("a certificate is named by 'dns' or 'uri' and the name")
    }
    guard certificates.insert(name).inserted else {
      throw error("the certificate is already listed")
    }
    user.certificates.append(name)
    guard user.certificates.count <= UsersFile.certificatesMax else {
      throw error("a user has at most \(UsersFile.certificatesMax) certificates")
    }
  }

  // MARK: - Words

  private static func isAll(_ arguments: [[UInt8]]) -> Bool {
    arguments.count == 1 && arguments[0].elementsEqual("all".utf8)
  }

  private func number(
    _ arguments: [[UInt8]], _ range: ClosedRange<UInt32>, once isFirst: Bool
  ) throws(UsersFileError) -> UInt32 {
    guard isFirst else { throw error("it is repeated") }
    guard arguments.count == 1, let number = Self.number(arguments[0]), range.contains(number)
    else {
      throw error("it must be one number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Digits and nothing else.
  private static func number(_ text: some Collection<UInt8>) -> UInt32? {
    Array(text).withUnsafeBytes { DecimalDigits.parse($0, digitsMax: 10) }
      .flatMap { UInt32(exactly: $0) }
  }
}

/// A user whose lines are being read.
private struct UserInProgress {
  enum Choice<Element> { case all, these([Element]) }

  let name: String
  let line: Int
  var permissions: Permissions?
  var databases: Choice<ClosedRange<UInt32>>?
  var keys: Choice<Pattern.Source>?
  var tokens: [TokenDigest] = []
  var certificates: [CertificateName] = []
  var rate: UInt32?
  var connections: UInt32?

  init(name: String, line: Int) {
    self.name = name
    self.line = line
  }

  func definition() throws(UsersFileError) -> UserDefinition {
    guard let permissions else { throw missing("may", "what the user may do") }
    if !permissions.isDisjoint(with: [.read, .write, .admin]) {
      if databases == nil { throw missing("databases", "which databases") }
      if keys == nil { throw missing("keys", "which keys") }
    }
    if name == UserDefinition.anonymousName {
      guard tokens.isEmpty, certificates.isEmpty else {
        throw UsersFileError(
          line,
          "\(name) is the user of calls without credentials, and so has neither tokens nor "
            + "certificates")
      }
      guard !permissions.contains(.router) else {
        throw UsersFileError(line, "\(name) can't be a router: any client could then make any call")
      }
    }
    do throws(PatternError) {
      return UserDefinition(
        name: name, permissions: permissions,
        rules: try KeyRules(databases: chosen(databases), keys: chosen(keys)), tokens: tokens,
        certificates: certificates, rate: rate, connections: connections)
    } catch {
      throw UsersFileError(line, "a pattern of \(name) can't be used: \(error)")
    }
  }

  /// Nil for all; empty if the file doesn't say.
  private func chosen<Element>(_ choice: Choice<Element>?) -> [Element]? {
    switch choice {
    case .all: nil
    case .these(let elements): elements
    case nil: []
    }
  }

  private func missing(_ attribute: String, _ what: String) -> UsersFileError {
    UsersFileError(line, "the user \(name) lacks a line '\(attribute)' that says \(what)")
  }
}
