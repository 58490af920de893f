// The files about users, as a node's process reads them: at the start, and when they change.

import Foundation
import NIOCore
import RingstoreAPI
import Synchronization
import Testing
import Users

@testable import ringstore

@Suite struct NodeAccessTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "users-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private func write(_ text: String, _ name: String = "users") throws -> String {
    let path = folder.appending(path: name)
    try Data(text.utf8).write(to: path, options: .atomic)
    return path.path
  }

  private func names(_ access: NodeAccess) -> [String] {
    access.users?.table.users.map(\.name) ?? []
  }

  @Test func withoutAUsersFileThereAreNoUsers() throws {
    let access = try NodeAccess(AccessSettings(), NodeLogs(level: .error) { _ in })
    #expect(access.users == nil)
    #expect(!access.hasFiles)
    access.look()
    access.reload()
  }

  @Test func aFileThatChangesIsTakenOneThatIsBrokenChangesNothingWithOneLine() throws {
    let lines = Mutex<[String]>([])
    let logs = NodeLogs(level: .info) { line in lines.withLock { $0.append(line) } }
    var settings = AccessSettings()
    settings.usersPath = try write("user a\nmay nothing\n")
    let access = try NodeAccess(settings, logs)
    #expect(names(access) == ["a"])
    access.look()
    #expect(lines.withLock { $0.isEmpty }, "nothing has changed")
    _ = try write("user b\nmay nothing\n")
    access.look()
    #expect(names(access) == ["b"])
    _ = try write("user c\nmay nothing\ntoken hunter2\n")
    access.look()
    access.look()
    #expect(names(access) == ["b"])
    let errors = lines.withLock { $0.filter { $0.contains(" error ") } }
    #expect(errors.count == 1)
    #expect(errors[0].contains("line 3") && errors[0].contains(settings.usersPath ?? ""))
    #expect(!errors[0].contains("hunter2"))
    try FileManager.default.removeItem(at: folder)
    access.look()
    #expect(names(access) == ["b"])
  }

  @Test func refusalsOfAKindAreALineASecondWithTheirNumberAndWithoutTheToken() throws {
    let lines = Mutex<[String]>([])
    let logs = NodeLogs(level: .info) { line in lines.withLock { $0.append(line) } }
    var settings = AccessSettings()
    let token = "a.rst_secret-of-a"
    settings.usersPath = try write(
      """
      user a
        may read
        keys all
        databases all
        rate 1
        connections 1
        token sha256:\(TokenDigest(of: token).hexadecimal)

      """)
    let users = try #require(try NodeAccess(settings, logs).users)
    let authorizer = Authorizer(users.table, users.ledger)
    let identity = CallerIdentity(authorizer)
    func find(_ token: String, by identity: CallerIdentity) throws(CallError) -> Principal {
      try ByteBuffer(string: token).withUnsafeReadableBytes { (bytes) throws(CallError) in
        try identity.principal(ofToken: bytes)
      }
    }
    let caller = try find(token, by: identity)
    try caller.countCall()
    for _ in 0..<3 {
      #expect(throws: CallError.self) { try find("a.rst_secret-of-b", by: identity) }
      #expect(throws: CallError.self) { try find(token, by: CallerIdentity(authorizer)) }
      #expect(throws: CallError.self) { try caller.countCall() }
      _ = caller.mayNotCall("KeyStore/Set", needs: .write)
    }
    logs.flush()
    let all = lines.withLock { $0 }
    for (reason, user) in [
      ("credentials", "\"\""), ("permission", "a"), ("rate", "a"), ("connections", "a"),
    ] {
      #expect(users.ledger.count(of: try #require(AccessRefusal(rawValue: reason))) == 3)
      let its = all.filter { $0.contains("reason=\(reason) ") }
      #expect(its.allSatisfy { $0.contains(" warning ringstore.users a caller was refused ") })
      #expect(its.filter { $0.hasSuffix(" user=\(user)\n") }.count == 1, "\(its)")
      #expect(its.filter { $0.hasSuffix(" suppressed=2\n") }.count == 1, "\(its)")
      #expect(its.count == 2)
    }
    #expect(all.count == 8)
    #expect(!all.joined().contains("secret"))
  }

  @Test func aFileThatCannotBeUsedStartsNoNode() throws {
    let logs = NodeLogs(level: .error) { _ in }
    var settings = AccessSettings()
    for path in [try write("user a\n"), folder.path, folder.appending(path: "none").path] {
      settings.usersPath = path
      #expect(throws: ConfigurationError.self) { try NodeAccess(settings, logs) }
    }
    settings = AccessSettings()
    settings.shardTokenPath = try write("two words", "token")
    #expect(throws: ConfigurationError.self) { try NodeAccess(settings, logs) }
  }

  @Test func inOneProcessTheRouterIsKnownByATokenOfItsOwnWhateverTheFileSays() throws {
    let logs = NodeLogs(level: .error) { _ in }
    var settings = AccessSettings()
    settings.usersPath = try write("user a\nmay nothing\n")
    let access = try NodeAccess(settings, logs, isOneProcess: true)
    #expect(access.users?.table.users.map(\.permissions) == [[], .router])
    _ = try write("user a\nmay nothing\nuser b\nmay nothing\n")
    access.look()
    #expect(access.users?.table.users.map(\.permissions) == [[], [], .router])
    // A file that was cut off changes nothing.
    _ = try write("")
    access.look()
    #expect(access.users?.table.users.map(\.permissions) == [[], [], .router])
  }

  @Test(
    arguments: [
      ("a.rst_x", "a.rst_x"), ("a.rst_x\n", "a.rst_x"), ("\n a.rst_x \r\n", "a.rst_x"), ("", nil),
      ("\n", nil), ("two words", nil), ("two\nlines", nil), ("\u{1}", nil), ("ä", nil),
    ] as [(String, String?)])
  func aTokenIsReadWithWhatEditorsPutAroundItAndNothingElse(text: String, token: String?) {
    #expect(TokenText.read(Array(text.utf8)) == token)
  }

  @Test func aFlagsFileComesBeforeTheVariableNeitherIsShownWhereItIsWrong() throws {
    let environment = [TokenText.variable: "from.variable"]
    let path = try write("from.file\n", "token")
    #expect(try TokenText.of(path: path, environment: environment) == "from.file")
    #expect(try TokenText.of(path: nil, environment: environment) == "from.variable")
    #expect(try TokenText.of(path: nil, environment: [:]) == nil)
    let wrong = try write("the secret\n", "token")
    do throws(ConfigurationError) {
      _ = try TokenText.of(path: wrong, environment: [:])
      Issue.record("two words are no token")
    } catch {
      #expect(!error.sentence.contains("secret"))
    }
  }

  @Test func aNodeWithUsersMayListenOnAnAddressThatOthersReach() throws {
    func shard(_ flags: [Setting: [String]]) throws(ConfigurationError) {
      let given = flags.merging([.id: ["a"], .host: ["0.0.0.0"]]) { one, _ in one }
      _ = try SettingSources(.shard, flags: given, environment: [:], file: nil)
        .shardConfiguration()
    }
    #expect(throws: ConfigurationError.self) { try shard([:]) }
    #expect(throws: ConfigurationError.self) { try shard([.users: [""]]) }
    try shard([.users: ["users"]])
  }

  @Test func theSettingsNameFilesAndWhatIsNoted() throws {
    func settings(
      _ kind: NodeKind, _ flags: [Setting: [String]]
    ) throws(ConfigurationError) -> AccessSettings {
      try SettingSources(kind, flags: flags, environment: [:], file: nil).accessSettings()
    }
    #expect(try settings(.shard, [:]) == AccessSettings())
    #expect(try settings(.shard, [.users: ["u"]]).usersPath == "u")
    #expect(try settings(.router, [.shardTokenFile: ["t"]]).shardTokenPath == "t")
    #expect(try settings(.local, [.audit: ["writes"]]).notesWrites)
    #expect(try !settings(.local, [.audit: ["admin"]]).notesWrites)
    #expect(throws: ConfigurationError.self) { try settings(.local, [.audit: ["all"]]) }
  }
}
